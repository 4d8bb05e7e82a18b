"""How an image is turned, as a note of its own that says nothing else."""

import struct
from io import BytesIO
from typing import Final

#: Tag of EXIF that says how to turn an image.
ORIENTATION: Final = 0x0112


def orientation_of(data: bytes) -> bytes:
    """EXIF that says how an image is turned and nothing else; empty if it is upright."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as image:
            turn = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  whatever is wrong with the note, the pixels may be good
        return b""
    if turn not in range(2, 9):
        return b""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, turn, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
