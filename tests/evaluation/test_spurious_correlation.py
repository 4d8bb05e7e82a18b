"""Spurious correlation: an exact association in training, and another one in test."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from evaluation.errors import InputError
from tests.evaluation.test_every_shift import PARTS, check, restless, rows, split, table

NAME = "spurious_correlation"


def cohort(n=4000, prevalence=0.3, share=0.6, tie=0.0, seed=0, images=2):
    """Samples with a label that is tied to a sex."""
    generator = np.random.default_rng(seed)
    label = generator.random(n) < prevalence
    shift = np.where(label, tie, -tie)
    sex = np.where(generator.random(n) < share + shift, "female", "male")
    return pd.DataFrame(
        {
            "patient": [f"p{i // images}" for i in range(n)],
            "label": label.astype(int),
            "sex": sex,
        },
        index=[f"s{i}" for i in range(n)],
    )


def correlation(frame, category="female", positive=1, attribute="sex"):
    """The definition, one sample at a time."""
    x = [float(each == positive) for each in frame["label"]]
    y = [float(each == category) for each in frame[attribute]]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    both = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)
    return both / spread**0.5


@pytest.mark.parametrize("asked", [-0.9, -0.4, 0.0, 0.25, 0.7, 0.95])
@pytest.mark.parametrize("tie", [-0.2, 0.0, 0.3])
def test_training_and_test_have_the_asked_correlations(asked, tie):
    frame = cohort(tie=tie)
    placed = split(NAME, frame, attribute="sex", category=None, correlation=asked)
    check(frame, placed)
    assert correlation(rows(frame, placed, "train")) == pytest.approx(asked, abs=5e-5)
    assert correlation(rows(frame, placed, "validation")) == pytest.approx(asked, abs=5e-3)
    assert correlation(rows(frame, placed, "test")) == pytest.approx(0, abs=1e-3)


@hypothesis_settings(max_examples=40)
@given(
    asked=st.floats(-0.95, 0.95),
    tested=st.floats(-0.95, 0.95),
    patients=st.integers(10, 300),
    images=st.integers(1, 10),
    seed=st.integers(0, 1000),
)
def test_a_split_is_exact_or_refused(asked, tested, patients, images, seed):
    frame = restless(patients, images, seed)
    try:
        placed = split(NAME, frame, seed, correlation=asked, test_correlation=tested)
    except InputError:
        return
    check(frame, placed)
    for part, wanted in (("train", asked), ("test", tested)):
        inside = rows(frame, placed, part)
        assert len(inside) >= 20
        assert correlation(inside, "A", attribute="site") == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("tested", [-0.8, 0.3])
def test_the_test_set_has_the_stated_correlation(tested):
    frame = cohort()
    placed = split(
        NAME, frame, attribute="sex", category="male", correlation=0.8, test_correlation=tested
    )
    assert correlation(rows(frame, placed, "train"), "male") == pytest.approx(0.8, abs=5e-5)
    assert correlation(rows(frame, placed, "test"), "male") == pytest.approx(tested, abs=1e-3)


def test_a_natural_test_set_is_left_as_it_is():
    frame = cohort(tie=0.2)
    settings = {"attribute": "sex", "category": None, "correlation": -0.5}
    natural = split(NAME, frame, test_correlation="natural", **settings)
    other = split(NAME, frame, test_correlation=0.0, **settings)
    whole = set(rows(frame, natural, "test")["patient"])
    assert (natural[frame["patient"].isin(whole)] == "test").all()
    assert set(other.index[other == "test"]) < set(natural.index[natural == "test"])
    assert correlation(rows(frame, natural, "test")) == pytest.approx(
        correlation(frame), abs=0.1
    )


def test_prevalence_and_mix_stay_where_they_can():
    frame = cohort()
    placed = split(NAME, frame, attribute="sex", category=None, correlation=0.5)
    for part in PARTS:
        inside = rows(frame, placed, part)
        assert inside["label"].mean() == pytest.approx(frame["label"].mean(), abs=0.02)
        own, whole = inside["sex"] == "female", frame["sex"] == "female"
        assert own.mean() == pytest.approx(whole.mean(), abs=0.02)


def test_validation_has_the_proportions_of_training():
    frame = cohort(prevalence=0.1, share=0.5)
    placed = split(NAME, frame, attribute="sex", category=None, correlation=0.9)
    shares = [
        rows(frame, placed, part).value_counts(["label", "sex"], normalize=True)
        for part in ("train", "validation")
    ]
    pd.testing.assert_series_equal(*(share.sort_index() for share in shares), atol=0.05)


def test_no_sample_is_left_out_where_the_correlation_is_there_already():
    sizes = [300, 100, 100, 300]
    frame = pd.DataFrame(
        {
            "patient": [f"p{i}" for i in range(800)],
            "label": np.repeat([1, 1, 0, 0], sizes),
            "sex": np.repeat(["female", "male", "female", "male"], sizes),
        },
        index=[f"s{i}" for i in range(800)],
    )
    settings = {"attribute": "sex", "category": None, "correlation": 0.5}
    placed = split(NAME, frame, test_correlation="natural", **settings)
    assert placed.value_counts().to_dict() == {"train": 544, "test": 160, "validation": 96}


def test_other_classes_and_categories_keep_their_mix():
    frame = restless(patients=2000, images=3, classes=4)
    placed = split(NAME, frame, correlation=0.6, positive=1)
    inside = rows(frame, placed, "train")
    assert correlation(inside, "A", 1, "site") == pytest.approx(0.6, abs=5e-5)
    rest = inside[(inside["label"] != 1) & (inside["site"] != "A")]
    for column in ("label", "site"):
        assert rest[column].value_counts(normalize=True).to_numpy() == pytest.approx(
            np.full(3, 1 / 3), abs=0.04
        )


def test_a_cohort_whose_label_names_the_sex_can_only_be_thinned_to_one():
    frame = cohort().assign(sex=lambda t: np.where(t["label"] == 1, "female", "male"))
    message = (
        "correlation=0.5 cannot be reached in the train rows: of the positive .* No other can"
    )
    with pytest.raises(InputError, match=message) as caught:
        split(NAME, frame, attribute="sex", category=None, correlation=0.5)
    assert len(caught.value.faults) == 2


def test_the_strongest_possible_correlation_is_told_and_is_possible():
    frame = cohort(n=400, prevalence=0.5, share=0.5, tie=0.45, images=1)
    settings = {"attribute": "sex", "category": None, "test_correlation": "natural"}
    with pytest.raises(InputError, match="The strongest towards it is") as caught:
        split(NAME, frame, correlation=-0.95, **settings)
    (fault,) = caught.value.faults
    strongest = float(fault.remedy.removesuffix(".").split()[-1])
    placed = split(NAME, frame, correlation=strongest, **settings)
    assert correlation(rows(frame, placed, "train")) == pytest.approx(strongest, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": "a"}, "no category of 'site' is called 'a'.* Available: A, B, C, D"),
        ({"category": None}, "'category' is missing: 'site' has 4 categories.* A, B, C, D"),
        ({"correlation": 1}, "'correlation' is 1. Input should be less than 1"),
        ({"test_correlation": -1}, "Give a number between -1 and 1, or 'natural'"),
        ({"test_correlation": "as is"}, "Give a number between -1 and 1, or 'natural'"),
        ({"positive": 2}, "positive=2 is no class of the label. It has 0, 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        split(NAME, table(), **changes)


def test_the_positive_class_of_three_must_be_named():
    with pytest.raises(InputError, match="'positive' is missing: the label has 3 classes"):
        split(NAME, restless(classes=3))
