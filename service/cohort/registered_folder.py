"""Folders of the hospital that may be registered as cohorts."""

from pathlib import Path

from evaluation.errors import Fault, InputError
from service.settings import ServiceSettings


def registered(path: str, settings: ServiceSettings) -> Path:
    """A folder that may be registered: below the one of the settings, whatever links it has.

    Args:
        path: Relative to that folder.
        settings: Of the service.

    Raises:
        InputError: Folders cannot be registered, or it is elsewhere or not there.
    """
    if settings.folders is None:
        remedy = "Upload the cohort, or start the service with EVENSCAN_FOLDERS."
        raise InputError(
            Fault("body", "no folder can be registered here", remedy, column="folder")
        )
    remedy = "Give a folder below EVENSCAN_FOLDERS, relative to it."
    base = settings.folders.resolve()
    try:
        folder = (base / path).resolve()
        # Whether it is not there or not allowed is the same answer: nothing else can be probed.
        allowed = not Path(path).is_absolute() and folder.is_relative_to(base)
        allowed = allowed and folder.is_dir()
    except (OSError, ValueError, RuntimeError):
        allowed = False
    if allowed:
        allowed = all(file.resolve().is_relative_to(base) for file in folder.rglob("*"))
    if not allowed:
        raise InputError(Fault("body", "there is no such folder", remedy, column="folder"))
    return folder
