"""What an audit tells a clause, where it has no number to judge."""

from evaluation.audit import audit
from evaluation.groups import Attribute
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from tests.conftest import made_predictions

SEX = (Attribute(name="sex"),)


def judged(clause, table=None, **settings):
    table = made_predictions() if table is None else table
    policy = Policy.parse({"name": "p", "clause": [clause]}, "p")
    spec = AuditSpec(attributes=SEX, draws=100, **settings)
    (found,) = audit(Predictions.from_table(table, ["sex"]), spec, policy).clauses
    return found


STRESS = {"quantity": "stress", "metric": "auroc", "shift": "prevalence", "minimum": 0.5}


def test_a_clause_is_not_decided_on_intervals_of_another_confidence():
    found = judged(STRESS, confidence=0.8)
    assert found.verdict == "INSUFFICIENT"
    assert "80 % here, not of 95 %" in found.reason
    assert judged(STRESS | {"confidence": 0.8}, confidence=0.8).judged > 0


def test_a_ratio_over_nothing_is_no_number_and_says_so():
    table = made_predictions()
    table.loc[table["sex"] == "female", "score"] = 0.0
    clause = {"quantity": "ratio", "metric": "true_positive_rate", "minimum": 0.8}
    found = judged(clause, table, threshold=0.5)
    assert found.verdict == "INSUFFICIENT"
    assert "no ratio: a group's value is 0 or below" in found.reason
    assert "nan" not in found.reason


def test_every_criterion_of_the_report_can_be_bounded():
    found = judged({"quantity": "predictive equality", "maximum": 1.0})
    assert found.verdict == "PASS"
    assert found.judged == 1
