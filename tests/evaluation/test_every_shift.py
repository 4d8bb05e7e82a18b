"""Promises that every shift keeps."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from evaluation.errors import InputError
from evaluation.groups import MISSING
from evaluation.shift import SHIFTS

SETTINGS = {
    "attribute_generalization": {"attribute": "site", "unseen": 1},
    "attribute_imbalance": {"attribute": "site", "category": "A", "share": 0.6},
    "class_imbalance": {"prevalence": 0.2},
    "site_holdout": {"sites": ["D"]},
    "spurious_correlation": {"attribute": "site", "category": "A", "correlation": 0.5},
    "unseen_combination": {"attribute": "site", "seen": 2},
}
# They change how classes are mixed, so they need two.
NEED_TWO_CLASSES = {"class_imbalance", "spurious_correlation"}
PARTS = ("train", "validation", "test")

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


def restless(patients=200, images=8, seed=0, classes=2, sites="ABCD"):
    """Patients with up to many images, each of any class and site."""
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), generator.integers(1, images + 1, patients))
    n = len(patient)
    return pd.DataFrame(
        {
            "patient": [f"p{i}" for i in patient],
            "label": generator.integers(0, classes, n),
            "site": generator.choice([*sites, MISSING], n),
        },
        index=pd.Index([f"s{i}" for i in range(n)], name="sample"),
    )


def split(name, frame, seed=0, **changes):
    shift = SHIFTS.get(name).parse(SETTINGS.get(name, {}) | changes, "shift")
    return shift.split(frame, np.random.default_rng(seed))


def rows(frame, placed, part):
    """The samples of one part."""
    return frame[placed.reindex(frame.index) == part]


def check(frame, placed):
    """Every sample is placed once, no patient is in two parts, no part misses a class."""
    assert placed.index.equals(frame.index)
    assert set(placed) <= {*PARTS, "unused"}
    patients = [set(rows(frame, placed, part)["patient"]) for part in PARTS]
    assert all(patients)
    assert len(set.union(*patients)) == sum(map(len, patients))
    for part in ("train", "validation"):
        assert set(rows(frame, placed, part)["label"]) == set(frame["label"])


def test_the_folder_is_the_list():
    assert set(SHIFTS.names()) == {"none", *SETTINGS}


@every_shift
@pytest.mark.parametrize("seed", range(5))
def test_parts_share_no_patient_and_hold_every_class(name, seed):
    frame = table(seed=seed)
    check(frame, split(name, frame, seed))


@every_shift
@pytest.mark.parametrize("seed", range(5))
def test_patients_with_images_of_many_kinds_are_in_one_part(name, seed):
    # Four images at four sites leave hardly a patient whom a held-out site does not touch.
    frame = restless(patients=400, images=3, seed=seed)
    check(frame, split(name, frame, seed))


@hypothesis_settings(max_examples=25)
@given(
    patients=st.integers(1, 80),
    images=st.integers(1, 12),
    classes=st.integers(1, 3),
    sites=st.sampled_from(["A", "AB", "ABCD"]),
    seed=st.integers(0, 1000),
)
@every_shift
def test_any_cohort_is_split_or_refused_by_name(name, patients, images, classes, sites, seed):
    frame = restless(patients, images, seed, classes, sites)
    with contextlib.suppress(InputError):
        check(frame, split(name, frame, seed))


@every_shift
def test_the_same_seed_gives_the_same_split_and_another_another(name):
    frame = table()
    pd.testing.assert_series_equal(split(name, frame, 3), split(name, frame, 3))
    assert (split(name, frame, 3) != split(name, frame, 4)).any()


@every_shift
def test_the_order_of_rows_does_not_matter(name):
    frame = restless(patients=400, images=3)
    shuffled = frame.sample(frac=1, random_state=1)
    expected = split(name, frame)
    pd.testing.assert_series_equal(split(name, shuffled).reindex(expected.index), expected)


@every_shift
def test_the_table_is_left_unchanged(name):
    frame = table()
    before = frame.copy()
    split(name, frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", sorted(set(SHIFTS.names()) - NEED_TWO_CLASSES))
def test_a_cohort_of_one_class_is_split(name):
    frame = table().assign(label=0)
    check(frame, split(name, frame))


@pytest.mark.parametrize("name", sorted(NEED_TWO_CLASSES))
def test_a_cohort_of_one_class_is_refused_where_classes_are_mixed(name):
    with pytest.raises(InputError, match=r"class 0|the label has 0"):
        split(name, table().assign(label=0))


@every_shift
def test_more_than_two_classes_are_split(name):
    frame = restless(patients=600, images=2, classes=3)
    changes = {
        "class_imbalance": {"prevalence": None, "shares": [0.2, 0.3, 0.5]},
        "spurious_correlation": {"positive": 2},
    }
    check(frame, split(name, frame, **changes.get(name, {})))


@every_shift
def test_too_few_patients_are_refused(name):
    with pytest.raises(InputError, match=f"shift {name}"):
        split(name, table(patients=2))


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_an_unknown_attribute_is_refused(name):
    with pytest.raises(InputError, match=r"no attribute is called 'sit'. Did you mean 'site'"):
        split(name, table(), attribute="sit")


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - {"class_imbalance"}))
@pytest.mark.parametrize(("value", "number"), [(MISSING, 0), (np.nan, 0), ("A", 1)])
def test_an_attribute_without_two_categories_is_refused(name, value, number):
    with pytest.raises(InputError, match=f"'site' has {number} known categories"):
        split(name, table().assign(site=value))


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - {"class_imbalance"}))
@pytest.mark.parametrize("missing", [MISSING, np.nan, None])
def test_samples_without_the_attribute_are_unused(name, missing):
    frame = table()
    frame.loc[frame["site"] == MISSING, "site"] = missing
    placed = split(name, frame)
    unknown = table()["site"] == MISSING
    assert set(placed[unknown]) == {"unused"}
