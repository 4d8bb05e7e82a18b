"""Takes out of PNG files what pixels do not depend on, without encoding these again."""

import struct
from typing import Final
from zlib import crc32

from service.cohort.orientation import orientation_of
from training.image_header import PNG

#: Chunks of a PNG that pixels and their colours depend on.
KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS iCCP gAMA cHRM sRGB sBIT bKGD hIST pHYs cICP".split()
)


def without_metadata(data: bytes) -> bytes:
    """The file with the chunks of :data:`KEPT`, and how it is turned.

    Args:
        data: A PNG; what follows its end goes.

    Raises:
        ValueError: It is truncated.
        struct.error: The same.
    """
    parts, at, kind = [PNG], len(PNG), b""
    turn = orientation_of(data)
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise ValueError("truncated")
        if kind == b"IDAT" and turn:
            parts.append(_chunk(b"eXIf", turn))
            turn = b""
        if kind in KEPT:
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    sum_ = struct.pack(">I", crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + sum_
