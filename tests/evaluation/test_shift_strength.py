"""How strong a shift is, in numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from evaluation.errors import InputError
from evaluation.groups import MISSING
from evaluation.shift_strength import PARTS, ShiftStrength, strength
from tests.evaluation.test_every_shift import restless, rows, split, table


def test_numbers_known_by_thought():
    frame = pd.DataFrame(
        {
            "patient": list("aabbccddef"),
            "label": [1, 1, 0, 0, 1, 0, 1, 0, 1, 0],
            "sex": ["f", "f", "m", "m", "f", "f", "m", "m", MISSING, "f"],
        },
        index=[f"s{i}" for i in range(10)],
    )
    placed = pd.Series(["train"] * 4 + ["test"] * 5 + ["unused"], index=frame.index)
    found = strength(frame, placed, "sex")
    train, test = found.part("train"), found.part("test")
    assert (train.samples, train.patients, train.missing) == (4, 2, 0)
    assert (test.samples, test.patients, test.missing) == (5, 3, 1)
    assert train.classes == (0.5, 0.5)
    assert test.classes == (0.4, 0.6)
    female = train.categories[0]
    assert (female.category, female.samples, female.patients) == ("f", 2, 1)
    assert (female.share, female.classes, female.correlation) == (0.5, (0, 1), (-1, 1))
    assert (train.cramers_v, train.mutual_information) == (1, 1)
    assert (test.cramers_v, test.mutual_information) == (0, 0)
    # Half of the test samples are of pairs that training lacks.
    assert (found.distance, found.unseen) == (0.5, 0.5)
    assert math.isnan(found.part("validation").cramers_v)
    assert found.part("validation").reason == "fewer than two class and category values"


@hypothesis_settings(max_examples=25)
@given(st.integers(0, 500), st.integers(1, 3), st.sampled_from(["A", "AB", "ABCD"]))
def test_everything_by_a_slow_loop(seed, classes, sites):
    frame = restless(patients=30, images=4, seed=seed, classes=classes, sites=sites)
    generator = np.random.default_rng(seed)
    placed = pd.Series(generator.choice([*PARTS, "unused"], len(frame)), index=frame.index)
    found = strength(frame, placed.sample(frac=1, random_state=0), "site")
    for part in found.parts:
        inside = rows(frame, placed, part.part)
        known = inside[inside["site"] != MISSING]
        assert part.samples == len(inside)
        assert part.patients == len(set(inside["patient"]))
        assert part.missing == len(inside) - len(known)
        for each in part.categories:
            own = known[known["site"] == each.category]
            assert (each.samples, each.patients) == (len(own), own["patient"].nunique())
            assert each.share == pytest.approx(len(own) / max(len(known), 1), nan_ok=True)
            for index, share in enumerate(each.classes):
                expected = (own["label"] == index).mean() if len(own) else np.nan
                assert share == pytest.approx(expected, nan_ok=True)
                x, y = known["label"] == index, known["site"] == each.category
                varies = x.nunique() == 2 and y.nunique() == 2
                expected = np.corrcoef(x, y)[0, 1] if varies else np.nan
                assert each.correlation[index] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@hypothesis_settings(max_examples=25)
@given(st.integers(0, 500))
def test_distance_and_unseen_by_a_slow_loop(seed):
    frame = restless(patients=12, images=2, seed=seed)
    generator = np.random.default_rng(seed)
    placed = pd.Series(generator.choice(["train", "test"], len(frame)), index=frame.index)
    found = strength(frame, placed, "site")
    pairs = [
        list(zip(part["label"], part["site"], strict=True))
        for part in (
            rows(frame[frame["site"] != MISSING], placed, name) for name in ("train", "test")
        )
    ]
    train, test = pairs
    if not train or not test:
        assert math.isnan(found.distance)
        assert found.reason
        return
    moved = sum(
        abs(train.count(pair) / len(train) - test.count(pair) / len(test))
        for pair in {*train, *test}
    )
    assert found.distance == pytest.approx(moved / 2)
    assert found.unseen == pytest.approx(sum(pair not in train for pair in test) / len(test))


def test_what_a_shift_asked_for_is_what_is_found():
    frame = restless(patients=2000, images=2)
    placed = split("spurious_correlation", frame, correlation=0.4)
    found = strength(frame, placed, "site")
    assert found.part("train").categories[0].correlation[1] == pytest.approx(0.4, abs=5e-5)
    placed = split("attribute_generalization", frame)
    assert strength(frame, placed, "site").unseen == 1


@pytest.mark.parametrize("missing", [MISSING, None, np.nan])
def test_an_attribute_that_nobody_has_is_undefined_not_zero(missing):
    frame = table().assign(site=missing)
    found = strength(frame, split("none", frame), "site")
    assert found.part("train").missing == found.part("train").samples > 0
    assert math.isnan(found.part("train").mutual_information)
    assert math.isnan(found.distance)
    assert math.isnan(found.unseen)
    assert found.reason == "no train and no test samples with a known category"


def test_an_empty_table_is_described():
    frame = table().iloc[:0]
    found = strength(frame, pd.Series(dtype=object), "site")
    assert [part.samples for part in found.parts] == [0, 0, 0]


def test_it_is_stored_and_read_back():
    frame = table()
    found = strength(frame, split("site_holdout", frame), "site")
    assert math.isnan(found.part("test").cramers_v)
    assert ShiftStrength.model_validate_json(found.model_dump_json()).unseen == 1


def test_an_unknown_attribute_is_refused():
    with pytest.raises(
        InputError, match=r"no attribute is called 'sight'. Did you mean 'site'"
    ):
        strength(table(), pd.Series(dtype=object), "sight")
