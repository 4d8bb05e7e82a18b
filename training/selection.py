"""Which epoch's weights a stage ends with."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from evaluation.metric import METRICS, Metric
from evaluation.settings import Settings

if TYPE_CHECKING:
    from training.method import Stage

logger = logging.getLogger(__name__)

Labels = NDArray[np.integer[Any]]
Probabilities = NDArray[np.floating[Any]]


class EpochSelection(Settings):
    """A number, taken from the validation rows, that the best epoch has the best of.

    Attributes:
        metric: Any metric of the audit, such as ``auroc`` or ``net_benefit@0.2``. Metrics that
            read decisions get the class of the highest probability, which for two classes is a
            threshold of one half.
        of: ``overall``: all rows; ``worst``: the group with the worst value; ``gap``: largest
            minus smallest value of a group, the smaller the better.
        attribute: Whose groups ``worst`` and ``gap`` compare. Rows where it is not known are a
            group of their own.
    """

    metric: str = "auroc"
    of: Literal["overall", "worst", "gap"] = "overall"
    attribute: str = ""

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        return METRICS.check(metric, "recipe.selection.metric")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.attribute) != (self.of != "overall"):
            raise ValueError("worst and gap need an attribute, overall takes none")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The attribute, if there is one."""
        return (self.attribute,) if self.attribute else ()

    def value(self, label: Labels, probability: Probabilities, group: Labels | None) -> float:
        """The number.

        Args:
            label: Class index, ``[n]``.
            probability: ``[n, class]``.
            group: Group of each row, ``[n]``; not read by ``overall``.

        Returns:
            NaN where it is undefined. Groups for which the metric is undefined take no part;
            the worst needs one group that is left, the gap two.

        Examples:
            >>> label, group = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
            >>> probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
            >>> EpochSelection(of="worst", attribute="sex").value(label, probability, group)
            0.0
        """
        metric = METRICS.get(self.metric)
        if self.of == "overall":
            return macro(metric, label, probability)
        assert group is not None
        each = [
            macro(metric, label[inside], probability[inside])
            for inside in (group == one for one in np.unique(group))
        ]
        defined = np.array([one for one in each if not np.isnan(one)])
        if len(defined) < (1 if self.of == "worst" else 2):
            return float("nan")
        if self.of == "gap":
            return float(np.ptp(defined))
        return float(defined[np.argmin(metric.goodness(defined))])

    def goodness(self, value: float) -> float:
        """The value turned so that larger is better."""
        if self.of == "gap":
            return -value
        return float(METRICS.get(self.metric).goodness(np.array(value)))


#: What an epoch is judged by: nothing but being the last, the validation loss, or a metric.
Criterion = Literal["last", "loss"] | EpochSelection

AUROC = EpochSelection()


def macro(metric: Metric, label: Labels, probability: Probabilities) -> float:
    """A metric of a classifier of two or more classes.

    Args:
        metric: The metric.
        label: Class index, ``[n]``.
        probability: ``[n, class]``.

    Returns:
        With two classes that of the second. With more, a metric that is defined for class
        numbers is taken as it is, any other is the mean, over the classes for which it is
        defined, of each class against the rest. NaN if it is undefined.

    Examples:
        >>> macro(METRICS.get("auroc"), np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
        1.0
    """
    # Single precision would carry its rounding into the metric.
    probability = probability.astype(float)
    decision = probability.argmax(axis=1)
    classes = probability.shape[1]
    if classes > 2 and metric.multiclass:
        return float(metric(label, decision))
    each = [
        float(
            metric(label == k, probability[:, k] if metric.reads == "score" else decision == k)
        )
        for k in ([1] if classes == 2 else range(classes))
    ]
    return _mean(one for one in each if not np.isnan(one))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else float("nan")


def criterion(stage: "Stage", chosen: EpochSelection | None, rows: int) -> Criterion:
    """What the epochs of a stage are judged by.

    Args:
        stage: The stage.
        chosen: What was asked for; None leaves it to the stage.
        rows: Number of validation rows.

    Returns:
        What was asked for if the stage has a classifier, else what the stage asks for; ``last``
        without validation rows, and a warning is logged then.
    """
    asked: Criterion = AUROC if stage.selection == "auroc" else stage.selection
    if chosen is not None and stage.logits is not None:
        asked = chosen
    if asked != "last" and rows == 0:
        logger.warning(
            "There are no validation rows: stage %s keeps its last epoch.", stage.name
        )
        return "last"
    return asked


def rank(judged_by: Criterion, epoch: int, loss: float, value: float) -> tuple[bool, float]:
    """How good an epoch is; tuples compare as the epochs do.

    An epoch whose number is undefined ranks below every one where it is defined, and among its
    like by the validation loss.

    Args:
        judged_by: What the epochs are judged by.
        epoch: From 1.
        loss: Mean total loss on the validation rows; an epoch where it is NaN is never best.
        value: Value of the metric, if they are judged by one.

    Returns:
        Whether the number is defined, and the number turned so that larger is better.

    Examples:
        >>> rank(AUROC, 1, 0.3, 0.8) > rank(AUROC, 2, 0.2, float("nan"))
        True
    """
    if judged_by == "last":
        return True, float(epoch)
    if judged_by != "loss" and not np.isnan(value):
        return True, judged_by.goodness(value)
    defined = judged_by == "loss"
    return (defined, -loss) if not np.isnan(loss) else (False, -float("inf"))


def warn_if_undefined(judged_by: Criterion, stage: "Stage", *, defined: bool) -> None:
    """Log that a stage chose its epoch by the loss because its metric was never defined."""
    if not defined and isinstance(judged_by, EpochSelection):
        logger.warning(
            "The %s %s was undefined in every epoch (one class in the validation rows of each "
            "group, say): stage %s keeps the epoch of the least validation loss.",
            judged_by.of,
            judged_by.metric,
            stage.name,
        )
