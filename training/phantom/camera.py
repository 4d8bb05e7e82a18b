"""What a camera does to an image of skin."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

INKS = {"field": (12, 11, 13), "ruler": (30, 30, 34), "corner": (20, 22, 40)}
#: Markers are drawn this much larger, then averaged.
OVERSAMPLING = 3


@dataclass(frozen=True)
class Device:
    """What a camera does to the image.

    Attributes:
        cast: Grey levels added to red, green and blue.
        vignette: Share of the light lost in the corners.
        blur: Standard deviation, in pixels of a 96-pixel image.
        contrast: Factor on the distance from middle grey.
        marker: What stands in the image beside the skin.
    """

    cast: tuple[float, float, float]
    vignette: float
    blur: float
    contrast: float
    marker: Literal["none", "ruler", "field", "corner"]


@lru_cache(maxsize=16)
def grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Places rightwards and downwards ``[size, size]``, in half image widths, -1 to 1."""
    line = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def photograph(
    colour: NDArray[np.float32], device: Device, exposure: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """What a device makes of the light that reaches it.

    Args:
        colour: Grey levels ``[3, size, size]``, overwritten.
        device: The camera.
        exposure: Factor on the light.
        rng: Draws the sensor noise (2.5 grey levels) and the lean of the light.

    Returns:
        ``[size, size, 3]``.
    """
    size = colour.shape[-1]
    x, y = grid(size)
    lean = rng.normal(0, 0.035, 2).astype(np.float32)
    light = x * x + y * y
    light *= np.float32(-0.5 * device.vignette)
    light += lean[0] * x + lean[1] * y
    light += 1
    colour *= light * np.float32(exposure * device.contrast)
    noise = 2.5 * rng.standard_normal((size, size), np.float32)
    cast = np.array(device.cast, np.float32) + np.float32(128 * (1 - device.contrast))
    colour += noise
    colour += cast[:, None, None]
    np.clip(colour, 0, 255, out=colour)
    image = Image.fromarray(np.ascontiguousarray(colour.astype(np.uint8).transpose(1, 2, 0)))
    if device.blur:
        image = image.filter(ImageFilter.GaussianBlur(device.blur * size / 96))
    if device.marker != "none":
        cover, ink = _marker(device.marker, size)
        image.paste(ink, mask=cover)
    return np.asarray(image)


@lru_cache(maxsize=32)
def _marker(marker: str, size: int) -> tuple[Image.Image, tuple[int, int, int]]:
    """How much of each pixel the marker covers, and its colour."""
    large = size * OVERSAMPLING
    sheet = Image.new("L", (large, large), 255 if marker == "field" else 0)
    pen = ImageDraw.Draw(sheet)
    if marker == "field":
        edge = -0.04 * large
        pen.ellipse((edge, edge, large - edge, large - edge), fill=0)
    elif marker == "ruler":
        for tick in range(1, 20):
            x, long = tick * large / 20, 0.10 if tick % 5 == 0 else 0.05
            pen.line(
                (x, large * 0.99, x, large * (0.99 - long)),
                fill=230,
                width=max(2, large // 110),
            )
    else:
        for x, y in ((0, 0), (1, 1)):
            inner = [(x * large, y * large), (abs(x - 0.22) * large, y * large)]
            pen.polygon([*inner, (x * large, abs(y - 0.22) * large)], fill=255)
    return sheet.reduce(OVERSAMPLING), INKS[marker]
