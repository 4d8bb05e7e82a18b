"""Faults of images by the names that their sender gave them.

The service calls an image by its place, since its name may be that of a patient and errors are
written into logs. Whoever sent it knows it by name.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client.error import ServiceError
from service.client.form import Files


@contextmanager
def named(files: Files) -> Iterator[None]:
    """Tell of files by name in the block's errors.

    Args:
        files: As they were sent.

    Raises:
        ServiceError: The one of the block, with names in it.
    """
    try:
        yield
    except ServiceError as error:
        names = _names(files)
        errors = [
            each.model_copy(update={"where": names.get(each.where, each.where)})
            for each in error.errors
        ]
        detail = re.sub(
            r"^(\w+ \d+)(?=: )",
            lambda place: names.get(place[1], place[1]),
            error.detail,
            flags=re.MULTILINE,
        )
        raise ServiceError(
            error.status, detail, errors, error.request, error.kind, error.after
        ) from None


def _names(files: Files) -> dict[str, str]:
    """Name of each file by its place."""
    seen, names = Counter[str](), {}
    for field, image in files:
        seen[field] += 1
        place = f"{field.removesuffix('s')} {seen[field]}"
        names[place] = image.name if isinstance(image, Path) else image[0]
    return names
