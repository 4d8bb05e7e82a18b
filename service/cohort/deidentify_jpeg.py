"""Takes out of JPEG files what pixels do not depend on, without encoding these again."""

import struct

from service.cohort.orientation import orientation_of


def without_metadata(data: bytes) -> bytes:
    """The file with what decoding needs, its colour profile, and how it is turned.

    Args:
        data: A JPEG; what follows its end goes.

    Raises:
        ValueError: Its structure is damaged.
        IndexError: It is truncated.
        struct.error: The same.
    """
    plain, exif = codestream(data), b""
    if turn := orientation_of(data):
        note = b"Exif\0\0" + turn
        exif = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note
    return plain[:2] + exif + plain[2:]


def codestream(data: bytes) -> bytes:
    """What decoding needs of a JPEG or JPEG-LS, and its colour profile.

    Args:
        data: What follows its end goes.

    Raises:
        ValueError: Its structure is damaged.
        IndexError: It is truncated.
        struct.error: The same.
    """
    parts, at = [data[:2]], 2
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise ValueError("no marker")
        if marker == 0xD9:
            return b"".join([*parts, b"\xff\xd9"])
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if end > len(data):
            raise ValueError("truncated")
        parts.append(_kept(marker, data[at:end]))
        at = end
        if marker == 0xDA:
            at = _end_of_scan(data, end)
            parts.append(data[end:at])


def _kept(marker: int, segment: bytes) -> bytes:
    """A segment if decoding needs it, or what it needs of it; else nothing."""
    if marker == 0xE0 and segment[4:9] == b"JFIF\0":
        return b"\xff\xe0\0\x10" + segment[4:16] + b"\0\0"  # without its thumbnail
    if marker == 0xE2 and segment[4:16] == b"ICC_PROFILE\0":
        return segment
    if marker == 0xEE and segment[4:9] == b"Adobe":
        return segment[:16]
    # other applications' segments, and comments
    return b"" if 0xE0 <= marker <= 0xEF or marker == 0xFE else segment


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the next marker is that is no restart; codes have no such byte behind 255."""
    while not (data[at] == 0xFF and data[at + 1] >= 0x80 and data[at + 1] & 0xF8 != 0xD0):
        at = data.index(b"\xff", at + 1)
    return at
