"""A target: one question that a model answers about every sample."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evaluation.metric import Array, Metric, Reads

#: The mean over the findings or classes of an audit, as the name of a target.
MACRO = "macro"


class Measure(NamedTuple):
    """A metric of a target; what one column of a cube holds.

    Attributes:
        target: Name of the target.
        metric: The metric.
    """

    target: str
    metric: Metric


@dataclass(frozen=True)
class Target:
    """Truth, score and decision of one question.

    A binary task asks one. A multilabel task asks one for each finding. A multiclass task asks
    one for each class (is it this one?), and which class it is as a whole.

    Attributes:
        name: The finding or class; empty for a binary task and a multiclass one as a whole.
        label: ``[n]``, 0 or 1, or the class number; NaN where the truth is unknown.
        score: ``[n]`` in [0, 1]; NaN for a multiclass task as a whole.
        decision: ``[n]``, 0 or 1, or the decided class number.
        classes: Number of classes; 2 except for a multiclass task as a whole.
    """

    name: str
    label: Array
    score: Array
    decision: Array
    classes: int = 2

    def value(self, reads: Reads) -> Array:
        """What a metric reads, ``[n]``."""
        return self.score if reads == "score" else self.decision

    def applicable(self, metrics: Iterable[Metric]) -> list[Metric]:
        """The metrics that are defined for so many classes."""
        return [metric for metric in metrics if self.classes == 2 or metric.multiclass]

    @property
    def known(self) -> Array:
        """``[n]``, whether the truth is known; other samples take no part."""
        return ~np.isnan(self.label)
