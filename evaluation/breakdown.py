"""Breakdown point: how far a population may shift before something no longer holds."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from evaluation.settings import Number, Settings
from evaluation.stress import Scope, Shift, StressCell

# What the cells of a curve have in common.
_CURVE = ("target", "metric", "shift", "attribute", "category", "scope")


class Breakdown(Settings):
    """How far a population may shift before something no longer holds.

    Attributes:
        clause: What no longer holds, such as a clause of a policy as a sentence.
        target: The finding or class; empty for a binary task.
        metric: Name of the metric.
        shift: What differs from the sample.
        attribute: As of the curve's cells.
        category: As of the curve's cells.
        scope: As of the curve's cells.
        side: Where it fails: at the ``observed`` level already, ``below`` or ``above`` it;
            empty if it holds wherever that could be judged.
        level: The level nearest to the observed one at which it fails, among those computed;
            NaN if it holds at all of them, or none could be judged.
        observed: Level of the sample itself.
        reason: How many levels could not be judged, if any, as their evidence is not adequate.
    """

    clause: str = ""
    target: str = ""
    metric: str
    shift: Shift
    attribute: str
    category: str
    scope: Scope
    side: Literal["", "observed", "below", "above"]
    level: Number
    observed: Number
    reason: str = ""


def breakdown(
    cells: Iterable[StressCell], holds: Callable[[StressCell], bool]
) -> tuple[Breakdown, ...]:
    """The nearest level of each curve at which something fails.

    Args:
        cells: As of :func:`stress`, in any order.
        holds: Says of an adequate cell whether what is asked for holds there, such as that the
            lower end of its interval reaches a bound. It is not asked about other cells.

    Returns:
        One finding for each curve, in the order of their first cells. Of two levels equally
        far from the observed one, the lower is named.
    """
    curves: dict[tuple[str, ...], list[StressCell]] = {}
    for cell in cells:
        curves.setdefault(_curve_of(cell), []).append(cell)
    return tuple(_breakdown(curve, holds) for curve in curves.values())


def _curve_of(cell: StressCell) -> tuple[str, ...]:
    return tuple(getattr(cell, name) for name in _CURVE)


def _breakdown(curve: Sequence[StressCell], holds: Callable[[StressCell], bool]) -> Breakdown:
    near = sorted(curve, key=lambda cell: (abs(cell.level - cell.observed), cell.level))
    first = next((c for c in near if c.state == "adequate" and not holds(c)), None)
    nearer = near if first is None else near[: near.index(first)]
    unjudged = sum(cell.state not in ("adequate", "impossible") for cell in nearer)
    among = f"of {len(curve)} levels" if first is None else "nearer levels"
    return Breakdown(
        **{name: getattr(curve[0], name) for name in _CURVE},
        side="" if first is None else _side(first),
        level=float("nan") if first is None else first.level,
        observed=curve[0].observed,
        reason=f"{unjudged} {among} could not be judged" if unjudged else "",
    )


def _side(cell: StressCell) -> Literal["observed", "below", "above"]:
    if cell.level == cell.observed:
        return "observed"
    return "below" if cell.level < cell.observed else "above"
