"""The score from which a sample is decided positive, and which rows chose it."""

from typing import Literal

import numpy as np

from evaluation.metric import Array
from evaluation.predictions import Predictions
from evaluation.settings import Number, Settings

MINIMUM_ROWS = 20
CONVENTION = 0.5


class Threshold(Settings):
    """A decision threshold with its provenance.

    Attributes:
        value: A sample is decided positive if its score is at least this.
        rule: ``fixed`` (given beforehand), ``youden`` (chosen on validation rows) or
            ``convention`` (0.5, since nothing was given and there were too few validation rows
            to choose on: 20, of both classes, are needed).
        rows: Number of validation rows.
    """

    value: Number
    rule: Literal["fixed", "youden", "convention"]
    rows: int = 0


def choose_threshold(predictions: Predictions, given: float | None) -> Threshold:
    """The threshold to audit at. Test rows never take part in choosing it.

    Args:
        predictions: With validation rows, if one is to be chosen.
        given: A threshold fixed beforehand, or None to choose one.
    """
    validation = predictions.only("validation").table
    if given is not None:
        return Threshold(value=given, rule="fixed", rows=len(validation))
    if len(validation) < MINIMUM_ROWS or validation["label"].nunique() < 2:
        return Threshold(value=CONVENTION, rule="convention", rows=len(validation))
    value = youden(validation["label"].to_numpy(), validation["score"].to_numpy())
    return Threshold(value=value, rule="youden", rows=len(validation))


def youden(label: Array, score: Array) -> float:
    r"""The threshold with the largest :math:`J = \mathrm{TPR} - \mathrm{FPR}`.

    Args:
        label: 0 or 1, both present, ``[n]``.
        score: ``[n]``.

    Returns:
        The midpoint between the chosen score and the next lower one, so that it does not hang
        on the last digits of one sample; the lowest score if all are decided positive. Ties of
        J take the highest.

    References:
        Youden (1950), *Index for rating diagnostic tests*, Cancer 3, 32-35.

    Examples:
        >>> youden(np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.5, 0.9]))
        0.4
    """
    values = np.unique(score)[::-1]
    rate = [
        1 - np.searchsorted(np.sort(score[label == y]), values) / (label == y).sum()
        for y in (0, 1)
    ]
    best = int(np.argmax(rate[1] - rate[0]))
    lower = values[best + 1] if best + 1 < len(values) else values[best]
    return float((values[best] + lower) / 2)
