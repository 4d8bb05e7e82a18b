"""What probes read from embeddings, side by side."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figure import COLOURS, GREY, MARKS, drawing, shortened
from evaluation.findings import Leakage


def leakage_plot(found: Sequence[Leakage], title: str) -> Markup:
    """AUROC of each probe from each embedding with intervals, one panel a probe.

    The grey tick on a line is the highest value that chance would reach.

    Args:
        found: A line for each attribute and embedding, in their order.
        title: For readers who cannot see it.
    """
    probes = list(dict.fromkeys(each.probe for each in found))
    latents = list(dict.fromkeys(each.latent for each in found))
    names = list(dict.fromkeys(each.attribute for each in found))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(probes), sharey=True, squeeze=False)[0]
        for axes, probe in zip(panels, probes, strict=True):
            _leakage_panel(axes, [e for e in found if e.probe == probe], names, latents)
            axes.set_xlabel(f"AUROC of the {probe} probe")
        panels[0].set_yticks(range(len(names)), [shortened(name, 24) for name in names])
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False)

    wide = 9.2 if len(probes) > 1 else 6.0
    return drawing(wide, 0.9 + 0.2 * len(names) * len(latents), title, draw)


def _leakage_panel(
    axes: Axes, found: Sequence[Leakage], names: Sequence[str], latents: Sequence[str]
) -> None:
    axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    for place, latent in enumerate(latents):
        # Drawn even if empty, for the legend.
        mine = [each for each in found if each.latent == latent and not np.isnan(each.auroc)]
        shift = 0.62 * ((place + 0.5) / len(latents) - 0.5)
        y = np.array([names.index(each.attribute) for each in mine]) + shift
        colour = COLOURS[place % len(COLOURS)]
        axes.hlines(y, [e.low for e in mine], [e.high for e in mine], color=colour)
        mark = MARKS[place % len(MARKS)]
        axes.plot([e.auroc for e in mine], y, mark, color=colour, markersize=5, label=latent)
        axes.plot([e.chance_high for e in mine], y, "|", color=GREY, markersize=7)
    axes.set_xlim(min(0.4, axes.get_xlim()[0]), 1.02)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
