"""Audits for the tests of the sections that tell about groups."""

from functools import cache

import numpy as np

from evaluation.audit import Audit, audit
from evaluation.groups import Attribute
from evaluation.predictions import Predictions
from evaluation.section import SECTIONS
from evaluation.spec import AuditSpec
from tests.conftest import made_predictions

METRICS = (
    "auroc",
    "true_positive_rate",
    "false_positive_rate",
    "positive_predictive_value",
    "selection_rate",
    "calibration_slope",
)


@cache
def by_groups(findings: tuple[str, ...] = (), gap: float = 0.9, patients: int = 300) -> Audit:
    """Everything that is told by group, of a model that serves men worse.

    Args:
        findings: Names of findings; none for a binary task.
        gap: How much less signal men have, 0 to 1.
        patients: Number of patients.
    """
    table = made_predictions(patients=patients, gap=gap)
    generator = np.random.default_rng(1)
    table["site"] = generator.choice(["north", "south"], patients).repeat(2)
    for name in findings:
        table[f"label_{name}"] = 1 - table["label"] if name == "no_finding" else table["label"]
        table[f"score_{name}"] = 1 - table["score"] if name == "no_finding" else table["score"]
    if findings:
        table = table.drop(columns=["label", "score"])
    attributes = ("sex", "site")
    predictions = Predictions.from_table(table, list(attributes))
    spec = AuditSpec(
        attributes=tuple(Attribute(name=name) for name in attributes),
        metrics=METRICS,
        primary=METRICS[:3],
        healthy=tuple(name for name in findings if name == "no_finding"),
        confounders=("site",),
        draws=200,
    )
    return audit(predictions, spec)


@cache
def body(name: str, found: Audit) -> str:
    """What a section shows."""
    return str(SECTIONS.get(name)().render(found))
