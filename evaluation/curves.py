"""ROC and precision-recall curves, thinned to what a figure shows."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evaluation.groups import Group
from evaluation.metric import REASONS, Array, by_score, ratio
from evaluation.settings import Settings
from evaluation.target import Target

Kind = Literal["roc", "precision recall"]

#: Points that a curve has at most.
MOST_POINTS = 100

# Nearer to the drawn line than this, a point cannot be seen in a figure of 500 pixels.
_VISIBLE = 0.001


class Curve(Settings):
    """One curve of one group; every point lies exactly on the curve of the samples.

    Attributes:
        target: Name of the target.
        group: Name of the group.
        kind: ``roc`` (x: false-positive rate, y: sensitivity) or ``precision recall`` (x:
            sensitivity, y: positive predictive value), from the highest threshold to the
            lowest.
        x: ``[point]`` in [0, 1], not decreasing; empty if there is no curve.
        y: ``[point]`` in [0, 1].
        reason: Why there is no curve, else empty.
    """

    target: str = ""
    group: str
    kind: Kind
    x: tuple[float, ...]
    y: tuple[float, ...]
    reason: str = ""


def curves(
    targets: Sequence[Target], groups: Sequence[Group], weight: Array
) -> tuple[Curve, ...]:
    """ROC and precision-recall curve of each target in each group.

    Args:
        targets: Those with more than two classes as a whole have no score and are left out.
        groups: Their rows index into ``[n]``; empty groups are allowed.
        weight: ``[n]`` >= 0; samples of weight 0 take no part.

    Returns:
        Two curves for each target and group. Of longer curves the 100 points are kept that
        matter most to the eye. A ROC curve begins at (0, 0); a precision-recall curve begins at
        the highest score, there being no precision above it.
    """
    found = []
    for target in targets:
        if target.classes != 2:
            continue
        for group in groups:
            rows = group.rows[target.known[group.rows]]
            rows = rows[weight[rows] > 0]
            found += _both(target, group, rows, weight)
    return tuple(found)


def _both(target: Target, group: Group, rows: Array, weight: Array) -> list[Curve]:
    label = target.label[rows]
    reason = _absent(label)
    if reason in (REASONS["any"], REASONS["positive"]):
        kinds: tuple[Kind, ...] = ("roc", "precision recall")
        return [_curve(target, group, kind, np.empty((2, 0)), reason) for kind in kinds]
    positive, negative = by_score(label, target.score[rows], weight[rows])
    found, false = positive[::-1].cumsum(), negative[::-1].cumsum()
    recall = found / found[-1]
    fall_out = ratio(false, false[-1])
    roc = np.empty((2, 0)) if reason else np.stack([np.r_[0, fall_out], np.r_[0, recall]])
    return [
        _curve(target, group, "roc", roc, reason),
        _curve(target, group, "precision recall", np.stack([recall, found / (found + false)])),
    ]


def _absent(label: Array) -> str:
    if len(label) == 0:
        return REASONS["any"]
    if not (label == 1).any():
        return REASONS["positive"]
    return REASONS["negative"] if (label == 1).all() else ""


def _curve(target: Target, group: Group, kind: Kind, points: Array, reason: str = "") -> Curve:
    x, y = points[:, thinned(*points)] if points.size else points
    return Curve(
        target=target.name,
        group=group.name,
        kind=kind,
        x=tuple(x.tolist()),
        y=tuple(y.tolist()),
        reason=reason,
    )


def thinned(x: Array, y: Array, most: int = MOST_POINTS) -> Array:
    """Positions of the points to keep, ``[point]`` increasing.

    The ends are kept; then, until no point left out can be seen beside the line through those
    kept, the one furthest from it is added.

    Args:
        x: ``[n]``, n >= 1.
        y: ``[n]``.
        most: Points to keep at most, >= 2.

    References:
        Douglas and Peucker (1973), *Algorithms for the reduction of the number of points
        required to represent a digitized line or its caricature*, Cartographica 10, 112-122.

    >>> thinned(np.array([0.0, 0.0, 0.5, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    array([0, 1, 3])
    """
    ends = sorted({0, len(x) - 1})
    # Stretches between kept points, each with its furthest point and that one's distance.
    stretches = [_furthest(x, y, ends[0], ends[-1])]
    while len(ends) < most:
        worst = max(stretches)
        distance, middle, first, last = worst
        if distance <= _VISIBLE:
            break
        stretches.remove(worst)
        stretches += [_furthest(x, y, first, middle), _furthest(x, y, middle, last)]
        ends.append(middle)
    return np.array(sorted(ends))


def _furthest(x: Array, y: Array, first: int, last: int) -> tuple[float, int, int, int]:
    """Distance and position of the point furthest from the line between two points."""
    if last - first < 2:
        return 0.0, first, first, last
    across, up = x[last] - x[first], y[last] - y[first]
    dx, dy = x[first + 1 : last] - x[first], y[first + 1 : last] - y[first]
    length = across**2 + up**2
    along = np.clip((dx * across + dy * up) / length, 0, 1) if length > 0 else 0 * dx
    distance = np.hypot(dx - along * across, dy - along * up)
    middle = int(np.argmax(distance))
    return float(distance[middle]), first + 1 + middle, first, last
