"""How far groups are from all samples, with intervals that hold for all groups at once."""

from typing import NamedTuple

import numpy as np

from evaluation.intervals import UNDEFINED_DRAWS
from evaluation.metric import Array


class Furthest(NamedTuple):
    """The group that is furthest from all samples.

    Attributes:
        value: Its distance, >= 0; NaN if there is no group.
        low: Lower end of the largest true distance's interval, >= 0; NaN if there is none.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def furthest(
    point: Array,
    draws: Array,
    overall: float,
    overall_draws: Array,
    blind: Array,
    confidence: float,
) -> Furthest:
    r"""Largest distance of several groups from all samples together.

    Args:
        point: ``[group]``, no NaN.
        draws: ``[draw, group]``, NaN where undefined; may be minus infinite.
        overall: Of all samples.
        overall_draws: ``[draw]``.
        blind: ``[group]`` >= 0, how far a group may be off that no draw shows.
        confidence: In (0, 1).

    Returns:
        The distance. If :math:`q` bounds how far all distances stray together, the largest true
        one lies within :math:`q` of the estimate, so that the interval may hold 0. No interval
        if more than 5 % of the draws are undefined.

    Examples:
        >>> draws = np.array([[0.2, 0.5], [0.4, 0.5], [0.3, 0.6]])
        >>> found = furthest(np.array([0.3, 0.5]), draws, 0.4, np.full(3, 0.4), np.zeros(2), 0.9)
        >>> [round(end, 2) for end in found]
        [0.1, 0.0, 0.2]
    """
    if len(point) == 0 or np.isnan(overall):
        return Furthest(np.nan, np.nan, np.nan)
    value = float(np.abs(point - overall).max())
    with np.errstate(invalid="ignore"):
        deviation = np.abs((draws - overall_draws[:, None]) - (point - overall))
    defined = ~np.isnan(deviation).any(axis=1)
    if not defined.any() or defined.mean() < 1 - UNDEFINED_DRAWS:
        return Furthest(value, np.nan, np.nan)
    largest = deviation[defined].max(axis=1)
    reach = float(np.quantile(largest, confidence, method="higher")) + float(blind.max())
    return Furthest(value, max(value - reach, 0.0), value + reach)
