"""What a metric is: a weighted function of labels and scores or decisions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import Fault, InputError
from evaluation.registry import Registry

Array = NDArray[Any]
Better = Literal["higher", "lower", "ideal"]
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
            draws are one call. NaN where the metric is undefined for that weight. A metric with
            a level takes it as a fourth argument.
        better: Which direction is better for the patient; ``ideal``: the nearer to ``ideal``
            the better.
        reads: Whether ``value`` is the score in [0, 1] or the decision in {0, 1}.
        needs: Which samples it has no value without. It also names its unit of evidence: a
            sensitivity rests on the positive patients, an AUROC on the rarer of the two
            classes.
        label: Name in tables and figures; ``{level}`` stands for the level.
        proportion: Whether it is a share of events (right decisions, pairs in order) among
            independent patients, so that an exact binomial bound applies where all events
            agree.
        lowest: Lowest value it can take; may be minus infinity.
        highest: Highest value it can take; may be infinite.
        ideal: Value of a perfect model, where ``better`` is ``ideal``; else not used.
        multiclass: Whether it is defined for class numbers 0, 1, 2 ... too, with the decided
            class as its value.
        level: What the metric is taken at, such as a specificity, in (0, 1); None if it has no
            level. Written behind the name: ``net_benefit@0.2``.
        standard_level: The level that its name alone stands for.
        parallel: Whether it may run in several threads at once.
    """

    function: Callable[..., Array]
    better: Better
    reads: Reads
    needs: Needs
    label: str
    proportion: bool = False
    lowest: float = 0.0
    highest: float = 1.0
    ideal: float = float("nan")
    multiclass: bool = False
    level: float | None = None
    standard_level: float | None = None
    parallel: bool = True

    @property
    def name(self) -> str:
        """Name of the function and its file, with the level if it is not the standard one."""
        at = "" if self.level == self.standard_level else f"@{self.level:g}"
        return self.function.__name__ + at

    def goodness(self, value: Array) -> Array:
        """The value turned so that larger is better, whatever ``better`` says.

        >>> METRICS.get("brier_score").goodness(np.array([0.1, 0.2]))
        array([-0.1, -0.2])
        """
        if self.better == "ideal":
            return -np.abs(value - self.ideal)
        return value if self.better == "higher" else -value

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
        level = () if self.level is None else (self.level,)
        result = self.function(label, value, weights, *level)
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
        inside = needed(self.needs, label, decision)
        return min(len(np.unique(patient[rows])) for rows in inside)


def needed(needs: Needs, label: Array, decision: Array) -> list[Array]:
    """Which samples a metric rests on; those of each class if it needs both.

    Args:
        needs: As of the metric.
        label: 0 or 1, any shape.
        decision: 0 or 1, of the same shape.

    Returns:
        One or two bool arrays of that shape.

    >>> needed("positive", np.array([1, 0]), np.array([1, 1]))
    [array([ True, False])]
    """
    return {
        "any": [np.ones(label.shape, bool)],
        "positive": [label == 1],
        "negative": [label == 0],
        "both": [label == 1, label == 0],
        "decided positive": [decision == 1],
        "decided negative": [decision == 0],
    }[needs]


def metric(
    *,
    better: Better,
    reads: Reads,
    needs: Needs,
    label: str,
    proportion: bool = False,
    lowest: float = 0.0,
    highest: float = 1.0,
    ideal: float = float("nan"),
    multiclass: bool = False,
    level: float | None = None,
) -> Callable[[Callable[..., Array]], Metric]:
    """Turn a function into a :class:`Metric`, whose attributes are the arguments.

    The decorator of every file in ``metrics/``.
    """

    def declare(function: Callable[..., Array]) -> Metric:
        declared = Metric(
            function,
            better,
            reads,
            needs,
            label.format(level="" if level is None else f"{level:g}"),
            proportion,
            lowest,
            highest,
            ideal,
            multiclass,
            level,
            level,
        )
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
    first = run_starts(score)
    return sum_runs(positive, first), sum_runs(negative, first)


def run_starts(*keys: Array) -> Array:
    """Where each run of samples with equal keys begins.

    Args:
        keys: Each ``[n]``, no NaN.

    Returns:
        ``[run]`` increasing positions; none if n is 0.

    >>> run_starts(np.array([3, 3, 5, 5]), np.array([0, 1, 1, 1]))
    array([0, 1, 2])
    """
    begins = np.zeros(len(keys[0]), bool)
    begins[:1] = True
    for key in keys:
        begins[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(begins)


def sum_runs(weight: Array, first: Array) -> Array:
    """Weight of each run of samples.

    Args:
        weight: ``[..., n]``.
        first: ``[run]`` where each run begins, as of :func:`run_starts`.

    Returns:
        ``[..., run]``; the weight itself if no run is longer than one sample.

    >>> sum_runs(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 2]))
    array([1., 2., 7.])
    """
    count = weight.shape[-1]
    if len(first) == count:
        return weight
    begins = np.zeros(count, bool)
    begins[first] = True
    shared = ~begins
    shared[:-1] |= ~begins[1:]
    # To sum a run costs as much as to copy five samples, so runs of one are copied.
    sums = np.take(weight, first, axis=-1)
    sums[..., shared[first]] = np.add.reduceat(
        np.compress(shared, weight, axis=-1), np.flatnonzero(begins[shared]), axis=-1
    )
    return sums


def dot(a: Array, b: Array) -> Array:
    """Sum of the products over the last axis, ``[...]``, without an array of the products."""
    product: Array = np.einsum("...i,...i->...", a, b)
    return product


class Metrics(Registry[Metric]):
    """The metrics by name, at a level if the name has one: ``net_benefit@0.2``.

    A name with a dot is that of another library's metric, such as ``fairlearn.selection_rate``
    or ``sklearn.scorer.f1``; those are not listed.
    """

    def check(self, name: str, where: str) -> str:
        """Return the name as it is listed if there is such a metric.

        Raises:
            InputError: There is none, it takes no level, or the level is not in (0, 1).
        """
        base, at, level = name.partition("@")
        if "." in base:
            _foreign(base, where)
        else:
            super().check(base, where)
        if at and self.get(base).level is None:
            found = f"metric '{base}' takes no level, got '{name}'"
            raise InputError(Fault(where, found, f"Write '{base}'."))
        if at and not _is_share(level):
            found = f"the level of '{name}' is not a number between 0 and 1"
            raise InputError(Fault(where, found, f"Write it like '{base}@0.2'."))
        return at_level(self.get(base), float(level)).name if at else name

    def _get(self, name: str) -> Metric:
        self.check(name, self.package)
        base, at, level = name.partition("@")
        found = _foreign(base, self.package) if "." in base else super()._get(base)
        return at_level(found, float(level)) if at else found


def _foreign(name: str, where: str) -> Metric:
    # Imported here: it builds on this module, and few audits need it.
    from evaluation.foreign_metrics import foreign_metric

    return foreign_metric(name, where)


def at_level(metric: Metric, level: float) -> Metric:
    """The metric at another level than its standard one."""
    label = metric.label.replace(f"{metric.level:g}", f"{level:g}")
    return replace(metric, level=level, label=label)


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


METRICS = Metrics("evaluation.metrics", "metric", Metric)
"""One metric a file; the folder is the list."""
