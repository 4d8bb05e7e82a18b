"""Curves of the stress matrix."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evaluation.figure import COLOURS, DASHES, GREY, MARKS, drawing, shortened
from evaluation.populations import AXES, at_home
from evaluation.stress import StressCell

_WIDTH, _HEIGHT = 9.2, 1.8
# The axes hold all of it, and to clip it would cost a sixth of the figure's bytes.
_NEVER_CLIPPED: dict[str, Any] = {"clip_on": False, "in_layout": False}


class Line(NamedTuple):
    """One curve.

    Attributes:
        name: For the legend.
        cells: With ascending level.
    """

    name: str
    cells: Sequence[StressCell]


class Panel(NamedTuple):
    """Curves of one metric under one shift.

    Attributes:
        metric: Its label.
        lines: Those of one name look alike in all panels.
        bounds: What a policy asks of the metric.
    """

    metric: str
    lines: Sequence[Line]
    bounds: Sequence[float] = ()


class Row(NamedTuple):
    """Panels beside each other.

    Attributes:
        about: What the population is shifted towards; empty if the lines say it.
        panels: One a metric.
    """

    about: str
    panels: Sequence[Panel]


def stress_curves(rows: Sequence[Row], title: str) -> Markup:
    """A metric along shifts of the population, with interval bands.

    A large mark is the sample itself, a small hollow one rests on too few patients. What is
    undefined is not there.

    Args:
        rows: Each of the same metrics, all of the same shift.
        title: For readers who cannot see it.
    """
    columns = len(rows[0].panels)
    every = [panel for row in rows for panel in row.panels]
    names = list(dict.fromkeys(line.name for panel in every for line in panel.lines))
    shift = every[0].lines[0].cells[0].shift

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(rows), columns, sharex=True, sharey="col", squeeze=False)
        for axes, panel in zip(grid.ravel(), every, strict=True):
            _stress_panel(axes, panel, names)
        for axes, row in zip(grid[:, 0], rows, strict=True):
            axes.set_ylabel(shortened(row.about, 26), fontsize=8)
        for axes, panel in zip(grid[0], rows[0].panels, strict=True):
            axes.set_title(panel.metric, fontsize=8, loc="left")
        figure.supxlabel(AXES[shift], fontsize=9)
        _legend(figure, names)

    return drawing(
        _WIDTH if columns > 2 else 0.6 * _WIDTH, _HEIGHT * len(rows) + 0.6, title, draw
    )


def _legend(figure: Figure, names: Sequence[str]) -> None:
    handles = [Line2D([], [], **_look(place)) for place in range(len(names))]
    labels = [shortened(name) for name in names]
    across = 4 if figure.get_figwidth() > 0.6 * _WIDTH else 2
    look: dict[str, Any] = {"ncols": across, "frameon": False, "fontsize": 8}
    figure.legend(handles, labels, loc="outside upper left", **look)


def _look(place: int) -> dict[str, Any]:
    """Colour, dashes and mark of the curve at a place, repeated after the last."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": DASHES[place % len(DASHES)],
        "marker": MARKS[place % len(MARKS)],
        "linewidth": 1.2,
        **_NEVER_CLIPPED,
    }


def _stress_panel(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    for line in panel.lines:
        _stress_line(axes, line.cells, _look(names.index(line.name)))
    _bound_lines(axes, panel.bounds)
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6, **_NEVER_CLIPPED)
    axes.set_axisbelow(True)


def _bound_lines(axes: Axes, bounds: Sequence[float]) -> None:
    """Bounds that lie where the curves are; one far off would squeeze them."""
    low, high = axes.get_ylim()
    for bound in bounds:
        if low - 0.05 <= bound <= high + 0.05:
            axes.axhline(bound, color=GREY, linewidth=0.9, linestyle=(0, (1, 1.5)))


def _stress_line(axes: Axes, cells: Sequence[StressCell], look: dict[str, Any]) -> None:
    firm = [cell for cell in cells if cell.state == "adequate"]
    weak = [cell for cell in cells if cell.state == "insufficient"]
    if len(firm) > 1:
        low, high = np.array([(cell.low, cell.high) for cell in firm]).T
        across = [cell.level for cell in firm]
        look_of_band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
        axes.fill_between(across, low, high, **look_of_band, **_NEVER_CLIPPED)
    # A mark at each level would be half of the page's bytes.
    axes.plot(*_points(firm), **look | {"marker": "" if len(firm) > 1 else look["marker"]})
    alone = look | {"linestyle": ""}
    hollow = {"color": GREY, "markerfacecolor": "white", "markersize": 3}
    axes.plot(*_points(weak), **alone | hollow)
    axes.plot(*_points([cell for cell in firm if at_home(cell)]), **alone | {"markersize": 5.5})


def _points(cells: Sequence[StressCell]) -> tuple[list[float], list[float]]:
    return [cell.level for cell in cells], [cell.value for cell in cells]
