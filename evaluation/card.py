"""What a card is: facts about a model and its audit, in a form that others agreed on."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from evaluation.about import About
from evaluation.audit import Audit
from evaluation.findings import Estimate, Gap
from evaluation.metric import METRICS
from evaluation.registry import Registry


class Card(ABC):
    """A form to be filled from what was stated and what was measured.

    A card never holds a fact that is neither: where there is none, it says so.

    Attributes:
        filename: What its file is called.
    """

    filename: ClassVar[str]

    @abstractmethod
    def render(self, audit: Audit, about: About) -> str:
        """The filled form.

        Args:
            audit: What was measured.
            about: What is stated.
        """


CARDS: Registry[type[Card]] = Registry("evaluation.cards", "card", Card, classes=True)


class Measured:
    """What an audit measured, sorted as cards ask for it.

    Attributes:
        overall: Estimates in all samples.
        unitary: Estimates in the groups of one attribute.
        crossed: Estimates in the groups of crossed attributes.
        gaps: Gaps between the groups of one attribute.
    """

    def __init__(self, audit: Audit) -> None:
        """Sort the estimates by how many attributes make their group."""
        self.confidence = audit.spec.confidence
        crossed = {size.group: len(size.attributes) for size in audit.cohort}
        self.overall, self.unitary = (
            [found for found in audit.estimates if crossed[found.group] == order]
            for order in (0, 1)
        )
        self.crossed = [found for found in audit.estimates if crossed[found.group] > 1]
        self.gaps = [gap for gap in audit.gaps if len(gap.attributes) == 1]

    def ends(self, value: float, low: float, high: float) -> str:
        """A number with its interval, in words."""
        if np.isnan(value):
            return "undefined"
        if np.isnan([low, high]).any():
            return f"{value:.3f} (no interval)"
        return f"{value:.3f} ({100 * self.confidence:g} % interval {low:.3f} to {high:.3f})"

    def said(self, found: Estimate) -> str:
        """An estimate in words, with how much it may be trusted."""
        reason = f": {found.reason}" if found.reason else ""
        return f"{self.ends(found.value, found.low, found.high)}, {found.state}{reason}"


def labelled(found: Estimate | Gap) -> str:
    """The metric in words, with the finding that it is about if there are several."""
    label = METRICS.get(found.metric).label
    return f"{label} of {found.target}" if found.target else label


def audited_data(audit: Audit) -> str:
    """The audited data in words, with the hash that tells them."""
    everyone = [size for size in audit.cohort if size.group == "all"]
    # Findings that were not assessed in every image have fewer of them.
    patients = max((size.patients or 0 for size in everyone), default=0)
    images = max((size.images or 0 for size in everyone), default=0)
    counts = f"{patients:,} patients, {images:,} images" if images else "counts not shown"
    return f"{counts}; table {audit.source}, SHA-256 {audit.digest}."


def method(audit: Audit) -> str:
    """How the numbers came about, in words."""
    spec = audit.spec
    return (
        f"Audit of stored predictions by Evenscan {audit.evenscan}. Intervals are "
        f"{100 * spec.confidence:g} %, from {spec.draws:,} bootstrap draws of patients."
    )


def required(audit: Audit) -> str:
    """What the policy asks for; empty without one."""
    if audit.policy is None:
        return ""
    clauses = "; ".join(clause.clause for clause in audit.clauses)
    return f"Policy {audit.policy.name}: {clauses}."


def decided(audit: Audit) -> str:
    """What the policy came to; empty without one."""
    if audit.verdict is None:
        return ""
    parts = [
        f"{clause.clause}: {clause.verdict or 'not applicable'} ({clause.reason.rstrip('.')})"
        for clause in audit.clauses
    ]
    return f"Verdict {audit.verdict}. {'. '.join(parts)}."


def cautions(audit: Audit) -> Sequence[str]:
    """What a reader of the numbers must know besides, as sentences."""
    on_test = [found for found in audit.thresholds if found.chosen_on == "test"]
    said = "Decision thresholds were chosen on the audited rows: error rates are optimistic."
    return [*audit.notes, *([said] if on_test else [])]
