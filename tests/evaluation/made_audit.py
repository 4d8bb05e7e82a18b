"""Audits for the tests of what is made from them."""

from functools import cache

import numpy as np
import pandas as pd

from evaluation.about import About
from evaluation.audit import Audit, audit
from evaluation.groups import Attribute
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from tests.conftest import made_predictions

POLICY = {
    "name": "trial",
    "clause": [
        {"quantity": "overall", "metric": "auroc", "minimum": 0.6},
        {"quantity": "worst group", "metric": "auroc", "attribute": "sex", "minimum": 0.5},
    ],
}


def made_table(findings: tuple[str, ...] = (), small: int = 0) -> pd.DataFrame:
    """Predictions by sex and site.

    Args:
        findings: Names of findings; none for a binary task.
        small: How many patients have the sex "other".
    """
    table = made_predictions(patients=150, images=2)
    table["site"] = np.where(table["age"] > 50, "<b>|north", "south")
    few = table["patient"].isin([f"p{i}" for i in range(small)])
    table.loc[few, "sex"] = "other"
    for name in findings:
        table = table.assign(
            **{f"label_{name}": table["label"], f"score_{name}": table["score"]}
        )
    return table.drop(columns=["label", "score"]) if findings else table


@cache
def made_audit(
    findings: tuple[str, ...] = (),
    small: int = 0,
    attributes: tuple[str, ...] = ("sex", "site"),
    about: About | None = None,
) -> Audit:
    """A small audit with a policy, or without attributes and policy."""
    predictions = Predictions.from_table(made_table(findings, small), attributes)
    chosen = tuple(Attribute(name=name) for name in attributes)
    spec = AuditSpec(attributes=chosen, draws=100, metrics=("auroc", "accuracy", "brier_score"))
    policy = Policy.parse(POLICY, "policy") if attributes else None
    return audit(predictions, spec, policy, about=about)
