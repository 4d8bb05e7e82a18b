"""Groups of every finding at one look."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import COLOURS, GREY, MARKS, drawing, shortened

_ABOVE: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}

#: Groups of a panel at most that get a mark of their own.
MOST_MARKS = len(MARKS)


class Panel(NamedTuple):
    """One attribute.

    Attributes:
        heading: Its name.
        groups: ``[group]`` names of its groups.
        values: ``[finding, group]``; NaN where a group is not ranked.
        wide: ``[finding]``, whether the gap exceeds chance.
    """

    heading: str
    groups: Sequence[str]
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    wide: Sequence[bool]


def dots(
    findings: Sequence[str], overall: Sequence[float], panels: Sequence[Panel], label: str
) -> Markup:
    """A line for each finding from its worst to its best group, a dot for each group.

    Args:
        findings: ``[finding]`` names.
        overall: ``[finding]`` value of all samples, NaN if undefined.
        panels: One an attribute, side by side.
        label: What the values are.
    """
    most = max(len(panel.groups) for panel in panels)
    legend = 0.16 * -(-min(most, MOST_MARKS) // 2)

    def draw(figure: Figure) -> None:
        every = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
        for axes, panel in zip(every, panels, strict=True):
            _panel(axes, overall, panel, label)
        every[0].set_yticks(range(len(findings)), [shortened(each, 24) for each in findings])
        every[0].set_ylim(len(findings) - 0.4, -0.6)

    groups = ", ".join(panel.heading for panel in panels)
    return drawing(9.2, 1.1 + legend + 0.26 * len(findings), f"{label} by {groups}", draw)


def _panel(axes: Axes, overall: Sequence[float], panel: Panel, label: str) -> None:
    for place, (row, wide) in enumerate(zip(panel.values, panel.wide, strict=True)):
        known = row[~np.isnan(row)]
        if len(known):
            width, colour = (2.4, "#1f2937") if wide else (0.9, GREY)
            ends = [known.min(), known.max()]
            axes.plot(ends, [place, place], color=colour, linewidth=width, zorder=1)
    axes.plot(overall, range(len(overall)), "|", color="#1f2937", markersize=9, zorder=3)
    for k, group in enumerate(panel.groups[:MOST_MARKS]):
        axes.plot(
            panel.values[:, k],
            range(len(panel.values)),
            MARKS[k],
            color=COLOURS[k % len(COLOURS)],
            markersize=4.5,
            label=f" {shortened(group, 22)}",
            zorder=2,
        )
    axes.set_xlabel(label)
    axes.grid(color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    heading = f"by {shortened(panel.heading)}"
    axes.legend(title=heading, fontsize=7, title_fontsize=9, ncols=2, frameon=False, **_ABOVE)
