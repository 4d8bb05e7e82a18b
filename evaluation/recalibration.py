"""Cox recalibration: the logistic regression of the label on the logit of the score."""

import numpy as np
from scipy.special import expit, logit

from evaluation.metric import Array, by_score, ratio

#: Scores are kept so far away from 0 and 1, whose logits are infinite.
EDGE = 1e-8

_CLOSE = 1e-7  # of the log odds of any sample; the error left after that step is its square
_STEPS = 50
_PERFECT = np.array([0.0, 1.0])
_CELLS_AT_ONCE = 50_000  # of (draw, score) pairs, so that they stay in the cache


def recalibration(
    label: Array, score: Array, weight: Array, *, free_slope: bool
) -> tuple[Array, Array]:
    r"""Fit :math:`\operatorname{logit} P(y=1) = a + b \operatorname{logit} s`.

    Maximum likelihood by Newton's method, each step shortened as far as makes every step an
    ascent, so that it finds the maximum wherever there is one. A step costs one pass over the
    distinct scores.

    Args:
        label: ``[n]``, 0 or 1.
        score: ``[n]`` in [0, 1]; kept 1e-8 away from both ends.
        weight: ``[..., n]`` >= 0.
        free_slope: Whether b is fitted; else it is 1.

    Returns:
        Intercept a and slope b, each ``[...]``. NaN where a class has no weight and, with a
        free slope, where all scores are the same or where there is no maximum: the classes do
        not overlap, so that ever steeper curves fit ever better. Slopes so steep that 50 steps
        do not reach them count as the latter.

    References:
        Cox (1958), *Two further applications of a model for binary regression*, Biometrika 45,
        562-565; Sun and Tran-Dinh (2019), *Generalized self-concordant functions: a recipe for
        Newton-type methods*, Math. Programming 178, 145-213 (the length of a step; the
        logistic loss is their case :math:`\nu = 2`).

    Examples:
        >>> a, b = recalibration(np.array([0, 1, 0, 1]), np.array([0.2, 0.2, 0.8, 0.8]),
        ...     np.array([4.0, 1.0, 1.0, 4.0]), free_slope=True)
        >>> round(float(b), 6)
        1.0
    """
    shape = weight.shape[:-1]
    if len(label) == 0:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    safe = np.clip(score, EDGE, 1 - EDGE)
    positive, negative = by_score(label, safe, weight.reshape(-1, len(label)))
    odds = logit(np.unique(safe))
    fitted = np.full((len(positive), 2), np.nan)
    defined = positive.any(axis=-1) & negative.any(axis=-1)
    if free_slope:
        defined &= ((positive > 0) | (negative > 0)).sum(axis=-1) > 1
    draws, size = np.flatnonzero(defined), max(1, _CELLS_AT_ONCE // len(odds))
    near = _PERFECT
    if len(draws) > 1:
        # Draws differ little from their mean: from its fit, half of the steps are enough.
        mean = [each[draws].mean(axis=0, keepdims=True) for each in (positive, negative)]
        (near,) = _fit(odds, mean[0], mean[1], _PERFECT, free_slope)
        near = near if np.isfinite(near).all() else _PERFECT
    for start in range(0, len(draws), size):
        some = draws[start : start + size]
        fitted[some] = _fit(odds, positive[some], negative[some], near, free_slope)
    return fitted[:, 0].reshape(shape), fitted[:, 1].reshape(shape)


def _fit(odds: Array, positive: Array, negative: Array, near: Array, free_slope: bool) -> Array:
    """Intercept and slope, ``[draw, 2]``, from weights ``[draw, score]`` of both classes.

    The search begins at the intercept and slope ``near``.
    """
    middle = odds.mean()
    centred = odds - middle  # else the information of a narrow score would cancel
    powers = np.stack([np.ones_like(centred), centred, centred**2], axis=-1)
    total, hits = positive + negative, positive @ powers[:, :2]
    fitted = np.full((len(total), 2), np.nan)
    running = np.arange(len(total))
    now = np.tile([near[0] + middle * near[1], near[1]], (len(total), 1))
    for number in range(_STEPS):
        # All begin at one place, so that the first step needs one exponential a score.
        step = _newton_step(now if number else now[:1], powers, total, hits, free_slope)
        ends = step[:, :1] + step[:, 1:] * centred[[0, -1]]
        reach = np.abs(ends).max(axis=-1)
        now = now + step * (np.log1p(reach) / np.where(reach > 0, reach, 1.0))[:, None]
        done = reach < _CLOSE
        fitted[running[done]] = now[done]
        left = ~done & np.isfinite(reach)
        if not left.any():
            break
        if not left.all():
            running, now, total, hits = running[left], now[left], total[left], hits[left]
    fitted[:, 0] -= middle * fitted[:, 1]
    return fitted


def _newton_step(
    now: Array, powers: Array, total: Array, hits: Array, free_slope: bool
) -> Array:
    """Change ``[draw, 2]`` of intercept and slope; NaN where the information is singular.

    ``now`` is ``[draw, 2]``, or ``[1, 2]`` where all draws are at one place.
    """
    chance = expit(now[:, :1] + now[:, 1:] * powers[:, 1])
    expected = total * chance
    gradient = hits - expected @ powers[:, :2]
    expected *= 1 - chance
    zeroth, first, second = (expected @ powers).T
    if not free_slope:
        return np.stack([ratio(gradient[:, 0], zeroth), np.zeros_like(zeroth)], axis=-1)
    determinant = zeroth * second - first**2
    solved = [
        second * gradient[:, 0] - first * gradient[:, 1],
        zeroth * gradient[:, 1] - first * gradient[:, 0],
    ]
    return ratio(np.stack(solved, axis=-1), determinant[:, None])
