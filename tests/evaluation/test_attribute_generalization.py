"""Attribute generalization: categories that are never trained on."""

import pytest

from evaluation.errors import InputError
from evaluation.groups import MISSING
from tests.evaluation.test_every_shift import check, restless, rows, split, table

NAME = "attribute_generalization"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("unseen", [1, 3])
def test_so_many_drawn_categories_are_tested_on_and_nothing_else(unseen, seed):
    frame = table(seed=seed)
    placed = split(NAME, frame, seed, unseen=unseen)
    check(frame, placed)
    tested = set(rows(frame, placed, "test")["site"])
    trained = set(rows(frame, placed, "train")["site"])
    assert len(tested) == unseen
    assert tested | trained == set("ABCD")
    assert not tested & (trained | set(rows(frame, placed, "validation")["site"]))


def test_other_seeds_draw_other_categories():
    drawn = [
        set(rows(table(), split(NAME, table(), seed), "test")["site"]) for seed in range(20)
    ]
    assert set.union(*drawn) == set("ABCD")


def test_named_categories_are_tested_on_with_every_sample():
    frame = table()
    placed = split(NAME, frame, unseen=None, categories=["B", "D"])
    assert set(placed[frame["site"].isin(["B", "D"])]) == {"test"}
    assert set(rows(frame, placed, "test")["site"]) == {"B", "D"}


@pytest.mark.parametrize("seen_test", [0.0, 0.3])
def test_a_patient_of_several_categories_by_a_slow_loop(seen_test):
    frame = restless(patients=400, images=3)
    placed = split(NAME, frame, unseen=None, categories=["A"], seen_test=seen_test)
    check(frame, placed)
    for _, own in frame.groupby("patient"):
        sites = set(own["site"]) - {MISSING}
        for sample, site in own["site"].items():
            if site == MISSING:
                assert placed[sample] == "unused"
            elif site == "A":
                assert placed[sample] == "test"
            elif "A" in sites:
                assert placed[sample] == ("test" if seen_test else "unused")
            else:
                assert placed[sample] != "unused"


def test_seen_patients_may_join_the_test_set():
    frame = table()
    placed = split(NAME, frame, unseen=None, categories=["A"], seen_test=0.25)
    assert set(rows(frame, placed, "test")["site"]) == set("ABCD")
    touched = set(frame[frame["site"] == "A"]["patient"])
    known = frame[frame["site"] != MISSING]
    others = set(known["patient"]) - touched
    held = set(rows(frame, placed, "test")["patient"]) - touched
    assert len(held) == pytest.approx(0.25 * len(others), abs=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"unseen": 4},
            "unseen=4 leaves no category of 'site' for training.* has 4: A, B, C, D",
        ),
        ({"unseen": None}, "Give either 'categories' or 'unseen'"),
        ({"categories": ["A"]}, "Give either 'categories' or 'unseen'"),
        (
            {"unseen": None, "categories": ["A", "BB", "E"]},
            "no category of 'site' is called 'BB'. Did you mean 'B'(.|\n)*called 'E'",
        ),
        (
            {"unseen": None, "categories": list("ABCD")},
            "leaves no category of 'site' for training. It has A, B, C, D",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        split(NAME, table(), **changes)


def test_a_class_that_only_the_unseen_category_has_is_told():
    frame = table()
    frame["label"] = (frame["site"] == "A").astype(int)
    with pytest.raises(InputError, match="leaves no sample of class 1 for the train rows"):
        split(NAME, frame, unseen=None, categories=["A"])
