"""Crossed groups: pooled beside raw, the worst of them on paper."""

import re

from evaluation.section import SECTIONS
from tests.evaluation.made_audit import made_audit
from tests.evaluation.made_groups import body, by_groups


def test_the_worst_pooled_rate_is_named_and_not_folded():
    found = by_groups()
    behind = [
        each
        for each in found.pooled
        if each.metric == "true_positive_rate" and len(each.attributes) == 2
    ]
    worst = min(behind, key=lambda each: each.pooled)
    open_part = body("crossings", found).partition("<details>")[0]
    assert f"Farthest behind in Sensitivity (TPR) is {worst.group}" in open_part
    assert f"{worst.pooled:.3f}" in open_part
    assert f"{worst.raw:.3f}" in open_part


def test_nobody_ahead_of_all_samples_is_called_behind():
    found = by_groups()
    rows = re.findall(r"<tr>(.*?)</tr>", body("crossings", found).partition("<details>")[0])
    shown = [row for row in rows if "Sensitivity" in row]
    overall = found.estimate("true_positive_rate").value
    ahead = {
        each.group
        for each in found.pooled
        if each.metric == "true_positive_rate" and each.pooled > overall
    }
    assert shown
    assert ahead
    assert not any(f">{group}<" in row for group in ahead for row in shown)


def test_does_not_apply_to_single_attributes():
    assert not SECTIONS.get("crossings")().applies(made_audit(attributes=("sex",)))
