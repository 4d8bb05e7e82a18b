"""Promises that every shift keeps."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.groups import MISSING
from evaluation.shift import SHIFTS

SETTINGS = {"unseen_combination": {"attribute": "site", "seen": 2}}

every_shift = pytest.mark.parametrize("name", SHIFTS.names())


def table(patients=300, seed=0):
    generator = np.random.default_rng(seed)
    n = 2 * patients
    patient = np.repeat(np.arange(patients), 2)
    site = generator.choice(list("ABCD"), patients).astype(object)[patient]
    site[generator.random(n) < 0.03] = MISSING
    return pd.DataFrame(
        {
            "patient": [f"p{i}" for i in patient],
            "label": generator.integers(0, 2, patients)[patient],
            "site": site,
        },
        index=pd.Index([f"s{i}" for i in range(n)], name="sample"),
    )


def split(name, frame, seed=0, **changes):
    shift = SHIFTS.get(name).parse(SETTINGS.get(name, {}) | changes, "shift")
    return shift.split(frame.sort_index(), np.random.default_rng(seed))


@every_shift
@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_in_two_parts(name, seed):
    frame = table(seed=seed)
    placed = split(name, frame, seed)
    used = pd.DataFrame({"patient": frame["patient"], "part": placed})
    used = used[used["part"] != "unused"]
    assert (used.groupby("patient")["part"].nunique() == 1).all()


@every_shift
def test_every_sample_is_placed_and_every_part_used(name):
    frame = table()
    placed = split(name, frame)
    assert set(placed.index) == set(frame.index)
    assert (
        {"train", "validation", "test"}
        <= set(placed)
        <= {"train", "validation", "test", "unused"}
    )
    label = frame["label"].reindex(placed.index)
    for part in ("train", "validation"):
        assert set(label[placed == part]) == {0, 1}


@every_shift
def test_the_same_seed_gives_the_same_split_and_another_another(name):
    frame = table()
    pd.testing.assert_series_equal(split(name, frame, 3), split(name, frame, 3))
    assert (split(name, frame, 3) != split(name, frame, 4)).any()


@every_shift
def test_the_order_of_rows_does_not_matter(name):
    frame = table()
    shuffled = frame.sample(frac=1, random_state=1)
    expected = split(name, frame)
    pd.testing.assert_series_equal(split(name, shuffled).reindex(expected.index), expected)


@every_shift
def test_a_cohort_of_one_class_is_split(name):
    placed = split(name, table().assign(label=0))
    assert {"train", "validation", "test"} <= set(placed)


@every_shift
def test_too_few_patients_are_refused(name):
    with pytest.raises(InputError, match="leaves no"):
        split(name, table(patients=2), **({"seen": 1} if name == "unseen_combination" else {}))
