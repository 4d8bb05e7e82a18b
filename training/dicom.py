"""Reads DICOM files: opens them safely, decodes their frames, and never tells who it is."""

import re
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, config, dcmread
from pydicom.encaps import generate_frames
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from evaluation.errors import Fault, InputError
from training.codestream import check_codestream
from training.dicom_display import (
    colour,
    displayed,
    plane_spacing,
    slice_position,
    slice_spacing,
    with_modality,
)
from training.fitting import fitted
from training.imaging import AGAIN, DAMAGED, LARGEST_IMAGE, too_large
from training.volume import LARGEST_VOLUME

if TYPE_CHECKING:
    from training.imaging import InputContract, Pixels

#: Bytes that a deflated file may grow to.
LARGEST_INFLATED = 512 * 2**20

#: Bytes of it that are held at once to see whether it does.
INFLATED_PIECE = 16 * 2**20

#: What pydicom and the decoders raise on a damaged file.
BROKEN = (
    *DAMAGED,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    BytesLengthException,
    InvalidDicomError,
)

#: Beginning of the name of a transfer syntax, and the packages that decode it.
DECODERS = {
    "JPEG 2000": "pylibjpeg and pylibjpeg-openjpeg",
    "High-Throughput JPEG 2000": "pylibjpeg and pylibjpeg-openjpeg",
    "JPEG-LS": "pyjpegls",
    "JPEG": "python-gdcm",
}

NEEDED = ("SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation")
HOLD_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
NO_IMAGE = "It may be a report or a plan; take it out, or export it again."

#: Words of pydicom about files that end too soon.
CUT = ("end of file", "less than expected", "shorter", "unexpected end", "delimit")

TOO_MANY = f"At most {LARGEST_VOLUME // 1_000_000} million voxels are decoded; make it smaller."


def decode_dicom(data: bytes, contract: "InputContract", where: str) -> "Pixels":
    """Pixels of a DICOM file.

    Grey values pass the modality LUT or rescale slope, then the VOI LUT or the first window.
    Without either, images with up to 8 bits stay as they are and others are scaled from their
    smallest to their largest value, padding left out. MONOCHROME1 is inverted, so that more is
    brighter always. Palettes and YBR become red, green and blue.

    Args:
        data: The file. Every transfer syntax but video: uncompressed, deflated, RLE, JPEG
            (baseline, extended, lossless), JPEG-LS, JPEG 2000 and its high-throughput form.
        contract: What the model takes. Frames are the depth if it takes volumes; otherwise the
            first is taken.
        where: Name of the file, for the message.

    Returns:
        Of the shape of the contract, in 0 to 255.

    Raises:
        InputError: The file is damaged or truncated, has no pixels or too many, is compressed
            in a way that no installed package decodes, or does not fit the contract: one slice
            is no volume. No message holds a value of the header that could name a patient.
    """
    return decode_series([(data, where)], contract)


def decode_series(files: Sequence[tuple[bytes, str]], contract: "InputContract") -> "Pixels":
    """Pixels of the files of a series as one volume, or of a single file.

    Args:
        files: Content and name of each. Several are sorted along the normal of their planes by
            ImagePositionPatient, or if one has none, by InstanceNumber.
        contract: What the model takes.

    Raises:
        InputError: See :func:`decode_dicom`; or slices differ in size.
    """
    where = files[0][1]
    slices = [(opened(BytesIO(data), name), name) for data, name in files]
    if len(slices) > 1:
        order = slice_position([header for header, _ in slices])
        slices = [slices[i] for i in np.argsort(order, kind="stable")]
    first = slices[0][0]
    try:
        total = sum(_samples(header, contract) for header, _ in slices)
        if total > LARGEST_VOLUME:
            raise InputError(Fault(where, f"it has {total:,} voxels", TOO_MANY))
        stored = [_frames(header, contract, name) for header, name in slices]
        if contract.dimensions == 3 and sum(map(len, stored)) == 1:
            found = "it has one slice, and the model takes volumes"
            raise InputError(
                Fault(where, found, "Set dimensions to 2, or samples to 'series'.")
            )
        if len({frames.shape[1:] for frames in stored}) > 1:
            found = "its slices differ in size"
            raise InputError(Fault(where, found, "Take the odd one out, such as a scout view."))
        if str(first.PhotometricInterpretation).startswith("MONOCHROME"):
            pairs = zip(stored, slices, strict=True)
            values = np.concatenate([with_modality(one, head) for one, (head, _) in pairs])
            pixels = displayed(values, first)[np.newaxis]
        else:
            pixels = np.moveaxis(colour(np.concatenate(stored), first, where), -1, 0)
        spacing = plane_spacing(first)
        if contract.dimensions == 2:
            return fitted(pixels[:, 0], contract, where, spacing)
        step = slice_spacing([header for header, _ in slices], spacing)
    except BROKEN as error:
        raise damaged(error, where) from None
    return fitted(pixels, contract, where, (step, *spacing))


def opened(file: BinaryIO, where: str, *, pixels: bool = True) -> Dataset:
    """The elements of a DICOM file.

    Args:
        file: Open at its beginning.
        where: Its name, for the message.
        pixels: Whether to read the pixels too; otherwise reading stops before them.

    Raises:
        InputError: It is not a DICOM file, is damaged or truncated, or has no pixels.
    """
    # What pydicom finds odd about a value it would repeat, and the value may be a name.
    config.settings.reading_validation_mode = config.IGNORE
    try:
        _check_deflated(file, where)
        header = dcmread(file, stop_before_pixels=not pixels)
        # elements are converted when they are asked for: those that matter, now
        _check_image(header, where, pixels=pixels)
    except BROKEN as error:
        raise damaged(error, where) from None
    return header


def _check_image(header: Dataset, where: str, *, pixels: bool) -> None:
    if not len(header):
        # What pydicom leaves of a file that ends within an element.
        raise InputError(Fault(where, "the file is truncated", AGAIN))
    sized = "Rows" in header and "Columns" in header
    if not sized or int(header.Rows) < 1 or int(header.Columns) < 1:
        raise InputError(Fault(where, "the DICOM file has no pixels", NO_IMAGE))
    if pixels and not any(word in header for word in HOLD_PIXELS):
        raise InputError(
            Fault(where, "the DICOM file has no pixels, or is truncated in them", AGAIN)
        )
    missing = [word for word in NEEDED if header.get(word) in (None, "")]
    if not header.file_meta.get("TransferSyntaxUID"):
        missing.append("TransferSyntaxUID")
    if missing:
        raise InputError(Fault(where, f"it lacks {', '.join(missing)}", AGAIN))
    if int(header.Rows) * int(header.Columns) > LARGEST_IMAGE:
        raise too_large(f"{header.Rows} x {header.Columns} pixels", where)


def _frames(header: Dataset, contract: "InputContract", where: str) -> NDArray[Any]:
    """What is stored, ``[frame, row, column]`` or ``[frame, row, column, sample]``."""
    syntax = header.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise _undecodable(syntax, where) from None
    if not decoder.is_available:
        raise _undecodable(syntax, where)
    if syntax.is_encapsulated:
        for frame in _encoded(header, contract):
            check_codestream(frame, int(header.Rows) * int(header.Columns), where)
    index = 0 if contract.dimensions == 2 else None
    options = as_pixel_options(header)
    try:
        stored, _ = decoder.as_array(header, index=index, **options)
    except RuntimeError as error:
        # what every decoder says of a depth that it does not know, such as 12 bits of JPEG
        if "does not support" in str(error):
            raise _undecodable(syntax, where, f" with {header.BitsStored} bits") from None
        raise
    one = index == 0 or options.get("number_of_frames", 1) == 1
    return stored[np.newaxis] if one else stored


def _encoded(header: Dataset, contract: "InputContract") -> Iterator[bytes]:
    frames = generate_frames(header.PixelData, number_of_frames=_frame_count(header))
    for i, frame in enumerate(frames):
        if i and contract.dimensions == 2:
            return
        yield frame


def _samples(header: Dataset, contract: "InputContract") -> int:
    frames = 1 if contract.dimensions == 2 else _frame_count(header)
    return int(header.Rows) * int(header.Columns) * int(header.SamplesPerPixel) * frames


def _frame_count(header: Dataset) -> int:
    return max(1, int(header.get("NumberOfFrames") or 1))


def _check_deflated(file: BinaryIO, where: str) -> None:
    """Refuse a deflated file that would fill the memory; pydicom inflates it as a whole."""
    read_preamble(file, force=False)
    syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        packed, size = file.read(), 0
        while packed and not inflater.eof:
            size += len(inflater.decompress(packed, INFLATED_PIECE))
            packed = inflater.unconsumed_tail
            if size > LARGEST_INFLATED:
                raise too_large(f"more than {LARGEST_INFLATED // 2**20} MiB inflated", where)
        if not inflater.eof:
            raise InputError(Fault(where, "the file is truncated", AGAIN))
    file.seek(0)


def _undecodable(syntax: UID, where: str, depth: str = "") -> InputError:
    name = syntax.name
    packages = [needed for start, needed in DECODERS.items() if name.startswith(start)]
    remedy = f"Install {packages[0]}." if packages and not depth else "Export it uncompressed."
    found = (
        f"its transfer syntax is {name} ({syntax}){depth}, for which no decoder is installed"
    )
    return InputError(Fault(where, found, remedy))


def damaged(error: Exception, where: str) -> InputError:
    """The fault of a file that pydicom or a decoder fails on."""
    # what pydicom says may quote a value, and the value may be a name
    text = str(error).lower()
    cut = isinstance(error, EOFError) or any(word in text for word in CUT)
    found = "the file is truncated" if cut else f"the file is damaged ({type(error).__name__})"
    return InputError(Fault(where, found, AGAIN))


def masked(name: str, header: Dataset) -> str:
    """The name of a file without the patient's id and names, if it holds them.

    >>> header = Dataset()
    >>> header.PatientID, header.PatientName = "A12", "Roe^Jane"
    >>> masked("roe_jane/A12-1.dcm", header)
    '***_***/***-1.dcm'
    """
    names = re.split(r"[\^=\s]", str(header.get("PatientName", "")))
    words = {str(header.get("PatientID", "")), *names} - {""}
    for word in sorted(words, key=len, reverse=True):
        alone = rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"
        pattern = re.escape(word) if len(word) > 3 else alone
        name = re.sub(pattern, "***", name, flags=re.IGNORECASE)
    return name
