"""Adjusted disparities: raw beside balanced, what it took, what it does not mean."""

from evaluation.section import SECTIONS
from tests.evaluation.made_audit import made_audit
from tests.evaluation.made_groups import body, by_groups


def test_raw_stands_beside_balanced():
    found = by_groups()
    gap = next(each for each in found.adjusted_gaps if each.metric == "auroc")
    shown = body("adjusted", found)
    assert f"{gap.raw:.3f} as it is, {gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f})" in shown
    assert f"<td>{gap.raw:.3f}</td><td>{gap.value:.3f} " in shown


def test_says_what_it_does_not_mean():
    assert "proves neither a cause nor unfairness" in body("adjusted", by_groups())


def test_balance_and_effective_patients_of_each_group_are_there():
    found = by_groups()
    shown = body("adjusted", found)
    for each in found.adjusted:
        after = f"{each.imbalance_before:.3f}</td><td>{each.imbalance_after:.3f}"
        assert f"<td>{each.effective:,.0f}</td><td>{after}</td>" in shown


def test_applies_only_where_confounders_were_named():
    assert not SECTIONS.get("adjusted")().applies(made_audit())
