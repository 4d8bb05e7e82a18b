"""Brings pixels to the channels, form and size that a model takes."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.errors import Fault, InputError
from training.volume import cubed

if TYPE_CHECKING:
    from training.imaging import InputContract

#: Of red, green and blue in grey, in 65536ths: luma of ITU-R 601 as Pillow computes it.
LUMA = np.array([19595, 38470, 7471], np.uint32)


def fitted(
    pixels: NDArray[np.uint8],
    contract: "InputContract",
    where: str,
    spacing: tuple[float, ...] = (),
) -> NDArray[np.uint8]:
    """Pixels as a model takes them.

    Args:
        pixels: ``[channel, height, width]``, of a volume ``[channel, depth, height, width]``.
        contract: What the model takes. Of one and three channels each becomes the other; two
            and four are not colours, so the data need exactly as many.
        where: Name of the image, for the message.
        spacing: Distance of neighbours along each axis but the first, in any unit; equal if
            not given. ``crop`` and ``pad`` keep the proportions that it gives.

    Returns:
        ``contract.shape``; the same numbers if the size is right and the spacing equal.

    Raises:
        InputError: There are no pixels, or the number of channels or axes does not fit.
    """
    axes = pixels.ndim - 1
    if axes != contract.dimensions:
        kinds = {2: "an image", 3: "a volume"}
        found = f"it is {kinds[axes]}, and the model takes {kinds[contract.dimensions]}"
        raise InputError(Fault(where, found, f"Set dimensions to {axes}."))
    if 0 in pixels.shape:
        raise InputError(Fault(where, "it has no pixels", "Export it again."))
    planes = _channelled(pixels, contract.channels, where)
    steps = spacing or (1.0,) * axes
    if axes == 3:
        return cubed(planes, contract.size, contract.fit, steps)
    rows = [squared(Image.fromarray(plane), contract, (steps[0], steps[1])) for plane in planes]
    return np.stack([np.asarray(row) for row in rows])


def squared(
    image: Image.Image, contract: "InputContract", spacing: tuple[float, float] = (1.0, 1.0)
) -> Image.Image:
    """An image as a square of the size of a contract, with antialiasing.

    Args:
        image: Of a mode with 8 bits a channel and without transparency.
        contract: Size and fit.
        spacing: Distance of rows and of columns.
    """
    size = contract.size
    step = (spacing[1], spacing[0])
    whole = (0.0, 0.0, float(image.width), float(image.height))
    if contract.fit == "stretch":
        return _resized(image, (size, size), whole)
    extent = (image.width * step[0], image.height * step[1])
    if contract.fit == "crop":
        width, height = (min(extent) / one for one in step)
        left, top = (image.width - width) / 2, (image.height - height) / 2
        return _resized(image, (size, size), (left, top, left + width, top + height))
    scale = size / max(extent)
    inner = (max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale)))
    square = Image.new(image.mode, (size, size))
    corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    square.paste(_resized(image, inner, whole), corner)
    return square


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)


def _channelled(pixels: NDArray[np.uint8], channels: int, where: str) -> NDArray[np.uint8]:
    if len(pixels) == channels:
        return pixels
    if (len(pixels), channels) == (1, 3):
        return np.repeat(pixels, 3, axis=0)
    if (len(pixels), channels) == (3, 1):
        grey = np.tensordot(LUMA, pixels.astype(np.uint32), 1)
        return ((grey + 0x8000) >> 16).astype(np.uint8)[np.newaxis]
    found = f"the number of its channels is {len(pixels)}, and the model takes {channels}"
    remedy = "Set channels to what the data have; only grey and colour become each other."
    raise InputError(Fault(where, found, remedy))
