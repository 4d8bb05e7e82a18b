"""Fairness criteria: their meaning, that they conflict, and what is broken."""

import re

import pytest

from tests.evaluation.made_groups import body, by_groups


def test_each_criterion_is_explained_before_it_is_measured():
    shown = body("criteria", by_groups())
    for name in ("Demographic parity", "Equal opportunity", "Equalised odds"):
        assert shown.index(name) < shown.index("They cannot all hold at once")


def test_the_conflict_is_told_with_the_prevalences_at_hand():
    found = by_groups()
    shares = [
        size.positives / size.images for size in found.cohort if len(size.attributes) == 1
    ]
    said = re.search(r"goes from (\S+) \(.*?\) to (\S+) \(", body("criteria", found))
    assert [float(said[1]), float(said[2])] == pytest.approx(
        [min(shares), max(shares)], abs=6e-4
    )


def test_a_broken_criterion_is_marked_and_an_unbroken_one_is_not():
    rows = re.findall(r"<tr>.*?</tr>", body("criteria", by_groups()))
    (broken,) = [row for row in rows if "Equal opportunity" in row and "<td>sex</td>" in row]
    assert "▲ beyond chance" in broken
    same = re.findall(r"<tr>.*?</tr>", body("criteria", by_groups(gap=0.0)))
    (kept,) = [row for row in same if "Predictive parity" in row and "<td>site</td>" in row]
    assert "within chance" in kept


def test_several_findings_are_summed_up():
    shown = body("criteria", by_groups(("mass", "no_finding")))
    assert "For how many of 2 findings" in shown
    assert "2 of 2" in shown
