"""Forest plot."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import BLUE, GREY, drawing, shortened
from evaluation.findings import Estimate
from evaluation.metric import METRICS


def forest(names: Sequence[str], estimates: Sequence[Sequence[Estimate]], title: str) -> Markup:
    """Estimates with intervals, one panel a metric and one line a group.

    Args:
        names: Of the groups, ``[group]``; the first is all samples.
        estimates: ``[metric][group]``. Groups that are not ranked are hollow and grey.
        title: For readers who cannot see it.
    """

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(estimates), sharey=True, squeeze=False)[0]
        for axes, row in zip(panels, estimates, strict=True):
            _forest_panel(axes, row)
        panels[0].set_yticks(range(len(names)), [shortened(name) for name in names])
        panels[0].set_ylim(len(names) - 0.4, -0.6)

    return drawing(9.2, 0.6 + 0.24 * len(names), title, draw)


def _forest_panel(axes: Axes, row: Sequence[Estimate]) -> None:
    for place, found in enumerate(row):
        if np.isnan(found.value):
            continue
        colour = BLUE if found.ranked else GREY
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=1.6)
        face = colour if found.ranked else "white"
        axes.plot(found.value, place, "o", color=colour, markerfacecolor=face, markersize=5)
    if row and not np.isnan(row[0].value):
        axes.axvline(row[0].value, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel(METRICS.get(row[0].metric).label)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
