"""The score from which a sample is decided positive, and which rows chose it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evaluation.errors import unknown_name
from evaluation.metric import Array, by_score
from evaluation.predictions import Predictions
from evaluation.settings import Number, Settings
from evaluation.spec import AuditSpec
from evaluation.target import Target

#: Which rows chose a threshold, as far as anybody says.
ChosenOn = Literal["validation", "test", "not stated"]

MINIMUM_ROWS = 20
CONVENTION = 0.5


class Threshold(Settings):
    """How a target is decided, with its provenance.

    Attributes:
        target: Name of the target; empty for a binary task, and for a multiclass task as a
            whole, which has no threshold.
        value: A sample is decided positive if its score is at least this; NaN if no threshold
            decides.
        rule: ``fixed`` (given beforehand), ``youden`` (chosen as the largest Youden index),
            ``convention`` (0.5, since nothing was given and there were too few rows to choose
            on: 20, of both classes, are needed), ``decisions`` (the file says what was decided)
            or ``highest score`` (of the classes).
        rows: Number of rows that it was, or would have been, chosen on.
        chosen_on: Which rows chose it, as far as the settings say, or were too few to choose
            one. ``test`` makes every number that hangs on it too good.
    """

    target: str = ""
    value: Number
    rule: Literal["fixed", "youden", "convention", "decisions", "highest score"]
    rows: int = 0
    chosen_on: ChosenOn = "not stated"


def choose_thresholds(predictions: Predictions, spec: AuditSpec) -> tuple[Threshold, ...]:
    """The threshold of each target.

    Args:
        predictions: With validation rows, if thresholds are to be chosen.
        spec: Which thresholds are given, and which rows choose or chose them. Test rows choose
            only if the spec says so; the report carries a watermark then.

    Raises:
        InputError: A threshold is given for a target that there is not.
    """
    if isinstance(spec.threshold, dict):
        for name in spec.threshold:
            if name not in predictions.targets:
                raise unknown_name("target", name, predictions.targets, "threshold")
    stated: ChosenOn = spec.threshold_rows or "not stated"
    rows = predictions.only(spec.threshold_rows or "validation")
    if "decision" in predictions.given:
        count = len(rows.table)
        nan = float("nan")
        return tuple(
            Threshold(target=name, value=nan, rule="decisions", rows=count, chosen_on=stated)
            for name in predictions.targets
        )
    if predictions.task == "multiclass":
        return (Threshold(value=float("nan"), rule="highest score"),)
    unset = dict.fromkeys(predictions.targets, 0.5)
    return tuple(
        _choose(target, rows.weight, _given(spec, target.name), stated)
        for target in rows.answers(unset)
    )


def decided_from(thresholds: Sequence[Threshold]) -> dict[str, float]:
    """Threshold of each target that has one; NaN where the file says what was decided.

    Classes of a multiclass task are left out: of them the highest score decides.
    """
    return {each.target: each.value for each in thresholds if each.rule != "highest score"}


def _given(spec: AuditSpec, target: str) -> float | None:
    if isinstance(spec.threshold, dict):
        return spec.threshold.get(target)
    return spec.threshold


def _choose(target: Target, weight: Array, given: float | None, stated: ChosenOn) -> Threshold:
    known = target.known & (weight > 0)
    label, score, count = target.label[known], target.score[known], int(known.sum())
    looked_at: ChosenOn = "test" if stated == "test" else "validation"
    found = Threshold(
        target=target.name, value=CONVENTION, rule="convention", rows=count, chosen_on=looked_at
    )
    if given is not None:
        given_by = {"value": given, "rule": "fixed", "chosen_on": stated}
        return found.model_copy(update=given_by)
    if count >= MINIMUM_ROWS and len(np.unique(label)) == 2:
        best = youden(label, score, weight[known])
        return found.model_copy(update={"value": best, "rule": "youden"})
    return found


def youden(label: Array, score: Array, weight: Array) -> float:
    r"""The threshold with the largest :math:`J = \mathrm{TPR} - \mathrm{FPR}`.

    Args:
        label: 0 or 1, both present, ``[n]``.
        score: ``[n]``.
        weight: ``[n]`` > 0.

    Returns:
        The midpoint between the chosen score and the next lower one, so that it does not hang
        on the last digits of one sample; the lowest score if all are decided positive. Ties of
        J take the highest.

    References:
        Youden (1950), *Index for rating diagnostic tests*, Cancer 3, 32-35.

    Examples:
        >>> youden(np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.5, 0.9]), np.ones(4))
        0.4
    """
    values = np.unique(score)[::-1]
    sums = [each[::-1].cumsum() for each in by_score(label, score, weight)]
    true, false = (each / each[-1] for each in sums)
    best = int(np.argmax(true - false))
    lower = values[best + 1] if best + 1 < len(values) else values[best]
    return float((values[best] + lower) / 2)
