"""Gaps: what is larger than chance explains, in words, figure and table."""

from tests.evaluation.made_audit import made_audit
from tests.evaluation.made_groups import body, by_groups


def test_a_real_gap_is_told_with_interval_chance_and_worst_group():
    found = by_groups()
    gap = found.gap("true_positive_rate", "sex")
    said = (
        f"Sensitivity (TPR) by sex: the gap is {gap.value:.3f} ({gap.low:.3f} to "
        f"{gap.high:.3f}), chance makes up to {gap.null_high:.3f}. Worst off is sex: male"
    )
    assert said in body("gaps", found)


def test_the_count_of_gaps_beyond_chance_is_that_of_the_audit():
    found = by_groups()
    single = [gap for gap in found.gaps if len(gap.attributes) == 1]
    large = sum(gap.value > gap.null_high for gap in single)
    said = f"Of {len(single)} gaps by single attributes, {large} are larger"
    assert said in body("gaps", found)


def test_spread_stands_corrected_beside_raw():
    found = by_groups()
    gap = found.gap("auroc", "sex")
    ends = f"{gap.spread_low:.3f} to {gap.spread_high:.3f}"
    said = f"{gap.spread:.3f} ({ends}), with noise {gap.spread_raw:.3f}"
    assert said in body("gaps", found)


def test_no_gap_is_told_with_the_reason_and_is_not_zero():
    found = by_groups(gap=0.0, patients=4)
    shown = body("gaps", found)
    assert "No gap can be computed" in shown
    assert "fewer than two groups have enough evidence" in shown
    assert "0.000" not in shown


def test_every_finding_has_a_row_by_attribute():
    shown = body("gaps", made_audit(("mass", "nodule")))
    table = shown.partition("Every finding")[2]
    assert table.count('<th scope="row">nodule</th>') == 2
