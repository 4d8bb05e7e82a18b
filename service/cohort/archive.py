"""Unpacks zips of strangers: what is not safe is refused, whole, before a model sees any of it.

What a list of files says is only used to refuse early. What is written is counted.
"""

import errno
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from zipfile import BadZipFile, ZipFile, ZipInfo

from evaluation.errors import Fault, InputError
from service.cohort.archive_list import (
    PIECE,
    Bounds,
    files,
    list_faults,
    no_room,
    opened,
    shown,
    too_much,
)
from training.manifest import listed

#: Bytes at the beginning of a file by which its kind is told.
BEGIN: Final = 512

#: How files of a kind begin: (offset, bytes).
IMAGES: Final = {
    "DICOM": (128, b"DICM"),
    "PNG": (0, b"\x89PNG\r\n\x1a\n"),
    "JPEG": (0, b"\xff\xd8\xff"),
    "TIFF (II)": (0, b"II*\0"),
    "TIFF (MM)": (0, b"MM\0*"),
    "BigTIFF (II)": (0, b"II+\0"),
    "BigTIFF (MM)": (0, b"MM\0+"),
}
ARCHIVES: Final = (
    (0, b"PK\x03\x04"),
    (0, b"PK\x05\x06"),
    (0, b"\x1f\x8b"),
    (0, b"7z\xbc\xaf\x27\x1c"),
    (0, b"Rar!"),
    (0, b"BZh"),
    (0, b"\xfd7zXZ\0"),
    (257, b"ustar"),
)


@dataclass
class Unpacked:
    """What came out.

    Attributes:
        files: How many images were written.
        bytes: Their size.
        passed_over: How many files are no images, and were not written.
    """

    files: int = 0
    bytes: int = 0
    passed_over: int = 0


def unpack(
    archives: Sequence[tuple[Path, str]],
    target: Path,
    bounds: Bounds,
    tell: Callable[[float], None] = lambda share: None,
) -> Unpacked:
    """Unpack the images of zips into one folder.

    Args:
        archives: Path of each, and what it is called in messages.
        target: Folder to fill; it is emptied first.
        bounds: How much there may be.
        tell: Is called with the share that is done.

    Raises:
        InputError: With every fault that the lists of files have; or, while unpacking, with
            every file that is not what its list says. Nothing is left in the folder then. No
            message has the name of a file.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    zips: list[tuple[ZipFile, str]] = []
    try:
        faults = _open(archives, zips)
        faults += list_faults(zips, target, bounds)
        if faults:
            raise InputError(*faults)
        return _Unpacking(target, bounds, tell).all_of(zips)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError) and (fault := _fault_of(error)) is not None:
            raise InputError(fault) from None
        raise
    finally:
        for zipped, _ in zips:
            zipped.close()


def _open(archives: Sequence[tuple[Path, str]], zips: list[tuple[ZipFile, str]]) -> list[Fault]:
    """Open what can be opened, into ``zips``; returns what is wrong with the others."""
    faults: list[Fault] = []
    for path, name in archives:
        try:
            zips.append((opened(path, name), name))
        except InputError as error:
            faults += error.faults
    return faults


def _fault_of(error: OSError) -> Fault | None:
    """What an error of the disk means; None if it is no fault of the zips."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_room()
    if error.errno == errno.EINVAL:  # a place before the begin of the file was looked for
        outside = "a list of files points outside of its zip"
        return Fault("images", outside, "Pack it again.")
    return None


class _Unpacking:
    """One pass over zips whose lists are good."""

    def __init__(self, target: Path, bounds: Bounds, tell: Callable[[float], None]) -> None:
        self.target, self.bounds, self.tell = target, bounds, tell
        self.made = Unpacked()
        self.read = 0

    def all_of(self, zips: Sequence[tuple[ZipFile, str]]) -> Unpacked:
        """Unpack all of them.

        Raises:
            InputError: Some files are not what the lists say.
        """
        total = sum(info.file_size for zipped, _ in zips for info in files(zipped)) or 1
        faults: list[Fault] = []
        for zipped, name in zips:
            faults += listed(self._members(zipped, name, total), name)
            if self.read > self.bounds.total:
                break
        if faults:
            raise InputError(*faults)
        return self.made

    def _members(self, zipped: ZipFile, where: str, total: int) -> Iterator[Fault]:
        for info in files(zipped):
            self.tell(min(self.read / total, 1.0))
            try:
                if (fault := self._member(zipped, info, where)) is not None:
                    yield fault
            except (BadZipFile, EOFError, RuntimeError, zlib.error, struct.error):
                found = "it is damaged"
                yield Fault(f"{where}/{shown(info)}", found, "Pack the files again.")
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                found = "a file and a folder have one name"
                yield Fault(f"{where}/{shown(info)}", found, "Rename one of them.")
            if self.read > self.bounds.total:
                yield too_much(where, self.bounds)
                return

    def _member(self, zipped: ZipFile, info: ZipInfo, where: str) -> Fault | None:
        with zipped.open(info) as file:
            begin = file.read(BEGIN)
            self.read += len(begin)
            if _begins(begin, ARCHIVES):
                found = "it is an archive itself"
                return Fault(f"{where}/{shown(info)}", found, "Pack images, nothing else.")
            if not _begins(begin, IMAGES.values()):
                self.made.passed_over += not _is_hidden(info.filename)
                return None
            size = self._written(begin, file, info)
        if size is None:
            found = "it is larger than it says"
            return Fault(f"{where}/{shown(info)}", found, "Pack it again.")
        self.made.files += 1
        self.made.bytes += size
        return None

    def _written(self, begin: bytes, file: IO[bytes], info: ZipInfo) -> int | None:
        """Write a file; returns its size, None if it is larger than it says."""
        path = self._place(info)
        path.parent.mkdir(parents=True, exist_ok=True)
        size, piece = 0, begin
        with path.open("wb") as written:
            while piece and self.read <= self.bounds.total:  # the caller tells of too much
                size += len(piece)
                if size > info.file_size or size > self.bounds.each:
                    return None
                written.write(piece)
                piece = file.read(PIECE)
                self.read += len(piece)
        return size

    def _place(self, info: ZipInfo) -> Path:
        """Where a file is written.

        Raises:
            BadZipFile: That is not below the target.
        """
        path, target = (self.target / info.filename).resolve(), self.target.resolve()
        if target not in path.parents:
            raise BadZipFile("its name leads out of the folder")
        return path


def _begins(begin: bytes, marks: Iterable[tuple[int, bytes]]) -> bool:
    return any(begin[at:].startswith(mark) for at, mark in marks)


def _is_hidden(name: str) -> bool:
    """Whether it is a file that the system of whoever packed it has added."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
