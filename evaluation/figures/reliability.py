"""Reliability curves."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.calibration import Reliability
from evaluation.figure import BLUE, GREY, drawing


def reliability(curves: Sequence[Reliability], title: str) -> Markup:
    """Reliability curves with pointwise intervals, one panel each, four a row."""
    columns = 4
    rows = -(-len(curves) // columns)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.ravel()[len(curves) :]:
            axes.set_visible(False)
        for axes, curve in zip(panels.ravel(), curves, strict=False):
            _reliability_panel(axes, curve)
        figure.supxlabel("Mean score", fontsize=9)
        figure.supylabel("Observed frequency", fontsize=9)

    return drawing(9.2, 2.2 * rows + 0.3, title, draw)


def _reliability_panel(axes: Axes, curve: Reliability) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes.vlines(curve.score, curve.low, curve.high, color=BLUE, linewidth=1.4)
    axes.plot(curve.score, curve.observed, "o-", color=BLUE, markersize=3.5, linewidth=1)
    axes.set_title(curve.group, fontsize=9)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
