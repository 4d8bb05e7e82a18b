"""Turns what a DICOM file stores into what a viewer shows: 0 to 255, more is brighter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from training.intensity import eight_bit, windowed


def with_modality(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Stored values in the unit of the modality, such as Hounsfield units (PS3.3 C.11.1).

    Padding around the image becomes its darkest value as shown.

    Args:
        stored: ``[frame, row, column]``.
        header: Its elements; those of the first frame count for all.

    Returns:
        Of the same shape: unchanged if there is no LUT and no slope, else float32.
    """
    values = _without_padding(stored, header)
    if header.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(values, header))
    slope = number(_found(header, "RescaleSlope", "PixelValueTransformationSequence"), 1.0)
    start = number(_found(header, "RescaleIntercept", "PixelValueTransformationSequence"), 0.0)
    if (slope, start) == (1.0, 0.0):
        return values
    return values.astype(np.float32) * np.float32(slope) + np.float32(start)


def displayed(values: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Grey values as shown (PS3.3 C.11.2).

    Args:
        values: As :func:`with_modality` gives them, any shape.
        header: The elements of the file.

    Returns:
        uint8 of the same shape. A VOI LUT comes before a window, of several the first counts.
        Without both, unsigned values of up to 8 bits take their full range, others go from the
        smallest to the largest; an image of one value is black.
    """
    shown = _in_range(values, header)
    return 255 - shown if header.PhotometricInterpretation == "MONOCHROME1" else shown


def colour(stored: NDArray[Any], header: Dataset, where: str) -> NDArray[np.uint8]:
    """Colours, ``[frame, row, column, channel]``, from samples or a palette.

    Raises:
        InputError: The samples have no known range.
    """
    if header.PhotometricInterpretation == "PALETTE COLOR":
        return eight_bit(np.asarray(apply_color_lut(stored, header))[..., :3], where)
    bits = int(header.get("BitsStored", header.BitsAllocated))
    if stored.dtype != np.uint8 and np.issubdtype(stored.dtype, np.unsignedinteger):
        return windowed(stored, 0, 2**bits - 1)
    return eight_bit(stored, where)


def plane_spacing(header: Dataset) -> tuple[float, float]:
    """Distance of rows and of columns, in mm or, from an aspect ratio, without a unit.

    It is 1 and 1 if the file does not say, or says what is not positive.
    """
    for word in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        spacing = _found(header, word, "PixelMeasuresSequence")
        if isinstance(spacing, MultiValue) and len(spacing) == 2:
            row, column = (number(step, 0.0) for step in spacing)
            if row > 0 and column > 0:
                return row, column
    return 1.0, 1.0


def slice_spacing(headers: Sequence[Dataset], plane: tuple[float, float]) -> float:
    """Distance of slices: of a series the median between its positions.

    Args:
        headers: Of the sorted slices, or the one of a file with several frames.
        plane: Spacing of rows and columns; the first of it is taken if nothing is known.
    """
    if len(headers) > 1:
        position = slice_position(headers)
        step = float(np.median(np.diff(position)))
        if step > 0 and all("ImagePositionPatient" in header for header in headers):
            return step
    for word in ("SpacingBetweenSlices", "SliceThickness"):
        step = abs(number(_found(headers[0], word, "PixelMeasuresSequence"), 0.0))
        if step > 0:
            return step
    return plane[0]


def slice_position(headers: Sequence[Dataset]) -> NDArray[np.float64]:
    """Where each slice lies along the normal of its plane, in mm (PS3.3 C.7.6.2).

    If one does not say where it lies, the numbers of the instances are taken.
    """
    places = [header.get("ImagePositionPatient") for header in headers]
    axes = headers[0].get("ImageOrientationPatient")
    if axes is None or len(axes) != 6 or any(p is None or len(p) != 3 for p in places):
        return np.array([number(header.get("InstanceNumber"), 0.0) for header in headers])
    row, column = np.array(axes[:3], float), np.array(axes[3:], float)
    return np.array([list(map(float, p)) for p in places if p is not None]) @ np.cross(
        row, column
    )


def number(value: Any, otherwise: float) -> float:
    """The first number of an element, or ``otherwise`` if there is none that is finite."""
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return otherwise
    return found if np.isfinite(found) else otherwise


def _in_range(values: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    if header.get("VOILUTSequence"):
        table = header.VOILUTSequence[0]
        looked_up = apply_voi(values.astype(np.int64), header)
        return windowed(looked_up, 0, 2 ** int(table.LUTDescriptor[2]) - 1)
    centre = number(_found(header, "WindowCenter", "FrameVOILUTSequence"), np.nan)
    width = number(_found(header, "WindowWidth", "FrameVOILUTSequence"), np.nan)
    form = str(_found(header, "VOILUTFunction", "FrameVOILUTSequence") or "LINEAR")
    if np.isfinite(centre) and width >= (1 if form == "LINEAR" else 1e-9):
        return _through_window(values, centre, width, form)
    stored = int(header.get("BitsStored", header.BitsAllocated))
    if stored <= 8 and values.dtype == np.uint8:
        return values if stored == 8 else windowed(values, 0, 2**stored - 1)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return windowed(values, low, high)


def _through_window(
    values: NDArray[Any], centre: float, width: float, form: str
) -> NDArray[np.uint8]:
    if form == "SIGMOID":
        steep = (values.astype(np.float32) - np.float32(centre)) * np.float32(4 / width)
        return windowed(1 / (1 + np.exp(-steep.clip(-80, 80))), 0, 1)
    if form == "LINEAR":
        # its ends are those of whole numbers
        centre, width = centre - 0.5, width - 1
    return windowed(values, centre - width / 2, centre + width / 2)


def _without_padding(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    padding = header.get("PixelPaddingValue")
    if padding is None:
        return stored
    ends = sorted([int(padding), int(header.get("PixelPaddingRangeLimit", padding))])
    padded = (stored >= ends[0]) & (stored <= ends[1])
    if not padded.any() or padded.all():
        return stored
    inverted = header.PhotometricInterpretation == "MONOCHROME1"
    inner = stored[~padded]
    return np.where(padded, inner.max() if inverted else inner.min(), stored)


def _found(header: Dataset, word: str, sequence: str) -> Any:
    """An element, of enhanced files in the functional group of all frames or of the first."""
    if header.get(word) is not None:
        return header.get(word)
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in (header.get(group) or [])[:1]:
            for inner in (item.get(sequence) or [])[:1]:
                if inner.get(word) is not None:
                    return inner.get(word)
    return None
