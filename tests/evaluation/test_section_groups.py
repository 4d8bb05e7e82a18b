"""Performance of each group: the worst in words, and how much every number rests on."""

from tests.evaluation.made_audit import made_audit
from tests.evaluation.made_groups import body, by_groups


def test_says_who_is_served_worst_with_the_interval():
    found = by_groups()
    male = found.estimate("auroc", "sex: male")
    shown = body("groups", found)
    assert f"AUROC is lowest for sex: male: {male.value:.3f} ({male.low:.3f} to " in shown
    assert "False positive rate (FPR) is highest for" in shown


def test_every_number_stands_with_its_evidence():
    found = by_groups()
    units = found.estimate("true_positive_rate", "sex: male").units
    assert f"<small>● {units}</small>" in body("groups", found)


def test_too_few_patients_are_named_insufficient():
    shown = body("groups", made_audit(small=4))
    assert "○ insufficient: rests on" in shown


def test_decisions_and_scores_stand_apart():
    shown = body("groups", by_groups())
    assert shown.index("At the operating point") < shown.index("whatever the threshold")


def test_other_findings_are_folded_and_their_worst_groups_are_not():
    shown = body("groups", by_groups(("mass", "no_finding")))
    assert shown.index("The worst group of each") < shown.index("<details>")
    assert "<summary>mass</summary>" in shown
    assert shown.count("<svg") == 2


def test_without_groups_there_is_nobody_to_be_worst():
    shown = body("groups", made_audit(attributes=()))
    assert "lowest for" not in shown
    assert "cannot be ranked" not in shown
