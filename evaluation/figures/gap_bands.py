"""Gaps against what chance explains."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import BLUE, GREY, drawing, shortened
from evaluation.findings import Gap
from evaluation.metric import METRICS
from evaluation.section import exceeds_chance

_ACROSS = 3


def gap_bands(gaps: Sequence[Gap], title: str) -> Markup:
    """Gaps with intervals before the band of chance, one panel a metric, one line an attribute.

    Args:
        gaps: Of one target; undefined ones leave their line empty.
        title: For readers who cannot see it.
    """
    metrics = list(dict.fromkeys(gap.metric for gap in gaps))
    names = list(dict.fromkeys(" × ".join(gap.attributes) for gap in gaps))
    down = -(-len(metrics) // _ACROSS)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(down, _ACROSS, sharey=True, squeeze=False)
        for axes in panels.ravel()[len(metrics) :]:
            axes.set_visible(False)
        for axes, metric in zip(panels.ravel(), metrics, strict=False):
            _gap_panel(axes, metric, [gap for gap in gaps if gap.metric == metric], names)
        for axes in panels[:, 0]:
            axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
            axes.set_ylim(len(names) - 0.4, -0.6)

    return drawing(9.2, down * (0.65 + 0.24 * len(names)), title, draw)


def _gap_panel(axes: Axes, metric: str, gaps: Sequence[Gap], names: Sequence[str]) -> None:
    for gap in gaps:
        if np.isnan([gap.value, gap.null_high]).any():
            continue
        line = names.index(" × ".join(gap.attributes))
        axes.barh(line, gap.null_high, height=0.6, color="#d1d5db")
        axes.plot([gap.low, gap.high], [line, line], color=BLUE, linewidth=1.6)
        face = BLUE if exceeds_chance(gap) else "white"
        axes.plot(gap.value, line, "o", color=BLUE, markerfacecolor=face, markersize=5)
    axes.set_xlim(left=0)
    axes.set_xlabel(METRICS.get(metric).label)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(GREY)
