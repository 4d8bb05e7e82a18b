"""Curves of the stress matrix."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import COLOURS, DASHES, GREY, MARKS, drawing, shortened
from evaluation.populations import AXES, at_home
from evaluation.stress import StressCell

_WIDTH, _HEIGHT = 9.2, 1.9


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
        title: Above it.
        lines: Those of one name look alike in all panels.
        bounds: What a policy asks of the metric.
    """

    title: str
    lines: Sequence[Line]
    bounds: Sequence[float] = ()


def stress_curves(rows: Sequence[Sequence[Panel]], title: str) -> Markup:
    """A metric along shifts of the population, with interval bands.

    Filled marks are adequate, hollow ones rest on too few patients. The large mark is the
    sample itself. What is undefined is not there.

    Args:
        rows: ``[row][panel]``; panels of a column have the same metric, all the same shift.
        title: For readers who cannot see it.
    """
    columns = max(len(row) for row in rows)
    names = list(
        dict.fromkeys(line.name for row in rows for each in row for line in each.lines)
    )

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(rows), columns, sharex=True, sharey="col", squeeze=False)
        for axes, panel in zip(
            grid.ravel(), [each for row in rows for each in row], strict=True
        ):
            _stress_panel(axes, panel, names)
        figure.supxlabel(AXES[rows[0][0].lines[0].cells[0].shift], fontsize=9)
        handles = [
            grid[0, 0].plot([], [], color=COLOURS[i], linestyle=DASHES[i % 4], marker=MARKS[i])[
                0
            ]
            for i in range(len(names))
        ]
        labels = [shortened(name) for name in names]
        figure.legend(
            handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=8
        )

    wide = _WIDTH * max(0.55, min(1.0, columns / 4))
    return drawing(wide, _HEIGHT * len(rows) + 0.6, title, draw)


def _stress_panel(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    for bound in panel.bounds:
        axes.axhline(bound, color=GREY, linewidth=0.9, linestyle=(0, (1, 1.5)))
    for line in panel.lines:
        _stress_line(axes, line, names.index(line.name))
    axes.set_title(shortened(panel.title, 34), fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)


def _stress_line(axes: Axes, line: Line, place: int) -> None:
    colour, mark = COLOURS[place], MARKS[place]
    there = [cell for cell in line.cells if cell.state != "undefined"]
    firm = [cell for cell in there if cell.state == "adequate"]
    weak = [cell for cell in there if cell.state != "adequate"]
    if len(firm) > 1:
        low, high = np.array([(cell.low, cell.high) for cell in firm]).T
        across = [cell.level for cell in firm]
        axes.fill_between(across, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(*_points(firm), color=colour, linestyle=DASHES[place % 4], linewidth=1.2)
    axes.plot(*_points(firm), mark, color=colour, markersize=2.8)
    axes.plot(*_points(weak), mark, color=GREY, markerfacecolor="white", markersize=2.8)
    home = [cell for cell in firm if at_home(cell)]
    axes.plot(*_points(home), mark, color=colour, markersize=6.5)


def _points(cells: Sequence[StressCell]) -> tuple[list[float], list[float]]:
    return [cell.level for cell in cells], [cell.value for cell in cells]
