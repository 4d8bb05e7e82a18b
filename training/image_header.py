"""Reads what an image file says of itself, without decoding it."""

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image

from training.imaging import DAMAGED, TIFF
from training.readers import reader

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"

#: Channels by the colour type of a PNG, its transparency left out. A palette holds colours.
PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}


@dataclass(frozen=True)
class ImageHeader:
    """What a file says of its image.

    Attributes:
        kind: ``PNG``, ``JPEG``, ``TIFF`` or ``DICOM``.
        width: In pixels.
        height: In pixels.
        channels: 1 for grey, 3 for colours; transparency is not counted.
        photometric: What the channels are, such as ``RGB``, ``CMYK`` or ``MONOCHROME1``.
        modality: Of DICOM, such as ``CR``; else empty.
    """

    kind: str
    width: int
    height: int
    channels: int
    photometric: str
    modality: str = ""


def image_header(data: bytes, where: str) -> ImageHeader | None:
    """The header of an encoded image.

    Args:
        data: The file.
        where: Its name, for the message.

    Returns:
        None if it cannot be read; :func:`training.imaging.decode` says what is wrong then.

    Raises:
        InputError: A DICOM file is damaged, or the package for this kind is not installed.
    """
    if data[128:132] == b"DICM":
        return _dicom(data, where)
    if data.startswith(TIFF):
        return _tiff(data, where)
    if data.startswith(PNG) and len(data) > 25:
        width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
        channels = PNG_CHANNELS.get(colour, 3)
        return ImageHeader("PNG", width, height, channels, "RGB" if channels == 3 else "L")
    return _jpeg(data) if data.startswith(JPEG) else None


def _jpeg(data: bytes) -> ImageHeader | None:
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as image:
            channels = 1 if image.mode == "L" else 3
            return ImageHeader("JPEG", image.width, image.height, channels, image.mode)
    except (*DAMAGED, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _tiff(data: bytes, where: str) -> ImageHeader | None:
    tifffile = reader("tiff", where)
    page = tifffile.first_page(data)
    if page is None:
        return None
    photometric = getattr(page.photometric, "name", "")
    channels = 3 if photometric == "PALETTE" else page.samplesperpixel - len(page.extrasamples)
    return ImageHeader("TIFF", page.imagewidth, page.imagelength, channels, photometric)


def _dicom(data: bytes, where: str) -> ImageHeader:
    header = reader("dicom", where).opened(BytesIO(data), where, pixels=False)
    photometric = str(header.PhotometricInterpretation)
    channels = 1 if photometric.startswith("MONOCHROME") else 3
    modality = str(header.get("Modality", ""))
    return ImageHeader(
        "DICOM", int(header.Columns), int(header.Rows), channels, photometric, modality
    )
