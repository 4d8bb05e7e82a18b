"""What a model refuses to look at, although it could be decoded."""

from collections.abc import Iterator

from evaluation.errors import Fault
from training.image_header import ImageHeader
from training.imaging import InputContract, Pixels

#: What channels may be, as Pillow, TIFF and DICOM call it. Print colours, CIE colours and masks
#: become red, green and blue in ways that nobody has looked at.
PHOTOMETRIC = frozenset(
    {"L", "1", "I", "I;16", "RGB", "YCBCR", "PALETTE", "MINISBLACK", "MINISWHITE"}
    | {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422"}
    | {"YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT"}
)


def refused(
    header: ImageHeader, contract: InputContract, modality: tuple[str, ...], where: str
) -> Iterator[Fault]:
    """What speaks against an image, each a fault; nothing is only warned of.

    An image is refused that

    * is smaller than the model takes, so that pixels would have to be invented: in its shorter
      side, or if the model pads, in its longer;
    * is grey where the model takes colours (of colours grey is the luma, which is defined);
    * has channels that are neither grey nor red, green and blue in some coding;
    * is of another modality (DICOM) than the contract names.

    Data whose channels are not colours (two or four of them) and volumes are judged by the
    reader alone, which takes exactly what the contract says.

    Args:
        header: What the file says.
        contract: What the model takes.
        modality: Those that the model takes; empty if its contract names none.
        where: Name of the image, for the message.
    """
    if modality and header.kind == "DICOM" and header.modality not in modality:
        found = f"its modality is '{header.modality}'"
        yield Fault(where, found, f"The model takes {' or '.join(modality)}.")
    if contract.dimensions == 3 or contract.channels in (2, 4):
        return
    side = (max if contract.fit == "pad" else min)(header.width, header.height)
    if 0 < side < contract.size:
        found = f"{header.width} x {header.height} pixels are fewer than the model takes"
        remedy = f"Send the original; at least {contract.size} pixels a side are needed."
        yield Fault(where, found, remedy)
    if header.photometric.upper() not in PHOTOMETRIC:
        found = f"its channels are {header.photometric or 'not declared'}"
        yield Fault(where, found, "Save it in grey or in red, green and blue.")
    elif header.channels == 1 and contract.channels == 3:
        yield Fault(where, "it is grey, and the model takes colours", "Send the original.")


def too_many(count: int, most: int) -> Fault:
    """The fault of a request with more images than it may have."""
    found = f"there are {count} images in one request"
    return Fault("body", found, f"Send at most {most}.", column="images")


def constant(pixels: Pixels, where: str) -> Fault | None:
    """The fault of an image of which every pixel is the same.

    Args:
        pixels: ``[channel, *space]``, as the model takes it.
        where: Name of the image.
    """
    first = pixels.reshape(len(pixels), -1)[:, :1]
    if (pixels.reshape(len(pixels), -1) == first).all():
        return Fault(where, "every pixel is the same: it shows nothing", "Send the original.")
    return None
