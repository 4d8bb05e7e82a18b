"""Reads image files where they lie, in a folder or a zip."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol
from zipfile import BadZipFile, ZipFile

from evaluation.errors import Fault, InputError

#: Bytes of the largest file that is read into memory.
LARGEST_FILE = 256 * 2**20

#: Bytes at each end of a file in a folder that its fingerprint is made of.
ENDS = 4096


class ImageStore(Protocol):
    """Where image files lie. It may be read from several threads."""

    path: Path

    def __contains__(self, name: str) -> bool:
        """Whether there is such a file."""

    def names(self) -> list[str]:
        """Every file that is not hidden, at any depth, sorted."""

    def open(self, name: str) -> IO[bytes]:
        """A file to read a part of.

        Raises:
            InputError: It cannot be read.
        """

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            InputError: It cannot be read, or is too large.
        """

    def signatures(self, names: Iterable[str]) -> Iterator[str]:
        """Something for each file that changes with its content."""


class Folder:
    """Image files in a folder."""

    def __init__(self, path: Path) -> None:
        """Remember the path."""
        self.path = path

    def __contains__(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.path / name).is_file()

    def names(self) -> list[str]:
        """Every file below the folder, sorted."""
        paths = (path for path in self.path.rglob("*") if path.is_file())
        return _shown(path.relative_to(self.path).as_posix() for path in paths)

    def open(self, name: str) -> IO[bytes]:
        """A file to read a part of."""
        try:
            return (self.path / name).open("rb")
        except OSError as error:
            raise _unreadable(str(self.path / name), error) from None

    def read(self, name: str) -> bytes:
        """The content of a file."""
        file = self.path / name
        try:
            _check_size(file.stat().st_size, str(file))
            return file.read_bytes()
        except OSError as error:
            raise _unreadable(str(file), error) from None

    def signatures(self, names: Iterable[str]) -> Iterator[str]:
        """Size and both ends of each file: an edited image differs there, and it is fast."""
        for name in names:
            try:
                with (self.path / name).open("rb") as file:
                    start = file.read(ENDS)
                    size = file.seek(0, 2)
                    file.seek(max(0, size - ENDS))
                    yield f"{name} {size} {start.hex()} {file.read(ENDS).hex()}"
            except OSError as error:
                raise _unreadable(str(self.path / name), error) from None


class Archive:
    """Image files in a zip, read in place. Its file stays open as long as this lives."""

    def __init__(self, path: Path) -> None:
        """Read the list of files.

        Raises:
            InputError: It is not a zip.
        """
        self.path = path
        try:
            # ZipFile locks its file while it reads, so threads may share it
            self.zip = ZipFile(path)
        except (BadZipFile, OSError) as error:
            raise _unreadable(str(path), error) from None
        self.files = {info.filename: info for info in self.zip.infolist() if not info.is_dir()}

    def __contains__(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.files

    def names(self) -> list[str]:
        """Every file of the list, sorted."""
        return _shown(self.files)

    def open(self, name: str) -> IO[bytes]:
        """A file to read a part of."""
        try:
            return self.zip.open(name)
        except (BadZipFile, OSError, EOFError, RuntimeError) as error:
            raise _unreadable(f"{self.path}/{name}", error) from None

    def read(self, name: str) -> bytes:
        """The content of a file."""
        where = f"{self.path}/{name}"
        try:
            _check_size(self.files[name].file_size, where)
            return self.zip.read(name)
        # RuntimeError: encrypted; NotImplementedError, one of its kind: unknown compression
        except (BadZipFile, OSError, EOFError, RuntimeError) as error:
            raise _unreadable(where, error) from None

    def signatures(self, names: Iterable[str]) -> Iterator[str]:
        """Size and checksum of each file, from the list of files."""
        for name in names:
            yield f"{name} {self.files[name].file_size} {self.files[name].CRC}"


class Several:
    """Several folders or zips as one. A file is looked for in each, in order."""

    def __init__(self, stores: Sequence[ImageStore]) -> None:
        """Remember the stores, at least one."""
        self.stores = stores
        self.path = stores[0].path.parent

    def _holder(self, name: str) -> ImageStore:
        return next((store for store in self.stores if name in store), self.stores[0])

    def __contains__(self, name: str) -> bool:
        """Whether there is such a file in one of them."""
        return any(name in store for store in self.stores)

    def names(self) -> list[str]:
        """Every file of each of them, sorted."""
        return sorted({name for store in self.stores for name in store.names()})

    def open(self, name: str) -> IO[bytes]:
        """A file to read a part of."""
        return self._holder(name).open(name)

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return self._holder(name).read(name)

    def signatures(self, names: Iterable[str]) -> Iterator[str]:
        """What the store that holds each file says of it."""
        for name in names:
            yield from self._holder(name).signatures([name])


def open_stores(paths: Sequence[Path]) -> ImageStore:
    """One or more folders or zips.

    Raises:
        InputError: Some are not there; one fault each.
    """
    faults: list[Fault] = []
    stores: list[ImageStore] = []
    for path in paths:
        try:
            stores.append(open_store(path))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return stores[0] if len(stores) == 1 else Several(stores)


def open_store(path: Path) -> ImageStore:
    """The folder or zip at a path.

    Raises:
        InputError: There is neither.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Archive(path)
    remedy = "Check the setting 'images', the root and EVENSCAN_DATA."
    raise InputError(Fault(str(path), "no such folder or zip", remedy))


def _shown(names: Iterable[str]) -> list[str]:
    return sorted(
        name for name in names if not any(part.startswith(".") for part in name.split("/"))
    )


def _check_size(size: int, where: str) -> None:
    if size > LARGEST_FILE:
        limit = f"At most {LARGEST_FILE // 2**20} MiB are read."
        raise InputError(Fault(where, f"the file has {size / 2**20:,.0f} MiB", limit))


def _unreadable(where: str, error: Exception) -> InputError:
    return InputError(Fault(where, f"not readable: {error}", "Copy or export the file again."))
