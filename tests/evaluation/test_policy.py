"""Policy: decided on intervals, never on estimates."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.policy import Bounded, Clause, Policy, overall_verdict
from tests.conftest import ROOT


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
        ('name="p"\n[[clause]]\nquantity="gap"\nmetric="auroc"', "exactly one of minimum"),
        ('name="p"\n[[clause]]\nquantity="gap"\nmetric="aurok"\nmaximum=1', "mean 'auroc'"),
        ('name="p"\n[[clause]]\nquantity="leakage"\nmetric="auroc"\nmaximum=1', "no metric"),
        ('name="p"\n[[clause]]\nquantity="gap"\nmaximum=1', "needs a metric"),
        ("name = ", "not readable as TOML"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        Policy.load(toml(tmp_path, text))


def test_the_shipped_policies_load():
    shipped = sorted((ROOT / "policies").glob("*.toml"))
    assert shipped
    assert all(Policy.load(path).clause for path in shipped)
