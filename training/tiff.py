"""Reads TIFF files: what Pillow has a mode for as any image, the rest as numbers."""

import zlib
from importlib.util import find_spec
from io import BytesIO
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffFileError, TiffPage, TiffPageSeries

from evaluation.errors import Fault, InputError
from training.fitting import fitted
from training.imaging import (
    AGAIN,
    DAMAGED,
    LARGEST_IMAGE,
    decode_with_pillow,
    too_large,
)
from training.intensity import eight_bit
from training.volume import LARGEST_VOLUME

if TYPE_CHECKING:
    from training.imaging import InputContract, Pixels

#: Axes that hold channels, in the letters of tifffile: of one page, and of several.
CHANNELS = "SC"

#: What tifffile raises on a damaged file.
BROKEN = (*DAMAGED, TiffFileError, ArithmeticError, AssertionError, MemoryError)

DEFLATE = (COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE)
READABLE = (COMPRESSION.NONE, COMPRESSION.PACKBITS, COMPRESSION.LZW, *DEFLATE)


def decode_tiff(data: bytes, contract: "InputContract", where: str) -> "Pixels":
    """Pixels of a TIFF.

    Colours and grey of 8 bits, and grey of 16 bits or float, are read by Pillow, with every
    compression that it knows. All else, such as channels that are not colours, channels of 16
    bits or float, and volumes, is read as numbers; uncompressed, PackBits and Deflate always,
    LZW where the package imagecodecs is installed.

    Args:
        data: The file.
        contract: What the model takes. Pages are the depth if it takes volumes; otherwise the
            first is taken.
        where: Name of the file, for the message.

    Returns:
        Of the shape of the contract, in 0 to 255. The full range of 16 bits becomes 0 to 255;
        floats are in [0, 1].

    Raises:
        InputError: The file is damaged or truncated, too large, compressed in another way, or
            its numbers, channels or dimensions do not fit.
    """
    try:
        with TiffFile(BytesIO(data)) as file:
            series = file.series[0]
            _check_size(series, contract, where)
            if contract.dimensions == 2 and contract.channels in (1, 3) and _an_image(series):
                return decode_with_pillow(data, contract, where, ("TIFF",))
            numbers = _numbers(data, file, contract, where)
            inverted = series.keyframe.photometric == PHOTOMETRIC.MINISWHITE
    except BROKEN as error:
        raise InputError(Fault(where, f"the image is damaged ({error})", AGAIN)) from None
    pixels = eight_bit(numbers, where)
    return fitted(255 - pixels if inverted else pixels, contract, where)


def first_page(data: bytes) -> TiffPage | None:
    """The tags of the first page; None if they cannot be read."""
    try:
        with TiffFile(BytesIO(data)) as file:
            page = file.pages.first
    except BROKEN:
        return None
    return page


def _an_image(series: TiffPageSeries) -> bool:
    """Whether Pillow has a mode that holds the first page without loss."""
    page = series.keyframe
    grey = page.samplesperpixel == 1 and page.photometric == PHOTOMETRIC.MINISBLACK
    # Pillow mixes up the bytes of compressed floats that have the large end first
    numbers = (np.uint16,) if page.parent.byteorder == ">" else (np.uint16, np.float32)
    exact = page.bitspersample <= 8 or (grey and page.dtype in numbers)
    return exact and page.samplesperpixel <= 4 and "C" not in series.axes


def _check_size(series: TiffPageSeries, contract: "InputContract", where: str) -> None:
    page = series.keyframe
    if page.imagewidth * page.imagelength > LARGEST_IMAGE:
        raise too_large(f"{page.imagewidth} x {page.imagelength} pixels", where)
    samples = prod(series.shape if contract.dimensions == 3 else page.shape)
    if samples > LARGEST_VOLUME:
        limit = f"At most {LARGEST_VOLUME // 1_000_000} million are decoded; make it smaller."
        raise InputError(Fault(where, f"it has {samples:,} numbers", limit))


def _numbers(
    data: bytes, file: TiffFile, contract: "InputContract", where: str
) -> NDArray[Any]:
    """What is stored, ``[channel, height, width]`` or ``[channel, depth, height, width]``."""
    series = file.series[0]
    page = series.keyframe
    before = len(series.axes) - len(page.axes)
    leading = series.axes[:before]
    wanted = np.arange(prod(series.shape[:before])).reshape(series.shape[:before])
    if contract.dimensions == 2:
        for place, axis in enumerate(leading):
            if axis not in CHANNELS:
                wanted = wanted.take([0], axis=place)
    elif not leading.strip(CHANNELS):
        found = "its pages differ in size or kind" if len(file.pages) > 1 else "it has one page"
        remedy = "Save a volume with one page for each slice, all alike."
        raise InputError(Fault(where, f"{found}, and the model takes volumes", remedy))
    stored = np.stack([_page(data, series, int(i), where) for i in wanted.ravel()])
    stored = stored.reshape(*wanted.shape, *page.shape)
    axes = leading + page.axes
    channel = [i for i, axis in enumerate(axes) if axis in CHANNELS]
    depth = [i for i, axis in enumerate(axes) if axis not in CHANNELS + "YX"]
    ordered = stored.transpose(*channel, *depth, axes.index("Y"), axes.index("X"))
    channels = prod(stored.shape[i] for i in channel)
    spatial = ordered.shape[-2:]
    return ordered.reshape(channels, *([-1] if contract.dimensions == 3 else []), *spatial)


def _page(data: bytes, series: TiffPageSeries, index: int, where: str) -> NDArray[Any]:
    page = series.pages[index] if index < len(series.pages) else None
    if page is None:
        found = "its pages are not listed one by one"
        raise InputError(Fault(where, found, "Save it as a plain TIFF of several pages."))
    _check_segments(data, page, series.keyframe, where)
    return np.asarray(page.asarray())


def _check_segments(data: bytes, page: Any, keyframe: TiffPage, where: str) -> None:
    """See that what is stored is there, can be decoded, and is no larger than it should be."""
    compression = keyframe.compression
    if compression not in READABLE or (compression == COMPRESSION.LZW and not _has_lzw()):
        name = getattr(compression, "name", str(compression))
        needs = "; LZW needs the package imagecodecs" if name == "LZW" else ""
        found = f"its compression is {name}, and its kind of pixels is read without it{needs}"
        raise InputError(Fault(where, found, "Save it uncompressed or with Deflate."))
    largest = prod(keyframe.chunks) * np.dtype(keyframe.dtype).itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + count > len(data):
            raise InputError(Fault(where, "the image is truncated", AGAIN))
        if compression in DEFLATE:
            inflater = zlib.decompressobj()
            inflater.decompress(data[offset : offset + count], largest)
            if inflater.unconsumed_tail:
                raise too_large("more pixels than its header says", where)


def _has_lzw() -> bool:
    return find_spec("imagecodecs") is not None
