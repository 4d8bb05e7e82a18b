"""Attribute imbalance: a stated share of a category in training."""

import pytest

from evaluation.errors import InputError
from evaluation.groups import MISSING
from tests.evaluation.test_every_shift import PARTS, check, restless, rows, split, table

NAME = "attribute_imbalance"


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_training_and_validation_hold_the_share(share, seed):
    frame = restless(patients=1500, images=4, seed=seed)
    placed = split(NAME, frame, seed, share=share)
    check(frame, placed)
    for part in ("train", "validation"):
        inside = rows(frame, placed, part)
        # Each of the two cells is within half a sample of its share.
        assert abs((inside["site"] == "A").sum() - share * len(inside)) <= 1


def test_prevalence_within_categories_and_the_other_categories_stay():
    frame = restless(patients=3000, images=3)
    frame.loc[(frame["site"] == "B") & (frame.index < "s5"), "label"] = 1
    placed = split(NAME, frame, share=0.8)
    before, after = frame[frame["site"] != MISSING], rows(frame, placed, "train")
    prevalence = after.groupby("site")["label"].mean()
    for site, own in before.groupby("site"):
        assert prevalence[site] == pytest.approx(own["label"].mean(), abs=0.04)
    others = [each[each["site"] != "A"]["site"] for each in (before, after)]
    for site, own in others[0].value_counts(normalize=True).items():
        assert (others[1] == site).mean() == pytest.approx(own, abs=0.03)


def test_the_test_set_is_balanced_or_natural():
    frame = restless(patients=1000, images=3)
    frame = frame[(frame["site"] != "B") | (frame.index < "s3")]
    balanced, natural = (
        rows(frame, split(NAME, frame, test_set=kind), "test")["site"].value_counts()
        for kind in ("balanced", "natural")
    )
    assert balanced.nunique() == 1
    assert balanced["A"] == natural.min()
    assert natural["A"] > natural["B"]


def test_no_sample_is_left_out_where_the_share_is_there_already():
    frame = table(patients=400).assign(site=["A", "B"] * 400)
    placed = split(NAME, frame, share=0.5)
    assert set(placed) == set(PARTS)


def test_a_category_that_no_test_patient_has_is_named():
    frame = table()
    frame.loc["s0", "site"] = "E"
    with pytest.raises(InputError, match="test rows: leaves no sample of E"):
        split(NAME, frame)
    check(frame, split(NAME, frame, test_set="natural"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": "AA"}, "no category of 'site' is called 'AA'. Did you mean 'A'"),
        ({"category": None}, "'category' is missing: 'site' has 4 categories"),
        ({"share": 1}, "'share' is 1"),
        ({"test_set": "even"}, "'test_set' is 'even'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        split(NAME, table(), **changes)


def test_of_two_categories_the_first_is_meant():
    frame = table(patients=600)
    frame["site"] = frame["site"].replace({"C": "B", "D": "B"})
    named, meant = split(NAME, frame), split(NAME, frame, category=None)
    assert named.equals(meant)
