"""Takes comments and applications' notes out of the codes of JPEG, JPEG-LS and JPEG 2000.

DICOM files hold such codes frame by frame, and devices note in them what they like.
"""

import struct
from typing import Final

from service.cohort.deidentify_jpeg import codestream as plain_jpeg

#: Markers of JPEG 2000 (ITU-T T.800, table A.2): comment, begin of a tile, its data, the end.
COMMENT, TILE, TILE_DATA, END = 0xFF64, 0xFF90, 0xFF93, 0xFFD9

#: How codes begin.
JPEG: Final = b"\xff\xd8\xff"
JPEG_2000: Final = b"\xff\x4f\xff\x51"


def without_comments(frame: bytes) -> bytes:
    """A frame that decodes to the same pixels; what is of none of the three stays as it is.

    Args:
        frame: As encoded.

    Raises:
        ValueError: Its structure is damaged.
        IndexError: It is truncated.
        struct.error: The same.
    """
    if frame.startswith(JPEG):
        return plain_jpeg(frame)
    if frame.startswith(JPEG_2000):
        return _plain_jpeg_2000(frame)
    return frame


def _plain_jpeg_2000(frame: bytes) -> bytes:
    """The same with zeros in the place of comments, since tiles say how long they are."""
    kept, at, next_tile = bytearray(frame), 2, len(frame)
    while at < len(frame):
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == END:
            break
        if marker == TILE_DATA:
            at = next_tile
            continue
        (length,) = struct.unpack_from(">H", frame, at + 2)
        if marker >> 8 != 0xFF or length < 2:
            raise ValueError("no marker")
        if marker == TILE:
            (size,) = struct.unpack_from(">I", frame, at + 6)
            next_tile = max(at + size, at + 12) if size else len(frame)
        elif marker == COMMENT:
            end = min(at + 2 + length, len(frame))
            kept[at + 6 : end] = bytes(max(0, end - at - 6))
        at += 2 + length
    return bytes(kept)
