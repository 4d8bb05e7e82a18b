"""The gate's errors, by simulation: how often it passes or fails what it should not."""

import numpy as np
import pytest

from evaluation.bootstrap import Resampling
from evaluation.clause_evidence import ClauseEvidence
from evaluation.evidence import AuditEvidence
from evaluation.groups import Attribute, Group
from evaluation.policy import Clause, Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.target import Target
from tests.conftest import made_predictions

TRIALS = 400
SPEC = AuditSpec(
    attributes=(Attribute(name="g"),),
    metrics=("true_positive_rate",),
    draws=200,
    confidence=0.95,
)
UNREAD = Predictions.from_table(made_predictions(patients=2))


def verdict(rates, clause, seed, patients=150, images=2):
    """What a clause says of groups whose true sensitivities are known."""
    generator = np.random.default_rng(seed)
    count = patients * len(rates)
    member = np.repeat(np.repeat(np.arange(len(rates)), patients), images)
    # Half of the patients have one answer for all of their images: correlated, rate kept.
    whole = generator.random(count) < 0.5
    shared = np.repeat(generator.random(count), images)
    own = generator.random(count * images)
    hit = np.where(np.repeat(whole, images), shared, own) < np.asarray(rates)[member]
    label, decision = np.ones(len(hit)), hit.astype(float)
    target = Target("", label, decision, decision)
    groups = [Group((), (), np.arange(len(hit)))] + [
        Group(("g",), (str(k),), np.flatnonzero(member == k)) for k in range(len(rates))
    ]
    patient = np.repeat(np.arange(count), images)
    resampling = Resampling(patient, np.ones(len(hit)), SPEC.draws, seed, SPEC.confidence)
    evidence = AuditEvidence.gather(UNREAD, [target], groups, resampling, SPEC)
    policy = Policy(name="p", clause=(clause,))
    (found,) = policy.judge(ClauseEvidence(evidence, (), (), ()))
    return found.verdict


def shares(rates, clause):
    verdicts = [verdict(rates, clause, seed) for seed in range(TRIALS)]
    return {name: verdicts.count(name) / TRIALS for name in ("PASS", "FAIL")}


def near(share, nominal):
    """Within three standard errors of what is promised."""
    return abs(share - nominal) <= 3 * np.sqrt(nominal * (1 - nominal) / TRIALS)


def test_a_model_at_the_bound_passes_and_fails_at_the_nominal_rate():
    clause = Clause(quantity="overall", metric="true_positive_rate", minimum=0.8)
    found = shares([0.8], clause)
    assert near(found["PASS"], 0.025), found
    assert near(found["FAIL"], 0.025), found


def test_every_group_at_the_bound_passes_less_often_than_one():
    clause = Clause(quantity="each group", metric="true_positive_rate", minimum=0.8)
    found = shares([0.8, 0.8, 0.8, 0.8], clause)
    assert found["PASS"] <= 0.025
    # As the docstring says: one of four fails up to four times as often as a single one.
    assert found["FAIL"] <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / TRIALS)


def test_one_group_below_the_bound_is_not_outvoted_by_the_others():
    clause = Clause(quantity="each group", metric="true_positive_rate", minimum=0.8)
    found = shares([0.95, 0.95, 0.95, 0.8], clause)
    assert near(found["PASS"], 0.025), found


@pytest.mark.parametrize("quantity", ["gap", "equal opportunity"])
def test_a_gap_at_the_bound_seldom_passes_and_no_gap_seldom_fails(quantity):
    metric = {"metric": "true_positive_rate"} if quantity == "gap" else {}
    at_bound = shares([0.9, 0.85, 0.8], Clause(quantity=quantity, maximum=0.1, **metric))
    assert at_bound["PASS"] <= 0.05
    none = shares([0.85, 0.85, 0.85], Clause(quantity=quantity, maximum=0.0, **metric))
    assert none["FAIL"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / TRIALS)


def test_a_worst_group_at_the_bound_seldom_passes():
    clause = Clause(quantity="worst group", metric="true_positive_rate", minimum=0.8)
    assert shares([0.9, 0.9, 0.8], clause)["PASS"] <= 0.05
