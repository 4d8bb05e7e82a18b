"""Brings numbers of any kind to 0 to 255."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError

RANGES = "Save it with 8 or 16 bits a channel, or as float in [0, 1]."


def eight_bit(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Numbers with a known range as 0 to 255, rounded to the nearest.

    Args:
        values: bool, uint8 (left as it is), uint16, of which the full range 0 to 65535 is
            taken, or float in [0, 1]. Any shape.
        where: Name of the image, for the message.

    Returns:
        uint8 of the same shape.

    Raises:
        InputError: A float is not in [0, 1] or not a number, the message says which range was
            found and where the first is; or the type has no known range.

    Examples:
        >>> eight_bit(np.array([0.0, 0.5, 1.0]), "slice").tolist()
        [0, 128, 255]
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.newbyteorder("=") == np.uint16:
        return np.rint(values.astype(np.float32) / 257).astype(np.uint8)
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(255), np.uint8(0))
    if not np.issubdtype(values.dtype, np.floating):
        found = f"its numbers are {values.dtype}, which have no known range"
        raise InputError(Fault(where, found, RANGES))
    if fault := range_fault(values, where):
        raise InputError(fault)
    shown: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return shown


def range_fault(values: NDArray[Any], where: str) -> Fault | None:
    """What is wrong with floats that should be in [0, 1], or None.

    >>> print(range_fault(np.array([[0, 1], [0.5, -3]]), "a.tif"))
    a.tif: its numbers run from -3 to 1, first -3 at [1, 1]. Scale them to [0, 1].
    """
    wrong = ~((values >= 0) & (values <= 1))
    if not wrong.any():
        return None
    place = np.unravel_index(int(wrong.argmax()), values.shape)
    first = f"first {values[place]:g} at {[int(i) for i in place]}"
    finite = values[np.isfinite(values)]
    lost = values.size - finite.size
    found = f"{lost:,} of its numbers are not finite, " if lost else ""
    if finite.size and (finite.min() < 0 or finite.max() > 1 or not lost):
        found += f"its numbers run from {finite.min():g} to {finite.max():g}, "
    return Fault(where, found + first, "Scale them to [0, 1].")


def windowed(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Numbers with ``low`` as 0 and ``high`` as 255, cut off outside.

    Args:
        values: Any numbers; what is not a number becomes 0.
        low: Lower end.
        high: Upper end. If it is not above ``low``, what is above ``low`` becomes 255.

    Returns:
        uint8 of the same shape.

    Examples:
        >>> windowed(np.array([-1000, 0, 40, 80, 3000]), 0, 80).tolist()
        [0, 0, 128, 255, 255]
    """
    if not high > low:
        return eight_bit(values > low, "")
    if values.dtype in (np.uint16, np.int16) and values.size > 2**16:
        # each of the 65536 numbers once, not each of millions of pixels
        every = np.arange(2**16, dtype=np.uint16)
        return windowed(every.view(values.dtype), low, high)[values.view(np.uint16)]
    scaled = values.astype(np.float32)
    scaled -= np.float32(low)
    scaled *= np.float32(255 / (high - low))
    np.nan_to_num(scaled, copy=False, nan=0, posinf=255, neginf=0)
    return np.rint(scaled, out=scaled).clip(0, 255).astype(np.uint8)
