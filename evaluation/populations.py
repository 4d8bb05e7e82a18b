"""The populations of the stress matrix in words."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from evaluation.breakdown import Breakdown
from evaluation.metric import METRICS
from evaluation.stress import Shift, StressCell

#: What is on the axis of a curve.
AXES: dict[Shift, str] = {
    "correlation": "Correlation of label and group",
    "prevalence": "Prevalence",
    "marginal": "Share of the group",
    "worst case": "Share of samples moved",
}


def level(shift: Shift, value: float) -> str:
    """How far a shift goes.

    >>> level("correlation", -0.5), level("prevalence", 0.05), level("worst case", 0.1)
    ('−0.50', '5 %', '10 %')
    """
    if np.isnan(value):
        return "unknown"
    text = f"{value:.2f}" if shift == "correlation" else f"{100 * value:.3g} %"
    return text.replace("-", "−")


def group(found: StressCell | Breakdown) -> str:
    """The group that is shifted, or the attribute whose groups are told apart.

    A name of a group is led by its attribute, as elsewhere.
    """
    return f"{found.attribute}: {found.category}" if found.category else found.attribute


def population(cell: StressCell) -> str:
    """A population, to be read after "in a population with"."""
    shown = level(cell.shift, cell.level)
    if cell.shift == "correlation":
        return f"a correlation of {shown} between the label and {group(cell)}"
    if cell.shift == "prevalence":
        return f"a prevalence of {shown}"
    if cell.shift == "marginal":
        return f"a share of {shown} of {group(cell)}"
    return f"{shown} of the samples moved in the worst way by {cell.attribute}"


def measured_in(found: StressCell | Breakdown) -> str:
    """Which samples a number is of."""
    if found.scope == "overall":
        return "all samples"
    return f"worst group by {found.attribute}"


def goodness(cell: StressCell) -> float:
    """The value turned so that larger is better; rounding makes no two cells differ."""
    return round(float(METRICS.get(cell.metric).goodness(np.array(cell.value))), 9)


def at_home(cell: StressCell) -> bool:
    """Whether the population is the sample itself."""
    return bool(cell.level == cell.observed)


def moves(cells: Iterable[StressCell]) -> bool:
    """Whether a metric differs between populations, on any of its curves, beyond rounding.

    Args:
        cells: Of one metric; those that are not adequate are passed over.
    """
    curves: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        if cell.state == "adequate":
            curve = (cell.shift, cell.attribute, cell.category, cell.scope)
            curves.setdefault(curve, []).append(cell.value)
    return any(np.ptp(values) > 1e-6 for values in curves.values())


def failures(found: Sequence[Breakdown]) -> list[str]:
    """Where a clause begins to fail, one sentence for each kind of shift.

    Args:
        found: Of one clause and target.
    """
    here = dict.fromkeys(measured_in(each) for each in found if each.side == "observed")
    sentences = [f"In this sample already: {', '.join(here)}."] if here else []
    shifts = dict.fromkeys(each.shift for each in found)
    for shift in shifts:
        broken = [each for each in found if each.shift == shift and each.side in _ONCE]
        if broken:
            places = "; ".join(_place(each) for each in broken)
            sentences.append(f"{_ONSET[shift]}: {places}.")
    return [*sentences, *_rest(found)]


_ONCE = {"below": "down to", "above": "up to"}
_ONSET: dict[Shift, str] = {
    "correlation": "Once the correlation of the label with a group moves",
    "prevalence": "Once the prevalence moves",
    "marginal": "Once the share of a group moves",
    "worst case": "Once so many of the samples are moved in the worst way",
}


def _place(found: Breakdown) -> str:
    far = level(found.shift, found.level)
    if found.shift == "worst case":
        return f"{far} by {found.attribute}"
    away = f"{_ONCE[found.side]} {far}, from {level(found.shift, found.observed)} here"
    about = f"{group(found)}, " if found.category else ""
    return f"{about}{away} ({measured_in(found)})"


def _rest(found: Sequence[Breakdown]) -> Iterator[str]:
    """What can be said of the shifts under which nothing fails."""
    sound = [each for each in found if not each.side]
    unclear = sum(bool(each.reason) for each in sound)
    if sound:
        under = "any" if len(sound) == len(found) else f"{len(sound)}"
        judged = (
            f"; under {unclear} of these not every level could be judged" if unclear else ""
        )
        yield f"No failure was found under {under} of {len(found)} shifts{judged}."
