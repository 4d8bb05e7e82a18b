"""Unseen combinations: what is tested was not trained on."""

import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.groups import MISSING
from tests.evaluation.test_every_shift import split, table

NAME = "unseen_combination"


def cells(frame, placed, part):
    inside = frame.loc[placed.index[placed == part]]
    return set(zip(inside["label"], inside["site"], strict=True))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("seen", [1, 2, 3])
def test_each_class_trains_on_so_many_categories_and_is_tested_on_the_others(seen, seed):
    frame = table(patients=600)
    placed = split(NAME, frame, seed, seen=seen)
    trained, tested = cells(frame, placed, "train"), cells(frame, placed, "test")
    for label in (0, 1):
        assert len({cell for cell in trained if cell[0] == label}) == seen
    assert not trained & tested
    assert len(trained | tested) == 8


def test_samples_without_the_attribute_are_unused():
    frame = table()
    placed = split(NAME, frame)
    assert set(placed[frame["site"].reindex(placed.index) == MISSING]) == {"unused"}


def test_seen_patients_may_join_the_test_set():
    frame = table()
    placed = split(NAME, frame, seen_test=0.3)
    trained, tested = cells(frame, placed, "train"), cells(frame, placed, "test")
    assert trained < tested
    assert len(tested) == 8


def test_a_patient_with_an_unseen_sample_is_not_trained_on():
    frame = table()
    # One patient at two sites, so that one of the two images may be of an unseen combination.
    frame.loc[frame["patient"] == "p0", "site"] = ["A", "B"]
    for seed in range(20):
        placed = split(NAME, frame, seed)
        own = placed[frame["patient"].reindex(placed.index) == "p0"]
        if "test" in set(own):
            assert set(own) <= {"test", "unused"}


def test_seen_must_leave_a_category():
    message = "seen=4 leaves no category of 'site' for the test set.* It has 4: A, B, C, D"
    with pytest.raises(InputError, match=message):
        split(NAME, table(), seen=4)


def test_an_unknown_key_is_refused():
    with pytest.raises(InputError, match=r"unknown key 'sen'. Did you mean 'seen'"):
        split(NAME, table(), sen=4)
    assert isinstance(split(NAME, table()), pd.Series)
