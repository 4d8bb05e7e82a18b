"""ROC and precision-recall curves."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.curves import Curve, Kind, thinned
from evaluation.figure import COLOURS, DASHES, GREY, drawing, shortened

#: Lines of a panel at most; more cannot be told apart.
MOST_LINES = 8

# Points of a line in a panel the size of a stamp.
_SMALL = 40

_AXES: dict[Kind, tuple[str, str]] = {
    "roc": ("False positive rate", "Sensitivity"),
    "precision recall": ("Sensitivity", "Precision"),
}


def curves_by_group(panels: Mapping[str, Sequence[Curve]], title: str) -> Markup:
    """ROC curves above precision-recall curves, a column for each attribute.

    Args:
        panels: Curves of both kinds by the heading of their column; the first
            :data:`MOST_LINES` of each kind are drawn.
        title: For readers who cannot see it.
    """
    kinds = tuple(_AXES)
    columns = max(len(panels), 2)

    def draw(figure: Figure) -> None:
        every = figure.subplots(len(kinds), columns, squeeze=False)
        for axes in every[:, len(panels) :].ravel():
            axes.set_visible(False)
        for row, kind in zip(every, kinds, strict=True):
            for axes, (heading, curves) in zip(row, panels.items(), strict=False):
                _lines(axes, kind, [curve for curve in curves if curve.kind == kind])
                if kind == "roc":
                    axes.set_title(shortened(heading), fontsize=9)

    return drawing(9.2, 2.1 + 6.2 / columns * 1.25, title, draw)


def curves_by_target(
    curves: Iterable[Curve], headings: Mapping[str, str], title: str
) -> Markup:
    """One small panel for each target, with its curve of all samples.

    Args:
        curves: Of one kind.
        headings: Heading of the panel, by target.
        title: For readers who cannot see it.
    """
    shown = [curve for curve in curves if curve.target in headings]
    columns = 5
    rows = -(-len(shown) // columns)

    def draw(figure: Figure) -> None:
        every = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in every.ravel()[len(shown) :]:
            axes.set_visible(False)
        for axes, curve in zip(every.ravel(), shown, strict=False):
            _frame(axes, curve.kind)
            x, y = np.array(curve.x), np.array(curve.y)
            seen = thinned(x, y, _SMALL)
            axes.plot(x[seen], y[seen], color=COLOURS[0], linewidth=1.3)
            axes.set_title(shortened(headings[curve.target], 26), fontsize=8)
        for axes in every.ravel():
            axes.set(xlabel="", ylabel="")
        figure.supxlabel(_AXES[shown[0].kind][0], fontsize=9)
        figure.supylabel(_AXES[shown[0].kind][1], fontsize=9)

    return drawing(9.2, 1.7 * rows + 0.4, title, draw)


def _lines(axes: Axes, kind: Kind, curves: Sequence[Curve]) -> None:
    _frame(axes, kind)
    looks = zip(cycle(COLOURS), cycle(DASHES), strict=False)
    for curve, (colour, dashes) in zip(curves[:MOST_LINES], looks, strict=False):
        name = shortened(curve.group.partition(": ")[2] or curve.group, 18)
        label = f" {name}"  # led by "_" it would be left out of the legend
        axes.plot(curve.x, curve.y, color=colour, linestyle=dashes, linewidth=1.3, label=label)
    # Below it the lines of a precision-recall curve would be hidden.
    if len(curves) > 1 and kind == "roc":
        axes.legend(fontsize=7, loc="lower right")


def _frame(axes: Axes, kind: Kind) -> None:
    if kind == "roc":
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, linestyle=":")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_xlabel(_AXES[kind][0], fontsize=8)
    axes.set_ylabel(_AXES[kind][1], fontsize=8)
