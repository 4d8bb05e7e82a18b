"""Which curves of the stress matrix are drawn."""

from collections.abc import Iterator, Sequence

import numpy as np

from evaluation.audit import Audit
from evaluation.figures.stress import Line, Panel
from evaluation.metric import METRICS
from evaluation.populations import group, measured_in
from evaluation.stress import Shift, StressCell

def _titled(metric: str, about: str) -> str:
    label = METRICS.get(metric).label
    return f"{label}, {about}" if about else label


def _rows(
    cells: Sequence[StressCell], metrics: Sequence[str]
) -> Iterator[tuple[str, Callable[[str], list[Line]]]]:
    """What each row of panels is about, and its lines by metric."""
    if cells[0].shift != "correlation":
        yield "", partial(_lines, _liveliest(cells, metrics))
        return
    for attribute in dict.fromkeys(cell.attribute for cell in cells):
        drawn = _liveliest([c for c in cells if c.attribute == attribute], metrics)
        yield group(drawn[0]), partial(_lines, drawn)


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


def _liveliest(cells: Sequence[StressCell], metrics: Sequence[str]) -> list[StressCell]:
    """Of each attribute the category along whose curves the metrics move most."""
    kept: list[StressCell] = []
    for attribute in dict.fromkeys(cell.attribute for cell in cells):
        inside = [cell for cell in cells if cell.attribute == attribute]
        categories = list(dict.fromkeys(cell.category for cell in inside))
        best = max(categories, key=lambda name: _range(inside, name, metrics))
        kept += [cell for cell in inside if cell.category == best]
    return kept


def _range(cells: Sequence[StressCell], category: str, metrics: Sequence[str]) -> float:
    total = 0.0
    for metric in metrics:
        values = [
            cell.value
            for cell in cells
            if (cell.metric, cell.category, cell.state) == (metric, category, "adequate")
        ]
        total += float(np.ptp(values)) if values else 0.0
    return total


def _bounds(audit: Audit, metric: str, shift: Shift) -> list[float]:
    """What the policy asks of the metric, overall, of groups, and under this shift."""
    asked = ("overall", "each group", "worst group")
    return [
        bound
        for clause in (audit.policy.clause if audit.policy else ())
        if clause.metric == metric and (clause.quantity in asked or clause.shift == shift)
        for bound in (clause.least, clause.maximum)
        if bound is not None
    ]


