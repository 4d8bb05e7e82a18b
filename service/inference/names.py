"""Names of images, as answers repeat them."""

from typing import Final

#: Parts of a form, or keys of JSON, that hold images.
PARTS: Final = ("images", "partners")

#: How long a name may be in an answer.
LONGEST: Final = 200


def shown(name: bytes) -> str:
    """A file's name as it came, on one line and not longer than it needs."""
    text = name.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text[:LONGEST]
    return "".join(each if each.isprintable() else "?" for each in text)[:LONGEST]
