"""Which groups are told, with every prediction, to be served worse."""

import json

import pytest

from training.weak_groups import read_audit


def estimate(group, value, metric="auroc", target=""):
    told = {"target": target, "metric": metric, "group": group, "value": value}
    return told | {"low": value - 0.1, "high": value + 0.1, "units": 50}


def difference(group, reference, value, low, high, metric="auroc", target=""):
    told = {"target": target, "metric": metric, "group": group, "reference": reference}
    return told | {"attributes": ["sex"], "value": value, "band_low": low, "band_high": high}


def gap(best, metric="auroc", target=""):
    return {"target": target, "metric": metric, "attributes": ["sex"], "best": best}


def size(group, patients, attributes=("sex",)):
    return {"group": group, "patients": patients, "attributes": list(attributes)}


@pytest.fixture
def read(tmp_path):
    """Reads an audit with these parts."""

    def make(**parts):
        audit = {
            "thresholds": [{"value": 0.3}],
            "estimates": [],
            "gaps": [],
            "differences": [],
            "clauses": [],
            "cohort": [],
            "spec": {"minimum_patients": 10},
        } | parts
        audit = {name: part for name, part in audit.items() if part is not None}
        (tmp_path / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
        return read_audit(tmp_path)

    return make


def weak(read, metric, best, values, reference, difference_of, low, high):
    estimates = [estimate(group, value, metric) for group, value in values.items()]
    group = next(name for name in values if name != reference)
    found = read(
        estimates=estimates,
        gaps=[gap(best, metric)],
        differences=[difference(group, reference, difference_of, low, high, metric)],
    )
    return found.weaknesses.weak


@pytest.mark.parametrize("reference", ["male", "female"])
def test_the_group_with_the_lower_value_of_what_should_be_high(read, reference):
    sign = 1 if reference == "male" else -1
    low, high = sorted((-0.3 * sign, -0.1 * sign))
    values = {"female": 0.7, "male": 0.9}
    [found] = weak(read, "auroc", "male", values, reference, -0.2 * sign, low, high)
    assert (found.group, found.against, found.attribute) == ("female", "male", "sex")
    assert (found.value, found.n) == (0.7, 50)
    told = found.difference, found.difference_low, found.difference_high
    assert told == pytest.approx((-0.2, -0.3, -0.1))


@pytest.mark.parametrize("reference", ["male", "female"])
def test_the_group_with_the_higher_value_of_what_should_be_low(read, reference):
    sign = 1 if reference == "male" else -1
    low, high = sorted((0.1 * sign, 0.3 * sign))
    values = {"female": 0.4, "male": 0.2}
    [found] = weak(
        read, "false_negative_rate", "male", values, reference, 0.2 * sign, low, high
    )
    assert (found.group, found.against, found.value) == ("female", "male", 0.4)
    told = found.difference, found.difference_low, found.difference_high
    assert told == pytest.approx((0.2, 0.1, 0.3))


@pytest.mark.parametrize(
    ("low", "high"), [(-0.3, 0.1), (-0.3, 0.0), (None, None), (-0.3, None)]
)
def test_what_may_be_chance_or_is_not_known_names_nobody(read, low, high):
    values = {"female": 0.7, "male": 0.9}
    assert weak(read, "auroc", "male", values, "male", -0.2, low, high) == []


def test_how_often_an_illness_is_suspected_makes_nobody_weak(read):
    values = {"female": 0.7, "male": 0.9}
    assert weak(read, "selection_rate", "male", values, "male", -0.2, -0.3, -0.1) == []


def test_without_a_best_group_none_is_worse(read):
    """The audit ranks no group that has too little evidence."""
    values = {"female": 0.7, "male": 0.9}
    assert weak(read, "auroc", None, values, "male", -0.2, -0.3, -0.1) == []


def test_each_target_has_its_own_best_group(read):
    parts = {"estimates": [], "gaps": [], "differences": []}
    for target, female, male in (("nodule", 0.7, 0.9), ("mass", 0.9, 0.7)):
        parts["estimates"] += [
            estimate("female", female, target=target),
            estimate("male", male, target=target),
        ]
        best = "male" if male > female else "female"
        parts["gaps"].append(gap(best, target=target))
        apart = female - male
        band = apart - 0.1, apart + 0.1
        parts["differences"].append(difference("female", "male", apart, *band, target=target))
    found = read(**parts).weaknesses.weak
    assert [(each.target, each.group) for each in found] == [
        ("nodule", "female"),
        ("mass", "male"),
    ]


def test_groups_of_few_patients_are_not_known(read):
    sizes = [
        size("sex: male", 10),
        size("sex: female", 9),
        size("sex: other", None),
        size("sex: female", 9),
        size("sex: female, age: old", 1, ("sex", "age")),
    ]
    found = read(cohort=sizes).weaknesses.unknown
    assert [(each.group, each.n) for each in found] == [
        ("sex: female", 9),
        ("sex: other", None),
    ]


def test_clauses_that_fail_are_named_and_others_are_not(read):
    clauses = [
        {"clause": f"clause {verdict}", "verdict": verdict}
        for verdict in ("PASS", "FAIL", "INSUFFICIENT")
    ]
    assert read(clauses=clauses).weaknesses.failed == ["clause FAIL"]


def test_an_audit_that_compared_no_groups_says_so(read):
    found = read(differences=None).weaknesses
    assert found.weak == []
    assert "compared no groups" in found.note
    assert read().weaknesses.note == ""


@pytest.mark.parametrize(
    ("said", "untrusted"),
    [
        ([], None),
        ([{"group": "all", "trusted": True, "reason": "fine"}], ""),
        ([{"group": "all", "trusted": False, "reason": "blurred"}], "blurred"),
        ([{"group": "sex: male", "trusted": False, "reason": "blurred"}], None),
    ],
)
def test_whether_reconstructions_may_be_read(read, said, untrusted):
    assert read(reconstructions=said).untrusted == untrusted


def test_the_threshold_is_that_of_the_audit_or_none(read):
    assert read().threshold == 0.3
    assert read(thresholds=[]).threshold is None
