"""Reliability curves."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.calibration import Reliability
from evaluation.figure import BLUE, GREY, drawing, label_below, shortened

_ACROSS = 4


def reliability(curves: Sequence[Reliability], names: Sequence[str], title: str) -> Markup:
    """Reliability curves with intervals and bands, one panel each, four a row.

    Args:
        curves: What to draw.
        names: Over the panels, as many as curves.
        title: For readers who cannot see it.
    """
    down = -(-len(curves) // _ACROSS)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(down, _ACROSS, sharex=True, sharey=True, squeeze=False)
        for axes in panels.ravel()[len(curves) :]:
            axes.set_visible(False)
        for axes, curve, name in zip(panels.ravel(), curves, names, strict=False):
            _reliability_panel(axes, curve)
            axes.set_title(shortened(name, 26), fontsize=9)
        label_below(panels, len(curves))
        figure.supxlabel("Mean score", fontsize=9)
        figure.supylabel("Observed frequency", fontsize=9)

    return drawing(9.2, 2.1 * down + 0.3, title, draw)


def _reliability_panel(axes: Axes, curve: Reliability) -> None:
    kept = ~np.isnan(curve.score)
    score = np.asarray(curve.score)[kept]
    low, high = np.asarray(curve.band_low)[kept], np.asarray(curve.band_high)[kept]
    axes.fill_between(score, low, high, color="#d1d5db", linewidth=0)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    # One path with breaks is a fifth of the bytes of one path an interval.
    ends = np.stack([curve.low, curve.high, np.full(len(kept), np.nan)], axis=1)
    axes.plot(np.repeat(curve.score, 3), ends.ravel(), color=BLUE, linewidth=1.2)
    observed = np.asarray(curve.observed)[kept]
    few = np.isnan(low)
    sound = np.where(few, np.nan, observed)
    axes.plot(score, sound, "o-", color=BLUE, markersize=3, linewidth=0.9)
    axes.plot(score[few], observed[few], "o", color=GREY, markersize=3, fillstyle="none")
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
