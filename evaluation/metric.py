"""What a metric is: a weighted function of labels and scores or decisions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.registry import Registry

Array = NDArray[Any]
Better = Literal["higher", "lower"]
Reads = Literal["score", "decision"]
Needs = Literal["any", "positive", "negative", "both", "decided positive", "decided negative"]

REASONS: dict[Needs, str] = {
    "any": "no samples",
    "positive": "no positive samples",
    "negative": "no negative samples",
    "both": "only one class",
    "decided positive": "no sample decided positive",
    "decided negative": "no sample decided negative",
}


@dataclass(frozen=True)
class Metric:
    """A number for a set of samples.

    Attributes:
        function: Maps label ``[n]`` in {0, 1}, value ``[n]`` and weight ``[..., n]`` >= 0 to
            ``[...]``. All leading axes of the weight are independent, so a thousand bootstrap
            draws are one call. NaN where the metric is undefined for that weight.
        better: Which direction is better for the patient.
        reads: Whether ``value`` is the score in [0, 1] or the decision in {0, 1}.
        needs: Which samples it has no value without. It also names its unit of evidence: a
            sensitivity rests on the positive patients, an AUROC on the rarer of the two
            classes.
        label: Name in tables and figures.
        proportion: Whether it is a share of events (right decisions, pairs in order) among
            independent patients, so that an exact binomial bound applies where all events
            agree.
        lowest: Lowest value it can take.
        highest: Highest value it can take; may be infinite.
    """

    function: Callable[[Array, Array, Array], Array]
    better: Better
    reads: Reads
    needs: Needs
    label: str
    proportion: bool = False
    lowest: float = 0.0
    highest: float = 1.0

    @property
    def name(self) -> str:
        """Name of the function, which is also the name of its file."""
        return self.function.__name__

    def __call__(
        self, label: ArrayLike, value: ArrayLike, weight: ArrayLike | None = None
    ) -> Any:
        """The metric, in full precision.

        Args:
            label: ``[n]``, 0 or 1.
            value: ``[n]``, score in [0, 1] or decision in {0, 1}, see ``reads``.
            weight: ``[..., n]`` >= 0, one if not given.

        Returns:
            A float if the weight has one axis, else ``[...]``. NaN where undefined.

        Raises:
            ValueError: The shapes do not agree.
        """
        label, value = np.asarray(label, float), np.asarray(value, float)
        weights = np.ones(len(label)) if weight is None else np.asarray(weight, float)
        if label.shape != value.shape or label.ndim != 1 or weights.shape[-1:] != label.shape:
            raise ValueError(
                "label and value must be [n] and weight [..., n], got "
                f"{label.shape}, {value.shape} and {weights.shape}."
            )
        result = self.function(label, value, weights)
        return float(result) if weights.ndim == 1 else result

    def units(self, label: Array, decision: Array, patient: Array) -> int:
        """Number of patients that the metric rests on; of the rarer class if it needs both.

        Args:
            label: ``[n]``, 0 or 1.
            decision: ``[n]``, 0 or 1.
            patient: ``[n]``.

        >>> metric(better="higher", reads="score", needs="both", label="")(min).units(
        ...     np.array([1, 1, 0]), np.array([1, 1, 1]), np.array(["a", "b", "b"]))
        1
        """
        inside = {
            "any": [np.ones(len(label), bool)],
            "positive": [label == 1],
            "negative": [label == 0],
            "both": [label == 1, label == 0],
            "decided positive": [decision == 1],
            "decided negative": [decision == 0],
        }[self.needs]
        return min(len(np.unique(patient[rows])) for rows in inside)


def metric(
    *,
    better: Better,
    reads: Reads,
    needs: Needs,
    label: str,
    proportion: bool = False,
    lowest: float = 0.0,
    highest: float = 1.0,
) -> Callable[[Callable[[Array, Array, Array], Array]], Metric]:
    """Turn a function into a :class:`Metric`, whose attributes are the arguments.

    The decorator of every file in ``metrics/``.
    """

    def declare(function: Callable[[Array, Array, Array], Array]) -> Metric:
        declared = Metric(function, better, reads, needs, label, proportion, lowest, highest)
        object.__setattr__(declared, "__doc__", function.__doc__)
        return declared

    return declare


def weighted_mean(value: Array, weight: Array) -> Array:
    """Mean of ``value [n]`` under each ``weight [..., n]``; NaN where the weights sum to 0.

    >>> weighted_mean(np.array([0.0, 1.0]), np.array([[1.0, 3.0], [0.0, 0.0]]))
    array([0.75,  nan])
    """
    return ratio(weight @ value, weight.sum(axis=-1))


def ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient that is NaN, without a warning, where the denominator is 0."""
    denominator = np.asarray(denominator, float)
    empty = denominator == 0
    return np.where(empty, np.nan, numerator / np.where(empty, 1.0, denominator))


def by_score(label: Array, score: Array, weight: Array) -> tuple[Array, Array]:
    """Weight of the positive and of the negative samples at each score, ascending.

    Args:
        label: ``[n]``, 0 or 1; n >= 1.
        score: ``[n]``. Scores that ascend already, as in a bootstrap, cost no sorting.
        weight: ``[..., n]``.

    Returns:
        Two arrays ``[..., score]``, one place for each distinct score.

    >>> by_score(np.array([1, 0, 1]), np.array([0.7, 0.2, 0.7]), np.array([1.0, 2.0, 3.0]))
    (array([0., 4.]), array([2., 0.]))
    """
    if (score[1:] < score[:-1]).any():
        order = np.argsort(score, kind="stable")
        label, score, weight = label[order], score[order], weight[..., order]
    positive = weight * (label == 1)
    negative = weight - positive
    first = np.flatnonzero(np.diff(score, prepend=-np.inf))
    if len(first) < len(score):
        positive = np.add.reduceat(positive, first, axis=-1)
        negative = np.add.reduceat(negative, first, axis=-1)
    return positive, negative


def dot(a: Array, b: Array) -> Array:
    """Sum of the products over the last axis, ``[...]``, without an array of the products."""
    product: Array = np.einsum("...i,...i->...", a, b)
    return product


METRICS: Registry[Metric] = Registry("evaluation.metrics", "metric", Metric)
