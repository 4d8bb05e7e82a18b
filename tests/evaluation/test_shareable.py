"""A shareable audit tells nothing of a small group."""

import json

import numpy as np
import pytest

from evaluation.audit import Audit
from evaluation.shareable import shareable
from tests.evaluation.made_audit import made_audit


@pytest.fixture(scope="module")
def whole():
    return made_audit(small=4)


@pytest.fixture(scope="module")
def shared(whole):
    return shareable(whole)


def hidden(audit):
    return {size.group: size for size in audit.cohort if size.patients is None}


def numbers(value):
    """Every number anywhere in a finding."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in numbers(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in numbers(inner)]
    return [value] if isinstance(value, float | int) and not isinstance(value, bool) else []


def test_the_small_group_and_one_more_are_hidden_with_a_reason(shared):
    groups = hidden(shared)
    assert "sex: other" in groups
    assert len([name for name in groups if name.count(":") == 1]) == 2
    assert groups["sex: other"].reason == "fewer than 11 patients: not shown"
    found = shared.estimate("auroc", "sex: other")
    assert np.isnan([found.value, found.low, found.high]).all()
    assert (found.state, found.reason) == ("undefined", groups["sex: other"].reason)
    assert "groups are not shown" in shared.notes[-1]


def test_no_finding_about_a_hidden_group_has_a_number(shared):
    names = set(hidden(shared))
    findings = json.loads(shared.to_json())
    for kind, listed in findings.items():
        for found in listed if isinstance(listed, list) else []:
            if isinstance(found, dict) and names & {
                found.get(role) for role in ("group", "reference", "best", "worst")
            }:
                assert set(numbers(found)) <= {0}, (kind, found)


def test_no_sentence_has_the_name_and_a_number_of_a_hidden_group(shared):
    for clause in shared.clauses:
        assert not any(name in clause.reason for name in hidden(shared))


def test_no_reason_tells_how_few_a_hidden_group_has(whole, shared):
    names = set(hidden(shared))
    told = [cell for cell in whole.stress if any(name in cell.reason for name in names)]
    assert told
    for _, findings in shared:
        for found in findings if isinstance(findings, tuple) else ():
            assert not any(name in getattr(found, "reason", "") for name in names)


def test_single_images_and_samples_are_left_out(shared):
    assert shared.maps == ()
    assert not any(each.samples for each in shared.provenance.overlaps)


def test_verdicts_and_large_groups_stay(whole, shared):
    assert shared.verdict == whole.verdict
    names = set(hidden(shared))
    kept = [found for found in whole.estimates if found.group not in names]
    assert kept == [found for found in shared.estimates if found.group not in names]
    assert shared.estimate("auroc") == whole.estimate("auroc")


def test_bins_of_few_images_have_no_numbers(shared):
    for curve in shared.reliability:
        for count, mean in zip(curve.images, curve.score, strict=True):
            assert (count >= 11) == (not np.isnan(mean))


def test_without_small_groups_estimates_and_gaps_are_as_they_were():
    audit = made_audit()
    shared = shareable(audit, 5)
    assert shared.estimates == audit.estimates
    assert shared.gaps == audit.gaps
    assert shared.notes == audit.notes


def test_it_is_an_audit_that_can_be_read_again(shared):
    again = Audit.from_json(shared.to_json())
    assert again.to_json() == shared.to_json()
    assert shareable(again).to_json() != ""


def test_the_audit_is_left_unchanged(whole):
    before = whole.to_json()
    shareable(whole)
    assert whole.to_json() == before


def test_findings_of_a_multilabel_audit_hide_the_same_groups():
    shared = shareable(made_audit(findings=("edema", "mass"), small=4))
    for target in ("edema", "mass"):
        groups = [s.group for s in shared.cohort if s.target == target and s.patients is None]
        assert groups == [
            s.group for s in shared.cohort if s.target == "edema" and not s.patients
        ]
