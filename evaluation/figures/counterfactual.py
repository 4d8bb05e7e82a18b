"""Flips of decisions when styles are exchanged, across groups beside within them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from evaluation.counterfactual import StyleEffect
from evaluation.figure import BLUE, GREY, drawing, shortened


def swap_plot(found: Sequence[StyleEffect], title: str) -> Markup:
    """One line an ordered pair of groups: the swaps with interval, and their control.

    Args:
        found: Of one measure. Those that are not adequate are hollow and grey.
        title: For readers who cannot see it.
    """
    shown = [each for each in found if not np.isnan(each.value)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        # Drawn even if there are none of a kind, for the legend.
        for firm, colour, face, name in (
            (True, BLUE, BLUE, "style of another group"),
            (False, GREY, "white", "the same, not to be relied on"),
        ):
            mine = [k for k, e in enumerate(shown) if (e.state == "adequate") == firm]
            if not mine and not firm:
                continue
            low, high, value = (
                [getattr(shown[k], end) for k in mine] for end in ("low", "high", "value")
            )
            axes.hlines(mine, low, high, color=colour, linewidth=1.6)
            look: dict[str, Any] = {"color": colour, "markerfacecolor": face, "label": name}
            axes.plot(value, mine, "o", markersize=5, **look)
        control = [each.control for each in shown]
        places = range(len(shown))
        axes.plot(
            control, places, "|", color="#1f2937", markersize=11, label="of its own group"
        )
        names = [f"{shortened(e.group, 24)} ← {shortened(e.donor, 24)}" for e in shown]
        axes.set_yticks(places, names)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.set_xlabel("Share of decisions that flip")
        axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=3, frameon=False)

    return drawing(8.0, 1.1 + 0.24 * len(shown), title, draw)
