"""Policy: decided on intervals, never on estimates."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.policy import Bounded, Clause, Policy, overall_verdict, shipped


class Given:
    """Evidence that is told what to say."""

    def __init__(self, *numbers: Bounded, missing: str = "") -> None:
        self.given = list(numbers), missing

    def numbers(self, clause: Clause) -> tuple[list[Bounded], str]:
        return self.given


def number(low, high, *, enough=True, name="sex: male"):
    return Bounded(name, (low + high) / 2, low, high, enough, "" if enough else "few patients")


def judge(clause, *numbers, missing=""):
    (found,) = Policy(name="p", clause=(clause,)).judge(Given(*numbers, missing=missing))
    return found


AT_LEAST = Clause(quantity="each group", metric="auroc", minimum=0.8)
AT_MOST = Clause(quantity="gap", metric="auroc", maximum=0.1)


@pytest.mark.parametrize(
    ("clause", "low", "high", "verdict"),
    [
        (AT_LEAST, 0.80, 0.90, "PASS"),
        (AT_LEAST, 0.79, 0.99, "INSUFFICIENT"),
        (AT_LEAST, 0.60, 0.79, "FAIL"),
        (AT_MOST, 0.00, 0.10, "PASS"),
        (AT_MOST, 0.05, 0.11, "INSUFFICIENT"),
        (AT_MOST, 0.11, 0.20, "FAIL"),
        (AT_LEAST, np.nan, np.nan, "INSUFFICIENT"),
    ],
)
def test_the_whole_interval_decides(clause, low, high, verdict):
    assert judge(clause, number(low, high)).verdict == verdict


def test_every_group_must_pass_and_one_failure_fails():
    good, bad, unclear = number(0.85, 0.9), number(0.5, 0.6), number(0.7, 0.9)
    assert judge(AT_LEAST, good, good).verdict == "PASS"
    assert judge(AT_LEAST, good, unclear).verdict == "INSUFFICIENT"
    assert judge(AT_LEAST, good, unclear, bad).verdict == "FAIL"


def test_a_group_with_too_little_evidence_forbids_a_pass_unless_it_is_only_listed():
    small = number(0.9, 0.95, enough=False, name="sex: other")
    strict = judge(AT_LEAST, number(0.85, 0.9), small)
    assert strict.verdict == "INSUFFICIENT"
    assert "sex: other (few patients)" in strict.reason
    lenient = AT_LEAST.model_copy(update={"small_groups": "listed"})
    assert judge(lenient, number(0.85, 0.9), small).verdict == "PASS"
    assert judge(lenient, small).verdict == "INSUFFICIENT"


def test_the_number_nearest_the_bound_is_the_reason():
    found = judge(AT_LEAST, number(0.9, 0.95), number(0.81, 0.9, name="age: >=60"))
    assert found.reason == "age: >=60: 0.855, 95 % interval 0.810 to 0.900."


def test_without_a_champion_a_change_does_not_apply():
    clause = Clause(quantity="change", metric="auroc", minimum=-0.02)
    assert judge(clause, missing="no champion").verdict is None
    other = judge(AT_LEAST, missing="no attribute")
    assert (other.verdict, other.reason) == ("INSUFFICIENT", "no attribute")


def test_clauses_together():
    assert overall_verdict(["PASS", "PASS", None]) == "PASS"
    assert overall_verdict(["PASS", "INSUFFICIENT"]) == "INSUFFICIENT"
    assert overall_verdict(["FAIL", "INSUFFICIENT"]) == "FAIL"
    assert overall_verdict([]) == "INSUFFICIENT"


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "p"\nclause = []', "at least 1 item"),
        ('name = "p"\nclauses = []', "unknown key 'clauses'. Did you mean 'clause'"),
        ('[[clause]]\nquantity="gap"\nmetric="auroc"\nmaximum=0.1', "'name' is missing"),
        ('name="p"\n[[clause]]\nquantity="gap"\nmetric="auroc"', "or a maximum or both"),
        ('name="p"\n[[clause]]\nquantity="gap"\nmetric="aurok"\nmaximum=1', "mean 'auroc'"),
        ('name="p"\n[[clause]]\nquantity="leakage"\nmetric="auroc"\nmaximum=1', "no metric"),
        ('name="p"\n[[clause]]\nquantity="gap"\nmaximum=1', "needs a metric"),
        ("name = ", "not readable as TOML"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        Policy.load(toml(tmp_path, text))


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_policies_load(name):
    assert Policy.find(name).name == name


def test_a_policy_is_found_by_name_or_path(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'screening'"):
        Policy.find("screning")
    with pytest.raises(InputError, match="no such file"):
        Policy.find("mine.toml", tmp_path)
    text = 'name = "mine"\n[[clause]]\nquantity = "overall"\nmetric = "auroc"\nminimum = 0.7'
    (tmp_path / "mine.toml").write_text(text)
    assert Policy.find("mine.toml", tmp_path).name == "mine"


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ({"quantity": "overall", "metric": "auroc", "minimum": 75}, "the range of auroc"),
        ({"quantity": "gap", "metric": "auroc", "maximum": -0.1}, "outside the range"),
        ({"quantity": "equalised odds", "metric": "auroc", "maximum": 0.1}, "takes no metric"),
        ({"quantity": "stress", "metric": "auroc", "minimum": 0.7}, "needs a shift"),
        ({"quantity": "gap", "metric": "auroc", "maximum": 0.1, "level": 0.5}, "no level"),
        ({"quantity": "gap", "metric": "auroc", "maximum": 0.1, "margin": 0.5}, "a margin"),
        (
            {"quantity": "each group", "metric": "auroc", "minimum": 0.7, "group": "f"},
            "needs its attribute",
        ),
        (
            {"quantity": "overall", "metric": "auroc", "minimum": 0.7, "maximum": 0.6},
            "minimum 0.7 is above the maximum 0.6",
        ),
        (
            {"quantity": "worst group", "metric": "observed_expected_ratio", "minimum": 0.7},
            "too low or too high: bound it in 'each group'",
        ),
    ],
)
def test_a_clause_that_makes_no_sense_is_refused(clause, said):
    with pytest.raises(InputError, match=said):
        Policy.parse({"name": "p", "clause": [clause]}, "p.toml")


def test_clauses_that_contradict_each_other_are_refused():
    low = {"quantity": "overall", "metric": "brier_score", "maximum": 0.1}
    high = {"quantity": "overall", "metric": "brier_score", "minimum": 0.2}
    with pytest.raises(InputError, match="contradict each other"):
        Policy.parse({"name": "p", "clause": [low, high]}, "p.toml")
    other = high | {"target": "edema"}
    assert Policy.parse({"name": "p", "clause": [low, other]}, "p.toml")


def test_a_range_must_hold_the_whole_interval():
    slope = Clause(quantity="overall", metric="calibration_slope", minimum=0.8, maximum=1.25)
    assert judge(slope, number(0.9, 1.1)).verdict == "PASS"
    assert judge(slope, number(0.7, 1.1)).verdict == "INSUFFICIENT"
    assert judge(slope, number(1.3, 1.5)).verdict == "FAIL"
    assert judge(slope, number(0.2, 0.5)).verdict == "FAIL"


def test_a_margin_is_a_loss_that_may_be():
    clause = Clause(quantity="change", metric="auroc", margin=0.02)
    assert judge(clause, number(-0.01, 0.05)).verdict == "PASS"
    assert judge(clause, number(-0.03, 0.05)).verdict == "INSUFFICIENT"
    assert judge(clause, number(-0.09, -0.05)).verdict == "FAIL"


def test_minimum_evidence_is_counted_in_patients():
    clause = AT_LEAST.model_copy(update={"minimum_patients": 30})
    assert judge(clause, number(0.9, 0.95)._replace(units=30)).verdict == "PASS"
    found = judge(clause, number(0.9, 0.95)._replace(units=29))
    assert found.verdict == "INSUFFICIENT"
    assert "29 patients, 30 are required" in found.reason
    listed = clause.model_copy(update={"small_groups": "listed"})
    few, many = (number(0.5, 0.95)._replace(units=29), number(0.9, 0.95)._replace(units=30))
    assert judge(listed, few, many).verdict == "PASS"


def test_a_flattered_number_can_fail_but_not_pass():
    flattered = number(0.9, 0.95)._replace(flattered="Chosen on test rows.")
    found = judge(AT_LEAST, flattered)
    assert found.verdict == "INSUFFICIENT"
    assert found.reason.endswith("Chosen on test rows.")
    bad = number(0.1, 0.2)._replace(flattered="Chosen on test rows.")
    assert judge(AT_LEAST, bad).verdict == "FAIL"
