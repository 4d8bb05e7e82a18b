"""Maps of embeddings, to look at."""

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from evaluation.figure import COLOURS, drawing, shortened
from evaluation.latent_map import LatentMap
from evaluation.metric import Array

#: Points that are drawn of a map; more would be most of the page's bytes.
MOST_POINTS = 150

# Marks of straight strokes, ``[stroke, end, coordinate]`` in [-1, 1], and what the legend has.
_STROKES: tuple[tuple[str, list[list[list[int]]]], ...] = (
    ("_", [[[-1, 0], [1, 0]]]),
    ("|", [[[0, -1], [0, 1]]]),
    ("x", [[[-1, -1], [1, 1]], [[-1, 1], [1, -1]]]),
    ("+", [[[-1, 0], [1, 0]], [[0, -1], [0, 1]]]),
    ("^", [[[-1, -1], [0, 1]], [[0, 1], [1, -1]], [[1, -1], [-1, -1]]]),
    ("v", [[[-1, 1], [0, -1]], [[0, -1], [1, 1]], [[1, 1], [-1, 1]]]),
)
_SIZE = 0.022


def map_plots(
    maps: Sequence[LatentMap], named: str, order: Sequence[str], title: str
) -> Markup:
    """The same samples on each map, a mark and colour for each group.

    Args:
        maps: With points.
        named: The attribute that tells groups apart; ``label`` for the label.
        order: Of its values in the legend; others follow.
        title: For readers who cannot see it.
    """
    values = [_values(each, named) for each in maps]
    there = sorted({value for some in values for value in some})
    groups = [*(each for each in order if each in there), *(e for e in there if e not in order)]
    # More groups than marks cannot be told apart: the rest share the last one.
    kinds = groups[: len(_STROKES)]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(maps), squeeze=False)[0]
        for axes, each, some in zip(panels, maps, values, strict=True):
            _map_panel(axes, each, lambda value: min(groups.index(value), len(kinds) - 1), some)
        handles = [
            Line2D(
                [], [], color=COLOURS[k], marker=_STROKES[k][0], linestyle="", fillstyle="none"
            )
            for k in range(len(kinds))
        ]
        last = [f"{kinds[-1]} and others"] if len(groups) > len(kinds) else kinds[-1:]
        labels = [shortened(name or "unknown", 22) for name in [*kinds[:-1], *last]]
        figure.legend(handles, labels, loc="outside right upper", frameon=False, title=named)

    return drawing(2.0 * len(maps) + 2.0, 2.1, title, draw)


def _values(found: LatentMap, named: str) -> tuple[str, ...]:
    values = found.label if named == "label" else found.groups[named]
    return values[:: _step(found)]


def _step(found: LatentMap) -> int:
    return -(-len(found.x) // MOST_POINTS)


def _map_panel(
    axes: Axes, found: LatentMap, kind: Callable[[str], int], values: Sequence[str]
) -> None:
    place = np.array([found.x, found.y]).T[:: _step(found)]
    middle, reach = (place.max(0) + place.min(0)) / 2, np.ptp(place, axis=0).max() or 1.0
    place = (place - middle) / reach
    kinds = np.array([kind(value) for value in values])
    for k in np.unique(kinds):
        path = _marks(place[kinds == k], np.array(_STROKES[k][1]) * _SIZE)
        axes.add_patch(PathPatch(path, fill=False, edgecolor=COLOURS[k], linewidth=0.9))
    axes.set(xlim=(-0.55, 0.55), ylim=(-0.55, 0.55), aspect="equal", xticks=[], yticks=[])
    across, up = found.explained
    axes.set_title(found.latent, fontsize=9)
    axes.set_xlabel(f"1st direction, {across:.0%}", fontsize=7)
    axes.set_ylabel(f"2nd direction, {up:.0%}", fontsize=7)


def _marks(place: Array, strokes: Array) -> Path:
    """One path of all marks, which takes a fifth of the bytes of a mark each."""
    ends = (place[:, None, None] + strokes).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO], len(ends) // 2)
    path = Path(ends, codes)
    path.should_simplify = False
    return path
