"""Turns image files into pixels: the only reader, for training and for serving."""

import struct
import zlib
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from pydantic import Field

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings

Pixels = NDArray[np.uint8]

#: Raise it when the same file gives other pixels than before, so that caches are made anew.
READER_VERSION = 1

#: Width times height of the largest image that is decoded. A mammogram has about 14 million.
LARGEST_IMAGE = 64_000_000

FORMATS = ("PNG", "JPEG")

#: How files of other kinds begin, to say what was found: (offset, bytes, name).
SIGNATURES = (
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (8, b"WEBP", "a WebP"),
    (4, b"ftyp", "a HEIC or MP4"),
    (128, b"DICM", "a DICOM file"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
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


class InputContract(Settings):
    """What a model takes as input. It is stored beside the model and serving uses the same.

    Attributes:
        size: Height and width in pixels.
        channels: 1 for grey (luma of ITU-R 601), 3 for red, green, blue.
        fit: How an image becomes a square. ``crop`` keeps the centre, ``pad`` adds black bars,
            ``stretch`` changes the aspect ratio.
    """

    size: int = Field(ge=8, le=2048)
    channels: Literal[1, 3] = 3
    fit: Literal["crop", "pad", "stretch"] = "crop"


def decode(data: bytes, contract: InputContract, where: str) -> Pixels:
    """Pixels of an encoded image.

    The orientation of EXIF is applied; colour profiles and gamma are not. A JPEG much larger
    than needed is decoded at a half, quarter or eighth of its size, never below twice what is
    needed.

    Args:
        data: A PNG or JPEG file. The first frame is taken of an animation.
        contract: What the model takes.
        where: Name of the file or request part, for the message.

    Returns:
        ``[channel, size, size]`` in 0 to 255.

    Raises:
        InputError: The data are not a PNG or JPEG, are damaged or truncated, or the image has
            more than 64 million pixels. The last is read from the header, before anything is
            decoded.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > LARGEST_IMAGE:
                raise _too_large(f"{width} x {height} pixels", where)
            image.draft(image.mode, (2 * contract.size, 2 * contract.size))
            # WeasyPrint, which prints reports, lets Pillow fill truncated images for all.
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            image.load()
            return prepare(_upright(image), contract, where)
    except UnidentifiedImageError:
        raise InputError(Fault(where, _kind(data), RESAVE)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("too many pixels", where) from None
    except DAMAGED as error:
        cut = "truncated" in str(error) or "Truncated" in str(error)
        found = "the image is truncated" if cut else f"the image is damaged ({error})"
        raise InputError(Fault(where, found, "Copy or export the file again.")) from None


def prepare(image: Image.Image, contract: InputContract, where: str = "image") -> Pixels:
    """Pixels of an open image: mode, then square, then size, with antialiasing.

    Args:
        image: Any mode of 8 bits, palette, CMYK, or 16-bit grey, of which the full range 0 to
            65535 becomes 0 to 255. Transparent parts are laid over black.
        contract: What the model takes.
        where: Name of the image, for the message.

    Returns:
        ``[channel, size, size]`` in 0 to 255. Smaller images are enlarged.

    Raises:
        InputError: The image has no pixels, or a mode without a known range (32-bit numbers).
    """
    if 0 in image.size:
        raise InputError(Fault(where, "it has no pixels", RESAVE))
    mode = "L" if contract.channels == 1 else "RGB"
    squared = _squared(_eight_bit(image, mode, where), contract)
    pixels = np.asarray(squared, np.uint8).reshape(
        contract.size, contract.size, contract.channels
    )
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bit(image: Image.Image, mode: str, where: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float32) / 257
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert(mode)
    if image.mode in ("I", "F"):
        found = f"its mode is {image.mode}, numbers without a known range"
        raise InputError(Fault(where, found, "Save it with 8 or 16 bits a channel."))
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert(mode)
    if image.mode in (mode, "1", "L"):
        return image.convert(mode)
    # a palette, CMYK or LAB image has a defined colour first and a grey value only through it
    return image.convert("RGB").convert(mode)


def _squared(image: Image.Image, contract: InputContract) -> Image.Image:
    size, (width, height) = contract.size, image.size
    whole = (0.0, 0.0, float(width), float(height))
    if contract.fit == "stretch":
        return _resized(image, (size, size), whole)
    if contract.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return _resized(image, (size, size), (left, top, left + side, top + side))
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = Image.new(image.mode, (size, size))
    corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    square.paste(_resized(image, inner, whole), corner)
    return square


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED:
        return image  # the note about the orientation is damaged, the pixels are not


def _kind(data: bytes) -> str:
    if not data:
        return "the file is empty"
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "the image is truncated or damaged in its header"
    for offset, signature, name in SIGNATURES:
        if data.startswith(signature, offset):
            return f"found {name}, not a PNG or JPEG image"
    return "it is not an image"


def _too_large(found: str, where: str) -> InputError:
    limit = f"At most {LARGEST_IMAGE // 1_000_000} million pixels are decoded; make it smaller."
    return InputError(Fault(where, found, limit))
