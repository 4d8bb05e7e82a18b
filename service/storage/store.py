"""Where finished folders are kept: below the home, or in a store that speaks S3."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from evaluation.files import flush, flush_names, make_folder
from service.settings import ServiceSettings

#: What the names of uploads begin with; the rest is the id of their job.
UPLOADS: Final = "uploads"

#: What the names of what jobs work on begin with.
WORK: Final = "work"


def upload_of(job: str) -> str:
    """Name of the folder with what the request for a job brought.

    >>> upload_of("7f3a")
    'uploads/7f3a'
    """
    return f"{UPLOADS}/{job}"


def work_of(job: str, part: str) -> str:
    """Name of the folder with a part of a job's work that its later steps need.

    They may be done on another machine. Begins with :data:`WORK`.

    >>> work_of("7f3a", "run")
    'work/7f3a.run'
    """
    return f"{WORK}/{job}.{part}"


def job_of(name: str) -> str:
    """The job that a folder of uploads or of work belongs to.

    >>> job_of("work/7f3a.run"), job_of("uploads/7f3a")
    ('7f3a', '7f3a')
    """
    return name.rpartition("/")[2].partition(".")[0]


class Store(ABC):
    """Folders by name, such as ``models/3``.

    A name is written once, whole or not at all, and what it holds never changes, so a copy of
    it stays true.
    """

    @abstractmethod
    def keep(self, name: str, folder: Path) -> None:
        """Take a folder over; it is gone from its old place afterwards.

        What a process that died has left under the name is replaced. Once this returns, a row
        may say that it is there: no power cut takes it away.
        """

    @abstractmethod
    def folder(self, name: str) -> Path:
        """The folder on this machine, fetched if need be. It must not be written to.

        Raises:
            LookupError: There is none.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a folder, if it is there."""

    @abstractmethod
    def names(self, prefix: str) -> Sequence[str]:
        """Names that begin with ``prefix/``, sorted."""


class LocalStore(Store):
    """Folders below a folder of this machine."""

    def __init__(self, root: Path) -> None:
        """Use a folder; it is made when something is kept."""
        self.root = root

    def keep(self, name: str, folder: Path) -> None:
        """Move the folder to its place; it has to be on the same disk. Its time is then."""
        target = self.root / name
        make_folder(target.parent)
        shutil.rmtree(target, ignore_errors=True)
        flush(folder)
        os.utime(folder)  # that took its time, and an old upload without a job is swept
        folder.rename(target)
        flush_names(target.parent)

    def folder(self, name: str) -> Path:
        """Where it is kept.

        Raises:
            LookupError: There is none.
        """
        if not (self.root / name).is_dir():
            raise LookupError(f"there is no folder '{name}'")
        return self.root / name

    def remove(self, name: str) -> None:
        """Remove a folder, if it is there. Under another name first: half a folder is worse."""
        target = self.root / name
        gone = target.with_name(f".removed-{target.name}")
        shutil.rmtree(gone, ignore_errors=True)
        if target.is_dir():
            target.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def names(self, prefix: str) -> Sequence[str]:
        """Names of the folders there, sorted."""
        found = (self.root / prefix).glob("[!.]*")
        return sorted(f"{prefix}/{path.name}" for path in found)


class StoreUnavailable(Exception):
    """The store does not answer, or refuses."""


def open_store(settings: ServiceSettings) -> Store:
    """The store of a service. Nothing is asked of it yet."""
    if not settings.store_url:
        return LocalStore(settings.home)
    from service.storage.object_store import ObjectStore  # 16 MB that most services do without

    copies = settings.home / "cache" / "store"
    return ObjectStore(settings.store_url, copies, settings.store_endpoint)
