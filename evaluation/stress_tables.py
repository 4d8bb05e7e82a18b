"""Tables of the stress matrix."""

from collections.abc import Sequence

from markupsafe import Markup

from evaluation.breakdown import Breakdown
from evaluation.metric import METRICS
from evaluation.populations import AXES, at_home, goodness, group, level, measured_in, population
from evaluation.section import UNDEFINED, joined, paragraph, spoken, table, with_interval
from evaluation.stress import Shift, StressCell

def _worst_table(found: Sequence[StressCell], metrics: Sequence[str]) -> Markup:
    rows = []
    for metric in metrics:
        for scope in ("overall", "worst group"):
            cells = [c for c in found if (c.metric, c.scope) == (metric, scope)]
            firm = [cell for cell in cells if cell.state == "adequate"]
            if cells:
                rows.append((METRICS.get(metric).label, *_worst_row(scope, firm)))
    head = ["Metric", "Of", "In this sample", "At worst elsewhere", "In a population with"]
    return table(head, rows)


def _worst_row(scope: str, firm: Sequence[StressCell]) -> tuple[object, ...]:
    of = "all samples" if scope == "overall" else "worst group"
    home = [cell for cell in firm if at_home(cell)]
    if not firm or not home:
        return of, UNDEFINED, UNDEFINED, "too little evidence"
    here, worst = min(home, key=goodness), min(firm, key=goodness)
    shown = _with_group(here), _with_group(worst)
    if not goodness(worst) < goodness(here) - 1e-6:
        return of, shown[0], "nowhere worse", ""
    return of, *shown, population(worst)


def _with_group(cell: StressCell) -> Markup:
    shown = with_interval(cell.value, cell.low, cell.high)
    return shown if cell.scope == "overall" else shown + f" {cell.group}"


_COUNTED = "For every target: whether a clause fails here already, or under how many shifts."


def _counted(
    found: Sequence[Breakdown], targets: Sequence[str], clauses: Sequence[str]
) -> Markup:
    def cell(target: str, clause: str) -> str:
        some = [each for each in found if (each.target, each.clause) == (target, clause)]
        broken = [each for each in some if each.side]
        if any(each.side == "observed" for each in some):
            return "fails here already"
        return f"{len(broken) or 'none'} of {len(some)}" if some else UNDEFINED

    rows = [(spoken(name), *(cell(name, clause) for clause in clauses)) for name in targets]
    return table(["Target", *clauses], rows)


def _matrix(found: Sequence[StressCell]) -> Markup:
    """Every number: a table for each shift, levels across."""
    families: dict[tuple[Shift, str], list[StressCell]] = {}
    for cell in found:
        families.setdefault((cell.shift, group(cell)), []).append(cell)
    parts = [paragraph(_SIGNS)]
    for (shift, about), cells in families.items():
        name = AXES[shift] if shift != "worst case" else "Worst case, samples moved"
        parts.append(Markup("<h4>{}</h4>").format(f"{name}: {about}" if about else name))
        parts.append(_family(cells))
    return joined(parts)


_SIGNS = (
    "* is this sample itself. ? rests on too few effective patients, whose number follows. – is "
    "undefined: no such population exists with this prevalence and these groups, or the metric "
    "has no value in it."
)


def _family(cells: Sequence[StressCell]) -> Markup:
    levels = sorted({cell.level for cell in cells})
    home = cells[0].observed
    head = ["Metric", "Of", *(_level_head(cells[0].shift, each, home) for each in levels)]
    curves: dict[tuple[str, str], dict[float, StressCell]] = {}
    for cell in cells:
        curves.setdefault((cell.metric, measured_in(cell)), {})[cell.level] = cell
    rows = [
        (METRICS.get(metric).label, of, *(_shown(curve.get(each)) for each in levels))
        for (metric, of), curve in curves.items()
    ]
    return table(head, rows)


def _level_head(shift: Shift, value: float, home: float) -> str:
    return level(shift, value) + ("*" if value == home else "")


def _shown(cell: StressCell | None) -> str:
    if cell is None or cell.state == "undefined":
        return UNDEFINED
    if cell.state == "insufficient":
        return f"{cell.value:.2f}? {cell.effective:.0f}"
    return f"{cell.value:.2f} ({cell.low:.2f} to {cell.high:.2f})"
