"""Turns files into pixels: the one way in, for training and for serving."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from pydantic import Field

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from training.fitting import fitted, squared
from training.intensity import eight_bit
from training.readers import reader

Pixels = NDArray[np.uint8]

#: Raise it when the same file gives other pixels than before, so that caches are made anew.
READER_VERSION = 1

#: Width times height of the largest image that is decoded. A mammogram has about 14 million.
LARGEST_IMAGE = 64_000_000

FORMATS = ("PNG", "JPEG")

#: How a TIFF begins: two byte orders, and each with 32 or 64 bits an address.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: How files of other kinds begin, to say what was found: (offset, bytes, name).
SIGNATURES = (
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (8, b"WEBP", "a WebP"),
    (4, b"ftyp", "a HEIC or MP4"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (344, b"n+1\0", "a NIfTI volume"),
    (344, b"ni1\0", "the header of a NIfTI volume"),
    (0, b"<", "a text file that begins with '<'"),
)

#: What the decoders raise on a damaged file.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)

RESAVE = "Save the image as PNG or JPEG."
AGAIN = "Copy or export the file again."


class InputContract(Settings):
    """What a model takes as input. It is stored beside the model and serving uses the same.

    Attributes:
        size: Height and width, of a volume also depth, in pixels.
        channels: 1 for grey (luma of ITU-R 601), 3 for red, green, blue; 2 and 4 for data whose
            channels are not colours, such as the sequences of an MRI.
        fit: How an image becomes a square, or a volume a cube. ``crop`` keeps the centre,
            ``pad`` adds black bars, ``stretch`` changes the aspect ratio.
        dimensions: 2 for images, 3 for volumes.
    """

    size: int = Field(ge=8, le=2048)
    channels: Literal[1, 2, 3, 4] = 3
    fit: Literal["crop", "pad", "stretch"] = "crop"
    dimensions: Literal[2, 3] = 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: ``(channel, size, size)``, of a volume ``(channel, size, size, size)``.

        >>> InputContract(size=28, channels=1).shape
        (1, 28, 28)
        """
        return (self.channels, *[self.size] * self.dimensions)


def decode(data: bytes, contract: InputContract, where: str) -> Pixels:
    """Pixels of an encoded image.

    The orientation of EXIF is applied; colour profiles and gamma are not. A JPEG much larger
    than needed is decoded at a half, quarter or eighth of its size, never below twice what is
    needed.

    Args:
        data: A PNG, JPEG, TIFF (:func:`training.tiff.decode_tiff`) or DICOM file
            (:func:`training.dicom.decode_dicom`). The first frame is taken of several, if the
            model does not take volumes.
        contract: What the model takes.
        where: Name of the file or request part, for the message.

    Returns:
        Of the shape of the contract, in 0 to 255.

    Raises:
        InputError: The data are of another kind, are damaged or truncated, have other channels
            or dimensions than the model takes, or the image has more than 64 million pixels.
            The last is read from the header, before anything is decoded. Or the package for
            this kind is not installed.
    """
    pixels: Pixels
    # a DICOM file may begin with a TIFF's header, so that it is both
    if data[128:132] == b"DICM":
        pixels = reader("dicom", where).decode_dicom(data, contract, where)
    elif data.startswith(TIFF):
        pixels = reader("tiff", where).decode_tiff(data, contract, where)
    else:
        pixels = decode_with_pillow(data, contract, where, FORMATS)
    return pixels


def decode_with_pillow(
    data: bytes, contract: InputContract, where: str, formats: tuple[str, ...]
) -> Pixels:
    """Pixels of an image of one of the kinds that Pillow reads, see :func:`decode`."""
    try:
        with Image.open(BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > LARGEST_IMAGE:
                raise too_large(f"{width} x {height} pixels", where)
            image.draft(image.mode, (2 * contract.size, 2 * contract.size))
            # WeasyPrint, which prints reports, lets Pillow fill truncated images for all.
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            image.load()
            _set_upright(image)
            return prepare(image, contract, where)
    except UnidentifiedImageError:
        raise InputError(Fault(where, _kind(data), RESAVE)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large("too many pixels", where) from None
    except DAMAGED as error:
        cut = "truncated" in str(error) or "Truncated" in str(error)
        found = "the image is truncated" if cut else f"the image is damaged ({error})"
        raise InputError(Fault(where, found, AGAIN)) from None


def prepare(image: Image.Image, contract: InputContract, where: str = "image") -> Pixels:
    """Pixels of an open image: mode, then square, then size, with antialiasing.

    Args:
        image: Any mode of 8 bits, palette, CMYK, 16-bit grey, of which the full range 0 to
            65535 becomes 0 to 255, or float in [0, 1]. Transparent parts are laid over black,
            unless the model takes two or four channels: then transparency, or the black of
            CMYK, is a channel like others.
        contract: What the model takes.
        where: Name of the image, for the message.

    Returns:
        Of the shape of the contract, in 0 to 255. Smaller images are enlarged.

    Raises:
        InputError: The image has no pixels, other channels or dimensions than the model takes,
            or numbers without a known range.
    """
    if 0 in image.size:
        raise InputError(Fault(where, "it has no pixels", RESAVE))
    if contract.dimensions == 3 or contract.channels in (2, 4):
        stored = eight_bit(np.asarray(image), where)
        planes = np.moveaxis(np.atleast_3d(stored), -1, 0)
        return fitted(planes, contract, where)
    mode = "L" if contract.channels == 1 else "RGB"
    pixels = np.asarray(squared(_eight_bit(image, mode, where), contract), np.uint8).reshape(
        contract.size, contract.size, contract.channels
    )
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bit(image: Image.Image, mode: str, where: str) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(eight_bit(np.asarray(image), where)).convert(mode)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert(mode)
    if image.mode == mode:
        return image
    if image.mode in ("1", "L"):
        return image.convert(mode)
    # a palette, CMYK or LAB image has a defined colour first and a grey value only through it
    return image.convert("RGB").convert(mode)


def _set_upright(image: Image.Image) -> None:
    # the note about the orientation may be damaged, the pixels are not
    with suppress(*DAMAGED):
        ImageOps.exif_transpose(image, in_place=True)


def _kind(data: bytes) -> str:
    if not data:
        return "the file is empty"
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "the image is truncated or damaged in its header"
    for offset, signature, name in SIGNATURES:
        if data.startswith(signature, offset):
            return f"found {name}, not a PNG, JPEG, TIFF or DICOM image"
    return "it is not an image"


def too_large(found: str, where: str) -> InputError:
    """The fault of an image that is too large to be decoded."""
    limit = f"At most {LARGEST_IMAGE // 1_000_000} million pixels are decoded; make it smaller."
    return InputError(Fault(where, found, limit))
