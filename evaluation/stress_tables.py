"""Tables of the stress matrix."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from evaluation.breakdown import Breakdown
from evaluation.metric import METRICS
from evaluation.populations import (
    AXES,
    at_home,
    goodness,
    group,
    level,
    measured_in,
    population,
)
from evaluation.section import UNDEFINED, joined, paragraph, spoken, table, with_interval
from evaluation.stress import Shift, StressCell

_SIGNS = (
    "* is this sample itself. ? rests on too few patients, whose effective number follows. "
    "– is undefined: there is no such population, or the metric has no value in it."
)


def worst_elsewhere(found: Sequence[StressCell], metrics: Sequence[str]) -> Markup:
    """Each metric here and in the worst population, over all samples and in the worst group.

    Args:
        found: Of one target.
        metrics: In the order of the rows.
    """
    rows = []
    for metric in metrics:
        for scope, of in (("overall", "all samples"), ("worst group", "worst group")):
            cells = [c for c in found if (c.metric, c.scope) == (metric, scope)]
            firm = [cell for cell in cells if cell.state == "adequate"]
            if cells:
                rows.append((METRICS.get(metric).label, of, *_here_and_worst(firm)))
    head = ["Metric", "Of", "In this sample", "At worst elsewhere", "In a population with"]
    return table(head, rows)


def _here_and_worst(firm: Sequence[StressCell]) -> tuple[object, ...]:
    home = [cell for cell in firm if at_home(cell)]
    if not home:
        return UNDEFINED, UNDEFINED, "too little evidence"
    here, worst = min(home, key=goodness), min(firm, key=goodness)
    if not goodness(worst) < goodness(here) - 0.0005:
        return _with_group(here), "nowhere worse", ""
    return _with_group(here), _with_group(worst), population(worst)


def _with_group(cell: StressCell) -> Markup:
    shown = with_interval(cell.value, cell.low, cell.high)
    return shown if cell.scope == "overall" else Markup("{} {}").format(shown, cell.group)


def counted(found: Sequence[Breakdown]) -> Markup:
    """Each target and clause: under how many shifts it begins to fail."""
    cells: dict[tuple[str, str], list[Breakdown]] = {}
    for each in found:
        cells.setdefault((each.target, each.clause), []).append(each)
    clauses = list(dict.fromkeys(clause for _, clause in cells))
    rows = [
        (spoken(name), *(_how_many(cells.get((name, clause), [])) for clause in clauses))
        for name in dict.fromkeys(name for name, _ in cells)
    ]
    return table(["Target", *clauses], rows)


def _how_many(found: Sequence[Breakdown]) -> str:
    if not found:
        return UNDEFINED
    if any(each.side == "observed" for each in found):
        return "fails here already"
    broken = sum(bool(each.side) for each in found)
    return f"{broken or 'none'} of {len(found)}"


def every_number(found: Sequence[StressCell]) -> Markup:
    """All cells of a target: a table for each shift, levels across."""
    families: dict[tuple[Shift, str], list[StressCell]] = {}
    for cell in found:
        # A cell that must not be shown has no level either.
        if not np.isnan(cell.level):
            families.setdefault((cell.shift, group(cell)), []).append(cell)
    parts = [paragraph(_SIGNS)]
    for (shift, about), cells in families.items():
        name = f"{AXES[shift]}: {about}" if about else AXES[shift]
        parts += [Markup("<h3>{}</h3>").format(name), _family(cells)]
    return joined(parts)


def _family(cells: Sequence[StressCell]) -> Markup:
    shift, home = cells[0].shift, cells[0].observed
    levels = sorted({cell.level for cell in cells})
    head = [level(shift, each) + ("*" if each == home else "") for each in levels]
    curves: dict[tuple[str, str], dict[float, StressCell]] = {}
    for cell in cells:
        curves.setdefault((cell.metric, measured_in(cell)), {})[cell.level] = cell
    rows = [
        (METRICS.get(metric).label, of, *(_shown(curve.get(each)) for each in levels))
        for (metric, of), curve in curves.items()
    ]
    return table(["Metric", "Of", *head], rows)


def _shown(cell: StressCell | None) -> str:
    if cell is None or cell.state == "undefined" or np.isnan(cell.value):
        return UNDEFINED
    if cell.state == "insufficient":
        return f"{cell.value:.2f}? {cell.effective:.0f}"
    return f"{cell.value:.2f} ({cell.low:.2f} to {cell.high:.2f})"
