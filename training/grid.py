"""Draws grids of images: content of one with style of another, and what lies between."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from evaluation.counterfactual_table import Picture
from training.imaging import Pixels
from training.predictor import Predictor

Codes = NDArray[np.float32]

#: Bytes of the largest picture, as a report holds several.
LARGEST = 60_000

#: Steps from one end to the other, both included.
STEPS = 6

# Sizes of a tile, and those that are tried until a picture is small enough, in pixels.
_FULL, _TILES = 112, (96, 80, 64, 48, 32, 24)
_GAP, _MARGIN, _TEXT, _LINE = 4, 10, 13, 17
_INK, _SOFT, _PAPER, _FRAME = (31, 41, 55), (75, 85, 99), (255, 255, 255), (0, 114, 178)


@dataclass(frozen=True)
class Sheet:
    """A grid of images with a label at each row and column.

    Attributes:
        title: One line above.
        rows: Label of each row; a line break is kept.
        columns: Label of each column.
        tiles: ``[row][column]``, each ``[channel, *space]`` uint8, or None where it is empty.
        framed: ``(row, column)`` of tiles with a frame.
        after_rows: Rows with a wider gap below.
        after_columns: Columns with a wider gap on the right.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    tiles: Sequence[Sequence[Pixels | None]]
    framed: frozenset[tuple[int, int]] = frozenset()
    after_rows: frozenset[int] = frozenset()
    after_columns: frozenset[int] = frozenset()

    def png(self) -> bytes:
        """The grid as a PNG file, at full size and with every colour."""
        buffer = BytesIO()
        self._drawn(_FULL).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    def picture(self, name: str, alt: str, caption: str) -> Picture:
        """The grid for a report: at most :data:`LARGEST` bytes, as large as that allows."""
        grey = all(_is_grey(each) for line in self.tiles for each in line)
        for tile in _TILES:
            page = self._drawn(tile)
            # The frames are coloured: a palette keeps them, and halves the file.
            few = page.quantize(64 if grey else 256, dither=Image.Dither.NONE)
            buffer = BytesIO()
            few.save(buffer, "PNG", optimize=True)
            if buffer.tell() <= LARGEST:
                break
        png = base64.b64encode(buffer.getvalue()).decode()
        return Picture(name=name, png=png, alt=alt, caption=caption)

    def _drawn(self, tile: int) -> Image.Image:
        font = ImageFont.load_default(_TEXT)
        pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
        labels = max(pen.multiline_textbbox((0, 0), text, font)[2] for text in self.rows)
        head = _LINE * max(text.count("\n") + 1 for text in self.columns)
        left, top = _MARGIN + int(labels) + 8, _MARGIN + _LINE + 8 + head + 4
        x = _places(left, tile, len(self.columns), self.after_columns)
        y = _places(top, tile, len(self.rows), self.after_rows)
        title = int(pen.textbbox((0, 0), self.title, font)[2]) + 2 * _MARGIN
        size = max(x[-1] + tile + _MARGIN, title), y[-1] + tile + _MARGIN
        page = Image.new("RGB", size, _PAPER)
        pen = ImageDraw.Draw(page)
        pen.text((_MARGIN, _MARGIN), self.title, _INK, font)
        for text, across in zip(self.columns, x, strict=True):
            pen.multiline_text(
                (across + tile / 2, top - 6), text, _SOFT, font, "md", align="center", spacing=2
            )
        for text, down in zip(self.rows, y, strict=True):
            pen.multiline_text(
                (left - 8, down + tile / 2), text, _SOFT, font, "rm", align="right", spacing=2
            )
        for i, line in enumerate(self.tiles):
            for j, each in enumerate(line):
                if each is None:
                    continue
                page.paste(_shown(each, tile), (x[j], y[i]))
                if (i, j) in self.framed:
                    edge = (x[j] - 3, y[i] - 3, x[j] + tile + 2, y[i] + tile + 2)
                    pen.rectangle(edge, outline=_FRAME, width=2)
        return page


def _places(first: int, tile: int, number: int, wide: frozenset[int]) -> list[int]:
    """Where tiles begin, with a wider gap after some of them."""
    steps = [tile + _GAP + 2 * _GAP * (k in wide) for k in range(number)]
    return [first + sum(steps[:k]) for k in range(number)]


def _is_grey(tile: Pixels | None) -> bool:
    return tile is None or len(tile) != 3


def _shown(tile: Pixels, side: int) -> Image.Image:
    """A tile in colour or grey; of a volume the middle slice, of other channels the first."""
    while tile.ndim > 3:
        tile = tile[:, tile.shape[1] // 2]
    image = Image.fromarray(np.moveaxis(tile, 0, -1) if len(tile) == 3 else tile[0])
    return image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def swap_grid(predictor: Predictor, images: Pixels, labels: Sequence[str], title: str) -> Sheet:
    """The content of each image with the style of each.

    Args:
        predictor: Encodes and decodes.
        images: ``[n, channel, *space]``, few of them, n >= 1.
        labels: What each is, ``[n]``.
        title: One line.

    Returns:
        The images themselves along the top (whose style) and the left (whose content), and in
        row i and column j the content of i with the style of j. Each one's own reconstruction,
        on the diagonal, is framed.
    """
    codes = predictor.predict(images)
    assert codes.style is not None
    n = len(images)
    row, column = np.divmod(np.arange(n * n), n)
    drawn = predictor.decode(codes.content[row], codes.style[column])
    tiles: list[list[Pixels | None]] = [[None, *images]]
    tiles += [[images[i], *drawn[n * i : n * (i + 1)]] for i in range(n)]
    return Sheet(
        title,
        ["style of", *labels],
        ["content of", *labels],
        tiles,
        framed=frozenset((k + 1, k + 1) for k in range(n)),
        after_rows=frozenset([0]),
        after_columns=frozenset([0]),
    )


def interpolation_grid(
    predictor: Predictor,
    first: Pixels,
    second: Pixels,
    labels: Sequence[tuple[str, str]],
    title: str,
) -> Sheet:
    """From one image to another in style with the content kept, and the other way round.

    Args:
        predictor: Encodes and decodes.
        first: ``[n, channel, *space]``, where each path begins, n >= 1.
        second: ``[n, channel, *space]``, where it ends.
        labels: What both are, ``[n]``.
        title: One line.

    Returns:
        Above, n rows with the content of the first image and a style that moves in a straight
        line from the first to the second; below, n rows with the style of the first image and a
        content that moves so. The images themselves are on both sides.
    """
    ends = [predictor.predict(images) for images in (first, second)]
    assert ends[0].style is not None
    assert ends[1].style is not None
    content = _between(ends[0].content, ends[1].content)
    style = _between(ends[0].style, ends[1].style)
    names, tiles = [], []
    for what, codes in (
        ("style", (np.broadcast_to(content[:, :1], content.shape), style)),
        ("content", (content, np.broadcast_to(style[:, :1], style.shape))),
    ):
        for k, (one, other) in enumerate(labels):
            drawn = predictor.decode(*(np.ascontiguousarray(each[k]) for each in codes))
            tiles.append([first[k], *drawn, second[k]])
            names.append(f"{what} of {one}\nto {other}")
    shares = [f"{share:.0%}" for share in np.linspace(0, 1, STEPS)]
    return Sheet(
        title,
        names,
        ["from", *shares, "to"],
        tiles,
        after_rows=frozenset([len(labels) - 1]),
        after_columns=frozenset([0, STEPS]),
    )


def _between(one: Codes, other: Codes) -> Codes:
    """``[n, step, d]`` along the straight lines."""
    share = np.linspace(0, 1, STEPS, dtype=np.float32)[None, :, None]
    return one[:, None] * (1 - share) + other[:, None] * share
