"""The worst population within a stated distance of the sample."""

import numpy as np

from evaluation.metric import Array, Metric, ratio


def worst_population(
    joint: Array,
    numerator: Array,
    denominator: Array,
    *,
    to: int,
    distance: float,
    higher_is_better: bool,
) -> Array:
    r"""The population that makes a share or mean worst by adding to one cell, exactly.

    The population may differ from the sample in at most a share ``distance`` of its samples,
    which come from one cell and no longer from others (total variation). Among all such
    populations q it has the worst

    .. math:: \frac{\sum_c q_c a_c}{\sum_c q_c b_c}

    For a given value of the ratio the best move is greedy: from the cells that speak most for
    the model. Repeating with the ratio reached so far (Dinkelbach) ends at the optimum after a
    few steps. The worst population within the distance adds to one cell only, so it is the
    worst of those found for each cell.

    Args:
        joint: :math:`p`, ``[cell]`` shares of the sample, sum to 1.
        numerator: :math:`a \ge 0`, ``[cell]``, mean of the cell; not read where the share is 0.
        denominator: :math:`b \ge 0`, ``[cell]``, with a = 0 where b = 0.
        to: The cell that is added to; its share is above 0.
        distance: Total variation, in [0, 1].
        higher_is_better: Whether the worst is the lowest ratio.

    Returns:
        :math:`q`, ``[cell]``, sums to 1; the sample itself if the ratio is 0 / 0 there, or if
        nothing makes it worse.

    References:
        Dinkelbach (1967), *On nonlinear fractional programming*, Management Science 13,
        492-498; Ben-Tal, den Hertog, De Waegenaere, Melenberg and Rennen (2013), *Robust
        solutions of optimization problems affected by uncertain probabilities*, Management
        Science 59, 341-357 (total variation among the divergences).

    Examples:
        >>> worst_population(
        ...     np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.8, 0.6]), np.ones(3),
        ...     to=2, distance=0.1, higher_is_better=True)
        array([0.4, 0.3, 0.3])
    """
    sign = 1.0 if higher_is_better else -1.0
    mean = sign * np.where(joint > 0, numerator, 0.0)
    base = np.where(joint > 0, denominator, 0.0)
    worst, value = joint, float(ratio(joint @ mean, joint @ base))
    while not np.isnan(value):
        moved = _moved(joint, mean - value * base, to, distance)
        reached = float(ratio(moved @ mean, moved @ base))
        # Each step is strictly better until rounding is all that is left.
        if not reached < value - 1e-14 * max(1.0, abs(value)):
            break
        worst, value = moved, reached
    return worst


def _moved(joint: Array, cost: Array, to: int, distance: float) -> Array:
    """The population of least mean cost within the distance."""
    order = np.argsort(-cost, kind="stable")
    there = np.where(cost > cost[to], joint, 0.0)[order]
    before = np.cumsum(there) - there
    taken = np.zeros_like(joint)
    taken[order] = np.clip(distance - before, 0.0, there)
    moved = joint - taken
    moved[to] += taken.sum()
    return moved


def bound_of_worst(
    point: Array, draws: Array, confidence: float, *, higher_is_better: bool
) -> float:
    r"""How good the worst of several populations may truly be.

    The worst of several estimates is biased: it is rather the one that chance made worst. Every
    population bounds the worst one, so the truth is at most as good as each of the bounds

    .. math:: \hat\theta_t + k s_t

    that hold for all populations t at once. A population that is hard to estimate (large
    :math:`s_t`) does not loosen the bound.

    Args:
        point: :math:`\hat\theta`, ``[population]``, no NaN.
        draws: ``[population, draw]``; draws with a NaN are left out.
        confidence: Of the two-sided interval whose better end this is.
        higher_is_better: Whether the worst is the lowest.

    Returns:
        The bound. NaN if no draw is complete or none varies.

    References:
        Chernozhukov, Lee and Rosen (2013), *Intersection bounds: estimation and inference*,
        Econometrica 81, 667-737, section 3.

    >>> draws = np.array([[0.4, 0.6], [0.5, 0.9]])
    >>> round(bound_of_worst(np.array([0.5, 0.7]), draws, 0.95, higher_is_better=True), 3)
    0.595
    """
    sign = 1.0 if higher_is_better else -1.0
    drawn = sign * draws[:, ~np.isnan(draws).any(axis=0)]
    varying = np.ptp(drawn, axis=1) > 1e-12 if drawn.size else np.zeros(len(draws), bool)
    if not varying.any():
        return float("nan")
    centre, drawn = sign * point[varying, None], drawn[varying]
    error = drawn.std(axis=1, keepdims=True)
    reach = np.quantile(((centre - drawn) / error).max(axis=0), (1 + confidence) / 2)
    return float(sign * (centre + reach * error).min())


def event_share(metric: Metric, decided: Array) -> tuple[Array, Array] | None:
    """Numerator and denominator of a share of events, in each cell.

    Args:
        metric: Reads decisions and is a share of events among the samples it needs.
        decided: ``[2, category]`` share of the samples decided positive, label first.

    Returns:
        Two arrays ``[2, category]``; None if the metric is not such a share.
    """
    if not (metric.proportion and metric.reads == "decision"):
        return None
    # One sample of each kind says whether it counts (not NaN) and whether it is an event.
    kinds = [[metric([label], [decision]) for decision in (0, 1)] for label in (0, 1)]
    event = np.array(kinds)[:, None, :]
    share = np.stack([1 - decided, decided], axis=-1)
    return (share * np.nan_to_num(event)).sum(axis=-1), (share * ~np.isnan(event)).sum(axis=-1)
