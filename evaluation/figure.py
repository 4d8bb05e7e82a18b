"""Figures of the report as inline SVG: small, sharp in print, the same bytes every time."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.findings import Estimate, Reliability
from evaluation.metric import METRICS

# A blue of Okabe and Ito's palette, which colour-blind readers can tell from grey.
BLUE, GREY = "#0072b2", "#6b7280"
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "evenscan",
    "text.parse_math": False,  # a group may be called "$5"
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def drawing(width: float, height: float, title: str, draw: Callable[[Figure], None]) -> Markup:
    """A figure as an SVG element.

    Args:
        width: In inches at full size; a narrow screen scrolls.
        height: In inches.
        title: What it shows, for readers who cannot see it.
        draw: Draws on the empty figure.
    """
    with rc_context(_STYLE), warnings.catch_warnings():
        # Glyphs are the reader's, and a label that does not fit is still in the table.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Matplotlib names fonts in full; the page's own font is lighter and fits it.
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = svg.replace("<svg ", '<svg role="img" class="figure" ', 1)
    svg = svg.replace(">", f"><title>{escape(title)}</title>", 1)
    return Markup('<div class="scroll" tabindex="0">{}</div>').format(Markup(svg))


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
        panels[0].set_yticks(range(len(names)), names)
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
