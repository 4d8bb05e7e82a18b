"""Class imbalance: a stated prevalence in training."""

import pytest

from evaluation.errors import InputError
from tests.evaluation.test_every_shift import PARTS, check, restless, rows, split, table

NAME = "class_imbalance"


@pytest.mark.parametrize("prevalence", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("attribute", ["", "site"])
def test_training_and_validation_have_the_prevalence(prevalence, attribute):
    frame = restless(patients=1500, images=4)
    placed = split(NAME, frame, prevalence=prevalence, attribute=attribute)
    check(frame, placed)
    for part in ("train", "validation"):
        inside = rows(frame, placed, part)
        assert abs(inside["label"].sum() - prevalence * len(inside)) <= 1


def test_the_mix_of_a_named_attribute_stays_within_each_class():
    frame = restless(patients=1500, images=4)
    # With the test set natural, what is left of a class is a systematic part of it.
    placed = split(NAME, frame, prevalence=0.1, attribute="site")
    patients = set(rows(frame, placed, "train")["patient"])
    before = frame[frame["patient"].isin(patients) & (frame["label"] == 1)]
    after = rows(frame, placed, "train").query("label == 1")
    for site, share in before["site"].value_counts(normalize=True).items():
        assert (after["site"] == site).mean() == pytest.approx(share, abs=0.02)


def test_every_class_has_its_share():
    frame = restless(patients=1500, images=3, classes=3)
    shares = (0.7, 0.2, 0.1)
    inside = rows(frame, split(NAME, frame, prevalence=None, shares=shares), "train")
    for index, share in enumerate(shares):
        assert abs((inside["label"] == index).sum() - share * len(inside)) <= 1


def test_the_test_set_is_natural_or_balanced():
    frame = restless(patients=900, images=3)
    frame = frame[(frame["label"] == 0) | (frame.index < "s4")]
    natural, balanced = (
        rows(frame, split(NAME, frame, test_set=kind), "test")["label"].value_counts()
        for kind in ("natural", "balanced")
    )
    assert natural[0] > natural[1]
    assert set(balanced) == {natural[1]}


def test_no_test_sample_is_left_out_of_a_natural_test_set():
    frame = table()
    placed = split(NAME, frame)
    tested = frame["patient"].isin(rows(frame, placed, "test")["patient"])
    assert set(placed[tested]) == {"test"}
    assert set(placed) == {*PARTS, "unused"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prevalence": None}, "Give either 'prevalence' or 'shares'"),
        ({"shares": [0.5, 0.5]}, "Give either 'prevalence' or 'shares'"),
        ({"prevalence": None, "shares": [0.5, 0.4]}, "must be positive with sum 1"),
        ({"prevalence": None, "shares": [1.0, 0.0]}, "must be positive with sum 1"),
        (
            {"prevalence": None, "shares": [0.5, 0.3, 0.2]},
            "shares of 3 classes are given; the label has 0, 1",
        ),
        ({"prevalence": 0}, "'prevalence' is 0"),
        ({"prevalence": 0.0001}, "leaves no sample of class 1 for the train rows"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        split(NAME, table(), **changes)


def test_a_prevalence_is_of_two_classes():
    with pytest.raises(
        InputError, match="shares of 2 classes are given; the label has 0, 1, 2"
    ):
        split(NAME, restless(classes=3))
