"""Reads the size of an encoded frame before it is decoded."""

from evaluation.errors import Fault, InputError
from training.imaging import AGAIN

#: SOF0 to SOF15, without the tables DHT, JPG and DAC between them, and that of JPEG-LS.
STARTS_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


def check_codestream(frame: bytes, most: int, where: str) -> None:
    """See that a frame is whole and no larger than the header says, before it is decoded.

    The size stands in the marker SOF of JPEG and JPEG-LS (ITU-T T.81 B.2.2, T.87 C.2.2) and
    SIZ of JPEG 2000 (T.800 A.5.1). Other codes, such as RLE, are passed over.

    Args:
        frame: One frame as encoded.
        most: Pixels that the header says.
        where: Name of the file, for the message.

    Raises:
        InputError: It has more pixels, or does not end with the marker of an end.
    """
    size = codestream_size(frame)
    if size is None:
        return
    if size[0] * size[1] > most:
        found = f"a frame has {size[0]} x {size[1]} pixels, more than its header says"
        raise InputError(Fault(where, found, AGAIN))
    if not frame.rstrip(b"\0\xff").endswith(b"\xff\xd9"):
        raise InputError(Fault(where, "the image is truncated", AGAIN))


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns of a JPEG, JPEG-LS or JPEG 2000 codestream; None if it is another.

    >>> codestream_size(bytes.fromhex("ffd8 ffc0 0011 08 0010 0020"))
    (16, 32)
    """
    if frame[:4] == b"\xff\x4f\xff\x51":
        right, lower, left, upper = (
            int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20)
        )
        return lower - upper, right - left
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(frame):
        marker = frame[at + 1]
        if frame[at] != 0xFF or marker == 0xFF:
            at += 1
        elif marker in STARTS_OF_FRAME:
            return (
                int.from_bytes(frame[at + 5 : at + 7], "big"),
                int.from_bytes(frame[at + 7 : at + 9], "big"),
            )
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
