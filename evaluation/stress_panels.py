"""Which curves of the stress matrix are drawn."""

from collections.abc import Iterator, Sequence

import numpy as np

from evaluation.figures.stress import Line, Panel, Row
from evaluation.metric import METRICS
from evaluation.policy import Policy
from evaluation.populations import group, measured_in, moves
from evaluation.stress import StressCell

_MOST = 4


def panels(
    policy: Policy | None, cells: Sequence[StressCell], metrics: Sequence[str]
) -> list[Row]:
    """The panels of one shift: a metric across, a row an attribute where groups are tied.

    Args:
        policy: Whose bounds are drawn.
        cells: Of one target and shift.
        metrics: In the order of their importance.

    Returns:
        Rows of equally many panels, four at most, of the first metrics that the shift moves;
        none if it moves nothing.
    """
    moved = [name for name in metrics if moves(c for c in cells if c.metric == name)][:_MOST]
    if not moved:
        return []
    bounds = {name: _bounds(policy, name, cells[0].shift) for name in moved}
    return [
        Row(
            about,
            [
                Panel(METRICS.get(name).label, _lines(drawn, name), bounds[name])
                for name in moved
            ],
        )
        for about, drawn in _rows(cells, moved)
    ]


def _rows(
    cells: Sequence[StressCell], metrics: Sequence[str]
) -> Iterator[tuple[str, list[StressCell]]]:
    """What each row is about, and the curves in it."""
    attributes = dict.fromkeys(cell.attribute for cell in cells)
    liveliest = [
        _liveliest([cell for cell in cells if cell.attribute == name], metrics)
        for name in attributes
    ]
    if cells[0].shift == "correlation":
        yield from ((group(drawn[0]), drawn) for drawn in liveliest)
    else:
        yield "", [cell for drawn in liveliest for cell in drawn]


def _liveliest(cells: Sequence[StressCell], metrics: Sequence[str]) -> list[StressCell]:
    """Of one attribute the curves of the category along which the metrics move most."""
    by_category: dict[str, list[StressCell]] = {}
    for cell in cells:
        by_category.setdefault(cell.category, []).append(cell)
    return max(by_category.values(), key=lambda inside: _movement(inside, metrics))


def _movement(cells: Sequence[StressCell], metrics: Sequence[str]) -> float:
    total = 0.0
    for name in metrics:
        values = [c.value for c in cells if c.metric == name and c.state == "adequate"]
        total += float(np.ptp(values)) if values else 0.0
    return total


def _lines(cells: Sequence[StressCell], metric: str) -> list[Line]:
    curves: dict[str, list[StressCell]] = {}
    for cell in cells:
        if cell.metric == metric:
            curves.setdefault(_line_name(cell), []).append(cell)
    return [Line(name, curve) for name, curve in curves.items()]


def _line_name(cell: StressCell) -> str:
    if cell.shift == "marginal":
        return group(cell)
    if cell.shift == "worst case":
        return f"by {cell.attribute}"
    return "worst group" if cell.category and cell.scope != "overall" else measured_in(cell)


def _bounds(policy: Policy | None, metric: str, shift: str) -> list[float]:
    """What is asked of the metric, of all samples, of groups, and under this shift."""
    anywhere = ("overall", "each group", "worst group")
    return [
        bound
        for clause in (policy.clause if policy else ())
        if clause.metric == metric and (clause.quantity in anywhere or clause.shift == shift)
        for bound in (clause.least, clause.maximum)
        if bound is not None
    ]
