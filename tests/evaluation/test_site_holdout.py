"""Site holdout: whole patients of named sites are the test set."""

import pytest

from evaluation.errors import InputError
from evaluation.groups import MISSING
from tests.evaluation.test_every_shift import check, restless, rows, split, table

NAME = "site_holdout"


@pytest.mark.parametrize("sites", [["A"], ["B", "D"]])
def test_named_sites_are_tested_on_and_never_trained_on(sites):
    frame = table()
    placed = split(NAME, frame, sites=sites)
    check(frame, placed)
    assert set(rows(frame, placed, "test")["site"]) == set(sites)
    for part in ("train", "validation"):
        assert set(rows(frame, placed, part)["site"]) == set("ABCD") - set(sites)


def test_every_site_can_be_left_out_in_turn():
    frame = table()
    tested = [split(NAME, frame, sites=[site]) == "test" for site in "ABCD"]
    assert (sum(tested) == (frame["site"] != MISSING)).all()


@pytest.mark.parametrize("seen_test", [0.0, 0.3])
def test_a_patient_of_two_sites_is_moved_whole_by_a_slow_loop(seen_test):
    frame = restless(patients=400, images=3)
    placed = split(NAME, frame, sites=["A"], seen_test=seen_test)
    check(frame, placed)
    for _, own in frame.groupby("patient"):
        for sample, site in own["site"].items():
            if site == MISSING:
                assert placed[sample] == "unused"
            elif "A" in set(own["site"]):
                assert placed[sample] == "test"
            else:
                assert placed[sample] != "unused"


def test_the_attribute_may_have_another_name():
    frame = table().rename(columns={"site": "hospital"})
    placed = split(NAME, frame, attribute="hospital", sites=["C"])
    assert set(rows(frame, placed, "test")["hospital"]) == {"C"}


def test_patients_of_other_sites_may_join_the_test_set():
    frame = table()
    placed = split(NAME, frame, seen_test=0.2)
    assert set(rows(frame, placed, "test")["site"]) == set("ABCD")


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ([], "'sites' is"),
        (["F"], "no category of 'site' is called 'F'.*Available: A, B, C, D"),
        (list("ABCD"), "leaves no category of 'site' for training"),
    ],
)
def test_sites_that_do_not_fit_are_refused(sites, message):
    with pytest.raises(InputError, match=message):
        split(NAME, table(), sites=sites)
