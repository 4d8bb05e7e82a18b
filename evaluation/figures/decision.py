"""Decision curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import BLUE, COLOURS, DASHES, GREY, drawing, label_below, shortened
from evaluation.metric import Array
from evaluation.utility import DecisionCurve

_ACROSS, _WIDE = 4, 3
# How far below 0 is shown, as a share of the highest benefit: harm has no bottom.
_BELOW = 0.25
# A benefit below this share of the highest is not worth the space of an axis.
_VISIBLE = 0.02


def decision(curves: Sequence[DecisionCurve], title: str) -> Markup:
    """Net benefit of the model, of treating all and of treating nobody, one panel a group.

    Args:
        curves: Of one target; those of empty groups stay empty.
        title: For readers who cannot see it.
    """
    down = -(-len(curves) // _ACROSS)
    threshold, top = _visible(curves, [curve.net_benefit for curve in curves])

    def draw(figure: Figure) -> None:
        panels = figure.subplots(down, _ACROSS, sharex=True, sharey=True, squeeze=False)
        for axes in panels.ravel()[len(curves) :]:
            axes.set_visible(False)
        for axes, curve in zip(panels.ravel(), curves, strict=False):
            _decision_panel(axes, curve, top)
            axes.set_title(shortened(curve.group, 26), fontsize=9)
        panels[0, 0].set(xlim=(0, threshold), ylim=(-_BELOW * top, 1.08 * top))
        label_below(panels, len(curves))
        figure.supxlabel("Risk from which one would treat", fontsize=9)
        figure.supylabel("Net benefit", fontsize=9)

    return drawing(9.2, 1.9 * down + 0.3, title, draw)


def standardised(families: Mapping[str, Sequence[DecisionCurve]], title: str) -> Markup:
    """Net benefit at one prevalence, one panel an attribute and one line a group.

    Args:
        families: The curves of the groups of each attribute.
        title: For readers who cannot see it.
    """
    curves = [curve for family in families.values() for curve in family]
    down = -(-len(families) // _WIDE)
    threshold, top = _visible(curves, [curve.standardised for curve in curves])

    def draw(figure: Figure) -> None:
        panels = figure.subplots(down, _WIDE, sharex=True, sharey=True, squeeze=False)
        for axes in panels.ravel()[len(families) :]:
            axes.set_visible(False)
        for axes, (name, family) in zip(panels.ravel(), families.items(), strict=False):
            _standardised_panel(axes, family, top)
            axes.set_title(f"By {shortened(name, 26)}", fontsize=9)
        panels[0, 0].set(xlim=(0, threshold), ylim=(-_BELOW * top, 1.08 * top))
        label_below(panels, len(families))
        figure.supxlabel("Risk from which one would treat", fontsize=9)
        figure.supylabel("Net benefit at one prevalence", fontsize=9)

    return drawing(9.2, 2.6 * down + 0.3, title, draw)


def _visible(
    curves: Sequence[DecisionCurve], benefits: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """The largest threshold and benefit that are worth showing."""
    values = np.array(benefits)
    # The first threshold is so low that all curves start at the prevalence there.
    top = float(np.nanmax(values, initial=0.0)) or 1.0
    worthy = np.flatnonzero((np.nan_to_num(values) > _VISIBLE * top).any(axis=0))
    thresholds = curves[0].thresholds
    last = worthy[-1] if len(worthy) else len(thresholds) - 1
    return max(thresholds[last], 0.2), top


def _decision_panel(axes: Axes, curve: DecisionCurve, top: float) -> None:
    axes.axhline(0, color=GREY, linewidth=0.8)
    floor = -2 * _BELOW * top
    low, high = _clipped(curve.low, floor), _clipped(curve.high, floor)
    axes.fill_between(curve.thresholds, low, high, color=BLUE, alpha=0.25, linewidth=0)
    everyone = _clipped(curve.treat_all, floor)
    axes.plot(curve.thresholds, everyone, color=GREY, linewidth=1, linestyle=DASHES[1])
    axes.plot(curve.thresholds, _clipped(curve.net_benefit, floor), color=BLUE, linewidth=1.5)


def _standardised_panel(axes: Axes, family: Sequence[DecisionCurve], top: float) -> None:
    axes.axhline(0, color=GREY, linewidth=0.8)
    for place, curve in enumerate(family):
        axes.plot(
            curve.thresholds,
            _clipped(curve.standardised, -2 * _BELOW * top),
            color=COLOURS[place % len(COLOURS)],
            linestyle=DASHES[place % len(DASHES)],
            linewidth=1.3,
            label=shortened(curve.group.partition(": ")[2], 18),
        )
    axes.legend(fontsize=7, frameon=False, handlelength=2.6, loc="upper right")


def _clipped(values: Sequence[float], floor: float) -> Array:
    """Without the depths that no axis shows, whose many digits would fill the page."""
    clipped: Array = np.maximum(np.asarray(values, float), floor)
    return clipped
