"""Loess of a value over the score, for many weightings of the same samples at once."""

import numpy as np
from scipy import sparse

from evaluation.metric import Array, ratio

#: Share of the samples that each local fit looks at.
SPAN = 0.75

# Even on the arcsine scale, where all proportions are equally uncertain, so that a group whose
# scores are all small is resolved too: 0.0004 apart at the ends, 0.02 in the middle.
_NODES = np.sin(np.linspace(0, np.pi / 2, 81)) ** 2

# Of a slope and a curvature that the data do not determine: then they are 0.
_RIDGE = 1e-8

_ROUNDING = 1e-9
_CELLS_AT_ONCE = 100_000  # of (node, draw, node), so that they stay in the cache


def loess(score: Array, value: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Local quadratic fits on a grid, to the nearest three quarters of the samples.

    It is the loess of Cleveland in its usual setting (span 0.75, degree 2, tricube kernel, no
    robustness steps), but for the grid: each sample is first divided between the two nodes next
    to its score, in proportion to its nearness. Its cost is one pass over the samples; the fits
    themselves do not depend on their number.

    Args:
        score: ``[n]`` in [0, 1]; n >= 1.
        value: ``[n]``.
        weight: ``[draw, n]`` >= 0.

    Returns:
        Score of the nodes ``[node]``, weight of the samples at each ``[draw, node]``, and the
        smoothed value there ``[draw, node]``. At most 81 nodes. Where the scores near a node
        are too few for a slope or a curvature, that is taken for 0. Not to be read at nodes
        without weight.

    References:
        Cleveland and Devlin (1988), *Locally weighted regression: an approach to regression
        analysis by local fitting*, J. Am. Statist. Assoc. 83, 596-610; Fan and Marron (1994),
        *Fast implementations of nonparametric curve estimators*, J. Comput. Graph. Statist. 3,
        35-56 (the division between nodes).

    Examples:
        >>> score = np.linspace(0.2, 0.8, 7)
        >>> node, _, curve = loess(score, score**2, np.ones((1, 7)))
        >>> bool(np.abs(curve - node**2).max() < 0.01)
        True
    """
    upper = np.clip(np.searchsorted(_NODES, score, side="right"), 1, len(_NODES) - 1)
    node = _NODES[upper.min() - 1 : upper.max() + 1]
    share = _shares(score, node, upper - upper.min() + 1)
    mass, moment = weight @ share, weight @ share.multiply(value[:, None]).tocsr()
    curve = np.empty_like(mass)
    size = max(1, _CELLS_AT_ONCE // len(node) ** 2)
    for start in range(0, len(mass), size):
        some = slice(start, start + size)
        curve[some] = _smooth(node, mass[some], moment[some])
    return node, mass, curve


def _shares(score: Array, node: Array, upper: Array) -> sparse.csr_array:
    """How much of each sample each node gets, ``[n, node]``."""
    above = (score - node[upper - 1]) / (node[upper] - node[upper - 1])
    rows = np.arange(len(score))
    places = np.concatenate([rows, rows]), np.concatenate([upper - 1, upper])
    shape = len(score), len(node)
    return sparse.csr_array((np.concatenate([1 - above, above]), places), shape=shape)


def _smooth(node: Array, mass: Array, moment: Array) -> Array:
    """Value of the local fits, ``[draw, node]``, from sums of weight and of weight x value."""
    reach = _reach(node, mass)
    offset = node - node[:, None]
    near = np.minimum(np.abs(offset)[:, None] / reach[..., None], 1.0)
    kernel = (1 - near**3) ** 3  # [node, draw, node]
    powers = offset[..., None] ** np.arange(5)
    scale = reach[..., None] ** -np.arange(5.0)
    s = np.moveaxis((kernel * mass) @ powers * scale, -1, 0)
    t = np.moveaxis((kernel * moment) @ powers[..., :3] * scale[..., :3], -1, 0)
    s, t = ratio(s, s[0]), ratio(t, s[0])  # else products of tiny weights would vanish
    # Cramer's rule for the constant of the quadratic that solves the normal equations.
    slope, curvature = s[2] + _RIDGE, s[4] + _RIDGE
    cofactors = (
        slope * curvature - s[3] ** 2,
        s[2] * s[3] - s[1] * curvature,
        s[1] * s[3] - s[2] * slope,
    )
    numerator = sum(c * moments for c, moments in zip(cofactors, t, strict=True))
    determinant = sum(c * moments for c, moments in zip(cofactors, s[:3], strict=True))
    return ratio(np.asarray(numerator), np.asarray(determinant)).T


def _reach(node: Array, mass: Array) -> Array:
    """Distance ``[node, draw]`` within which each node has its share of the weight."""
    distance = np.abs(node - node[:, None])
    order = np.argsort(distance, axis=-1, kind="stable")
    within = mass.T[order].cumsum(axis=1)  # [node, place by distance, draw]
    needed = SPAN * mass.sum(axis=-1) * (1 - _ROUNDING)
    # At least the nearest other node: a reach of 0 would leave nothing to divide by.
    place = np.clip((within < needed).sum(axis=1), 1, len(node) - 1)
    reach: Array = np.take_along_axis(np.sort(distance, axis=-1), place, axis=1)
    return reach
