"""Finds the module that reads one kind of file, which needs packages of its own."""

from importlib import import_module
from types import ModuleType

from evaluation.errors import Fault, InputError


def reader(name: str, where: str) -> ModuleType:
    """The module ``training.<name>``, imported now: not everybody has every kind of file.

    Args:
        name: Of the module, such as ``dicom``.
        where: Name of the file or cohort that needs it, for the message.

    Raises:
        InputError: A package that it imports is not installed; the message names the extra.
    """
    try:
        return import_module(f"training.{name}")
    except ModuleNotFoundError as error:
        found = f"reading it needs the package {error.name}, which is not installed"
        remedy = "Install evenscan[training]."
        raise InputError(Fault(where, found, remedy)) from None
