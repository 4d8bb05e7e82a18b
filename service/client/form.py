"""Forms with files, which are read while they are sent."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from evaluation.errors import Fault, InputError
from service.client.types import Image

#: Parts of a form that hold files, with their fields.
Files = Sequence[tuple[str, Image]]

#: Field, and the name of its file, if it is one, with what is in it.
Part = tuple[str, tuple[str | None, Any]]


def check_form(fields: Mapping[str, Any], files: Files) -> None:
    """Refuse what a service could make nothing of, before anything is sent.

    Raises:
        InputError: Files are not there, are folders or are empty; or there is nothing.
    """
    faults = [fault for _, image in files for fault in _faults(image)]
    if not files and not fields:
        faults.append(Fault("files", "there are none", "Give at least one."))
    if faults:
        raise InputError(*faults)


def parts(fields: Mapping[str, Any], files: Files, opened: ExitStack) -> list[Part]:
    """What a form is made of.

    Args:
        fields: Those without a file. They are parts too, so that it is such a form without
            any file as well.
        files: Those with one.
        opened: Closes them.
    """
    plain: list[Part] = [(name, (None, str(value))) for name, value in fields.items()]
    return plain + [(field, _opened(image, opened)) for field, image in files]


def given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is not None.

    >>> given({"name": None, "limit": 0})
    {'limit': 0}
    """
    return {name: value for name, value in (values or {}).items() if value is not None}


def _faults(image: Image) -> Iterator[Fault]:
    if not isinstance(image, Path):
        name, empty = image[0], not image[1]
    elif not image.exists():
        yield Fault(str(image), "there is no such file", "Check its name.")
        return
    elif image.is_dir():
        yield Fault(str(image), "it is a folder", "Give a file.")
        return
    else:
        # Of a pipe nobody knows what will come.
        name, empty = str(image), image.is_file() and image.stat().st_size == 0
    if empty:
        yield Fault(name or "file", "it is empty", "Give a file with something in it.")


def _opened(image: Image, opened: ExitStack) -> tuple[str, Any]:
    if isinstance(image, Path):
        return image.name, opened.enter_context(image.open("rb"))
    return image
