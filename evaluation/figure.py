"""Figures of the report as inline SVG: small, sharp in print, the same bytes every time."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

# A blue of Okabe and Ito's palette, which colour-blind readers can tell from grey.
BLUE, GREY = "#0072b2", "#6b7280"

# The rest of that palette, for lines that are told apart by their marks and dashes too.
COLOURS = (BLUE, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2937")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "evenscan",
    "text.parse_math": False,  # a group may be called "$5"
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# Says who drew it and when, which a report says once.
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_DROPPED = ("metadata", "style")
_PLACES = ("d", "x", "y", "x1", "y1", "x2", "y2", "points", "width", "height")
_ID = re.compile(r"#[mph][0-9a-f]{10}\b")
# The font is the page's, and ends and corners of lines so thin look the same.
_UNSEEN = re.compile("(font-family|stroke-linecap|stroke-linejoin|stroke-dashoffset):[^;]*;?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
        layout = ConstrainedLayoutEngine()
        figure = Figure(figsize=(width, height), layout=layout)
        draw(figure)
        # Laid out here, since saving would draw everything twice to do it.
        layout.execute(figure)
        figure.set_layout_engine(None)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA, transparent=True)
    text = buffer.getvalue()
    svg = _compact(ElementTree.fromstring(_NOT_XML.sub("", text[text.index("<svg") :])))
    _say_once(svg)
    _name_ids(svg, hashlib.sha256(text.encode()).hexdigest()[:6])
    for name in ("width", "height", "version"):
        svg.attrib.pop(name, None)
    svg.attrib |= {"role": "img", "class": "figure", "style": f"--full:{width:g}in"}
    named = ElementTree.Element("title")
    named.text = _NOT_XML.sub("", title)
    svg.insert(0, named)
    shown = ElementTree.tostring(svg, encoding="unicode")
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="Figure">{}</div>'
    ).format(Markup(shown))


def shortened(name: str, most: int = 32) -> str:
    """A name that fits beside an axis; in full it is in a table.

    >>> shortened("site: a very long name of a hospital", 20)
    'site: a very long n…'
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def label_below(panels: NDArray[Any], shown: int) -> None:
    """Number the axis below the lowest panel of each column, if the last row is not full.

    Args:
        panels: ``[row, column]`` axes that share their horizontal axis.
        shown: How many of them, row by row, are visible.
    """
    for axes in panels.ravel()[max(shown - panels.shape[1], 0) : shown]:
        axes.tick_params(labelbottom=True)


def _compact(element: ElementTree.Element) -> ElementTree.Element:
    """The element without what a page does not need; most of a small figure is that."""
    kept = ElementTree.Element(_local(element.tag))
    for long_name, given in element.attrib.items():
        name, value = _local(long_name), given
        if name in _PLACES or value.startswith("rotate"):
            value = _rounded(value)
        elif name == "style":
            value = re.sub(r"\s*([:;])\s*", r"\1", _UNSEEN.sub("", value)).rstrip(";")
        if not value.startswith("rotate(0 "):
            kept.set(name, value)
    kept.text = element.text if kept.tag == "text" else None
    kept.extend(_kept(element))
    return kept


def _kept(parent: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for child in parent:
        compact = _compact(child)
        if compact.tag == "g" and set(compact.attrib) <= {"id"}:
            yield from compact
        elif compact.tag not in _DROPPED and compact.get("style") != "fill:none":
            yield compact


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _rounded(value: str) -> str:
    """Numbers to a tenth of a point, and no more space than needed.

    >>> _rounded("M 24.313052 111.99976 L 148 -0.01 z ")
    'M24.3 112L148 0z'
    """
    value = re.sub(r"-?\d+(\.\d+)?", lambda found: f"{round(float(found[0]), 1) + 0:g}", value)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(value.split()))


def _say_once(svg: ElementTree.Element) -> None:
    """Leave out styles that a symbol has itself, and those that all of a group share."""
    symbols = {f"#{each.get('id')}": each.get("style") for each in svg.iter("path")}
    for use in svg.iter("use"):
        if use.get("style") == symbols.get(use.get("href", ""), ""):
            use.attrib.pop("style", None)
    for group in svg.iter("g"):
        styles = {child.get("style") for child in group}
        if len(styles) == 1 and None not in styles and "style" not in group.attrib:
            for child in group:
                group.set("style", child.attrib.pop("style", ""))


def _name_ids(svg: ElementTree.Element, suffix: str) -> None:
    """Give what is referred to a short name of its own, since a page holds many figures."""
    values = [value for each in svg.iter() for value in each.attrib.values()]
    used = dict.fromkeys(name for value in values for name in _ID.findall(value))
    names = {name: f"#f{suffix}{place}" for place, name in enumerate(used)}
    for each in svg.iter():
        if (given := each.attrib.pop("id", None)) and f"#{given}" in names:
            each.set("id", names[f"#{given}"][1:])
        for key, value in each.attrib.items():
            if "#" in value:
                each.set(key, _ID.sub(lambda found: names[found[0]], value))
