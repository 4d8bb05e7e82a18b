"""Changes against the champion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import BLUE, COLOURS, GREY, drawing, shortened
from evaluation.findings import Change
from evaluation.metric import METRICS

# A mark for each conclusion, so that it does not hang on the colour.
_LOOKS = {
    "non-inferior": ("o", BLUE, BLUE),
    "undecided": ("D", BLUE, "white"),
    "inferior": ("X", COLOURS[1], COLOURS[1]),
    "undefined": ("o", GREY, "white"),
}


def changes_plot(
    groups: Sequence[str], found: Sequence[Sequence[Change]], margin: float, title: str
) -> Markup:
    """Changes with intervals, one panel a metric and one line a group.

    The dotted line is no change, the dashed one the loss that is still acceptable.

    Args:
        groups: Names, ``[group]``.
        found: ``[metric][group]``.
        margin: Of the audit, above 0.
        title: For readers who cannot see it.
    """

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, changes in zip(panels, found, strict=True):
            _changes_panel(axes, changes, margin)
        panels[0].set_yticks(range(len(groups)), [shortened(name, 28) for name in groups])
        panels[0].set_ylim(len(groups) - 0.4, -0.6)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False)

    return drawing(9.2, 1.0 + 0.24 * len(groups), title, draw)


def _changes_panel(axes: Axes, changes: Sequence[Change], margin: float) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    axes.axvline(-margin, color=COLOURS[1], linewidth=1.0, linestyle="--")
    for conclusion, (mark, colour, face) in _LOOKS.items():
        # Drawn even if there are none, for the legend.
        mine = [
            (place, change)
            for place, change in enumerate(changes)
            if change.conclusion == conclusion and not np.isnan(change.value)
        ]
        y = [place for place, _ in mine]
        low, high = [c.low for _, c in mine], [c.high for _, c in mine]
        axes.hlines(y, low, high, color=colour, linewidth=1.5)
        name = "too few patients" if conclusion == "undefined" else conclusion
        look: dict[str, Any] = {"markerfacecolor": face, "markersize": 5, "label": name}
        axes.plot([c.value for _, c in mine], y, mark, color=colour, **look)
    axes.set_xlabel(f"{METRICS.get(changes[0].metric).label}, positive is better", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
