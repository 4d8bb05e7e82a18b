"""Differences from the reference: the family on paper, exploration folded, power told."""

from evaluation.section import SECTIONS
from tests.evaluation.made_audit import made_audit
from tests.evaluation.made_groups import body, by_groups


def test_the_family_is_open_and_the_exploration_folded():
    found = by_groups()
    shown = body("differences", found)
    opened, _, closed = shown.partition("<details>")
    family = [each for each in found.differences if each.family]
    assert f"The family has {len(family)} differences" in opened
    assert opened.count("Sensitivity (TPR)</td>") == 2
    assert "q (BH)" in closed
    assert "q (BH)" not in opened


def test_what_differs_for_all_at_once_is_marked():
    found = by_groups()
    clear = [each for each in found.differences if each.band_low > 0 or each.band_high < 0]
    shown = body("differences", found)
    assert clear
    assert f"{len(clear)} of them differ" in shown
    assert shown.count("▲ differs") == len(clear)


def test_says_how_small_a_difference_could_not_have_been_seen():
    found = by_groups()
    least = max(
        each.detectable for each in found.differences if each.family and each.metric == "auroc"
    )
    said = f"could not have seen a difference in AUROC smaller than {least:.3f}"
    assert said in body("differences", found)


def test_the_reference_of_each_attribute_is_named():
    found = by_groups()
    names = {each.reference for each in found.differences if len(each.attributes) == 1}
    assert all(name in body("differences", found).partition("</p>")[0] for name in names)


def test_does_not_apply_without_groups():
    assert not SECTIONS.get("differences")().applies(made_audit(attributes=()))
