"""Unpacks zips of strangers: what is not safe is refused, whole, before a model sees any of it.

What a header says is only used to refuse early. What is written is counted.
"""

import errno
import shutil
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from evaluation.errors import Fault, InputError
from training.cohort import inside
from training.image_store import LARGEST_FILE
from training.manifest import listed

PIECE: Final = 2**20

#: Bytes at the beginning of a file by which its kind is told.
BEGIN: Final = 512

#: Most bytes of the list of files, which is read into memory: about half a million files.
LARGEST_LIST: Final = 64 * 2**20

#: How many times smaller than its content a packed file may be, once it is larger than a piece.
#: Deflate does not shrink scans to a hundredth, and zeros to a thousandth.
RATIO: Final = 200

#: Room that is left on the disk, in bytes.
SPARE: Final = 256 * 2**20

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


@dataclass(frozen=True)
class Bounds:
    """How much may be unpacked.

    Attributes:
        total: Bytes of all files.
        each: Bytes of one file.
        files: Number of files.
    """

    total: int
    each: int = LARGEST_FILE
    files: int = 500_000


@dataclass
class Unpacked:
    """What came out.

    Attributes:
        files: How many images were written.
        bytes: Their size.
        passed_over: Names of files that are no images, and were not written.
    """

    files: int = 0
    bytes: int = 0
    passed_over: list[str] = field(default_factory=list)


def unpack(
    archives: Sequence[tuple[Path, str]],
    target: Path,
    bounds: Bounds,
    tell: Callable[[float], None] = lambda share: None,
) -> Unpacked:
    """Unpack the images of zips into one folder.

    Args:
        archives: Path and name of each.
        target: Folder to fill; it is emptied first.
        bounds: How much there may be.
        tell: Is called with the share that is done.

    Raises:
        InputError: With every fault that the lists of files have; or, while unpacking, with
            every file that is not what its list says. Nothing is left in the folder then.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    opened: list[tuple[ZipFile, str]] = []
    faults: list[Fault] = []
    try:
        for path, name in archives:
            try:
                opened.append((_opened(path, name), name))
            except InputError as error:
                faults += error.faults
        for zipped, name in opened:
            found = _list_faults(zipped.infolist(), name, bounds)
            faults += listed(found, name)
        faults += listed(_twice(opened), "images")
        faults += _sum_faults(opened, target, bounds)
        if faults:
            raise InputError(*faults)
        return _Unpacking(target, bounds, tell).all_of(opened)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(_no_room()) from None
        if error.errno == errno.EINVAL:  # a place before the begin of the file was looked for
            outside = "a list of files points outside of its zip"
            raise InputError(Fault("images", outside, "Pack it again.")) from None
        raise
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        for zipped, _ in opened:
            zipped.close()


class _Unpacking:
    """One pass over zips whose lists are good."""

    def __init__(self, target: Path, bounds: Bounds, tell: Callable[[float], None]) -> None:
        self.target, self.bounds, self.tell = target, bounds, tell
        self.made = Unpacked()
        self.read = 0

    def all_of(self, opened: Sequence[tuple[ZipFile, str]]) -> Unpacked:
        """Unpack all of them.

        Raises:
            InputError: Some files are not what the lists say.
        """
        total = sum(info.file_size for zipped, _ in opened for info in _files(zipped)) or 1
        faults: list[Fault] = []
        for zipped, name in opened:
            found = self._members(zipped, name, total)
            faults += listed(found, name)
            if self.read > self.bounds.total:
                break
        if faults:
            raise InputError(*faults)
        return self.made

    def _members(self, zipped: ZipFile, where: str, total: int) -> Iterator[Fault]:
        for info in _files(zipped):
            self.tell(min(self.read / total, 1.0))
            try:
                if (fault := self._member(zipped, info, where)) is not None:
                    yield fault
            except (BadZipFile, EOFError, RuntimeError, zlib.error, struct.error) as error:
                found = f"it is damaged: {error}" if "CRC" in str(error) else "it is damaged"
                yield Fault(f"{where}/{_shown(info)}", found, "Pack the files again.")
            if self.read > self.bounds.total:
                yield _too_much(where, self.bounds)
                return

    def _member(self, zipped: ZipFile, info: ZipInfo, where: str) -> Fault | None:
        shown = f"{where}/{_shown(info)}"
        with zipped.open(info) as file:
            begin = file.read(BEGIN)
            self.read += len(begin)
            if any(begin[at:].startswith(mark) for at, mark in ARCHIVES):
                return Fault(shown, "it is an archive itself", "Pack images, nothing else.")
            if not any(begin[at:].startswith(mark) for at, mark in IMAGES.values()):
                if not _is_hidden(info.filename):
                    self.made.passed_over.append(info.filename)
                return None
            path = self.target / info.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            size, piece = 0, begin
            with path.open("wb") as written:
                while piece:
                    size += len(piece)
                    if size > info.file_size or size > self.bounds.each:
                        return Fault(shown, "it is larger than it says", "Pack it again.")
                    if self.read > self.bounds.total:
                        return None  # told by the caller, once
                    written.write(piece)
                    piece = file.read(PIECE)
                    self.read += len(piece)
            self.made.files += 1
            self.made.bytes += size
        return None


def _opened(path: Path, where: str) -> ZipFile:
    """A zip whose list of files is small enough to read.

    Raises:
        InputError: It is none, or its end is missing.
    """
    try:
        size = _list_size(path)
        if size > LARGEST_LIST:
            found = f"its list of files has {size / 2**20:,.0f} MiB"
            raise InputError(Fault(where, found, "Send several smaller zips."))
        return ZipFile(path)
    except (BadZipFile, EOFError, ValueError, struct.error, NotImplementedError):
        found = "it is no zip, or is damaged or truncated"
        raise InputError(Fault(where, found, "Pack it again.")) from None


def _list_size(path: Path) -> int:
    """Bytes of the list of files, as the record at the end of a zip has it."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - 65_557))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < 22:
            raise BadZipFile("no end record")
        size: int = struct.unpack_from("<I", tail, at + 12)[0]
        if at >= 20 and tail[at - 20 :].startswith(b"PK\x06\x07"):
            file.seek(struct.unpack_from("<Q", tail, at - 12)[0])
            record = file.read(56)
            if record.startswith(b"PK\x06\x06") and len(record) == 56:
                size = struct.unpack_from("<Q", record, 40)[0]
    return size


def _list_faults(files: Sequence[ZipInfo], where: str, bounds: Bounds) -> Iterator[Fault]:
    """What is wrong with single files, from the list alone."""
    for info in files:
        shown = f"{where}/{_shown(info)}"
        if found := _name_fault(info):
            yield Fault(shown, found, "Pack it under a plain relative name.")
        mode = stat.S_IFMT(info.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield Fault(shown, "it is a link or a device", "Pack the file itself.")
        if info.flag_bits & 0x2041:
            yield Fault(shown, "it is encrypted", "Pack it without a password.")
        elif info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            yield Fault(shown, "it is packed in an unusual way", "Pack with deflate.")
        if info.file_size > bounds.each:
            limit = f"At most {bounds.each / 2**20:,.0f} MiB a file."
            yield Fault(shown, f"it has {info.file_size / 2**20:,.0f} MiB", limit)
        if info.file_size > max(PIECE, RATIO * info.compress_size):
            found = f"it grows more than {RATIO} times"
            yield Fault(shown, found, "Pack it without compression.")
    ordered = sorted(files, key=lambda info: info.header_offset)
    for one, other in pairwise(ordered):
        end = one.header_offset + 30 + len(one.orig_filename.encode()) + one.compress_size
        if end > other.header_offset:
            yield Fault(f"{where}/{_shown(other)}", "it overlaps another file", "Pack again.")


def _name_fault(info: ZipInfo) -> str:
    name = info.orig_filename
    try:
        inside(name)
    except ValueError:
        return "its name leads out of the folder"
    if not name.isprintable():
        return "its name has control characters"
    if len(name) > 500 or any(len(part.encode()) > 240 for part in name.split("/")):
        return "its name is too long"
    return ""


def _twice(opened: Sequence[tuple[ZipFile, str]]) -> Iterator[Fault]:
    """Names that are there twice, also if only their case differs, in any of the zips."""
    seen: dict[str, str] = {}
    for zipped, where in opened:
        for info in _files(zipped):
            name = info.filename.casefold()
            if name in seen:
                found = f"its name is also that of {seen[name]}"
                yield Fault(f"{where}/{_shown(info)}", found, "Name each file once.")
            else:
                seen[name] = f"{where}/{_shown(info)}"


def _sum_faults(
    opened: Sequence[tuple[ZipFile, str]], target: Path, bounds: Bounds
) -> Iterator[Fault]:
    """What is wrong with all of them together."""
    files = [info for zipped, _ in opened for info in _files(zipped)]
    if len(files) > bounds.files:
        yield Fault("images", f"there are {len(files):,}", f"At most {bounds.files:,} files.")
    size = sum(info.file_size for info in files)
    if size > bounds.total:
        yield _too_much("images", bounds)
    elif size + SPARE > shutil.disk_usage(target).free:
        yield _no_room()


def _files(zipped: ZipFile) -> list[ZipInfo]:
    return [info for info in zipped.infolist() if not info.is_dir()]


def _is_hidden(name: str) -> bool:
    """Whether it is a file that the system of whoever packed it has added."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _shown(info: ZipInfo) -> str:
    """The place of a file in its zip: its name may be that of a patient."""
    return f"file at byte {info.header_offset}"


def _too_much(where: str, bounds: Bounds) -> Fault:
    limit = f"The limit is {bounds.total} bytes, EVENSCAN_MAX_UNPACKED_BYTES."
    return Fault(where, "it has too much in it", limit)


def _no_room() -> Fault:
    remedy = "Try again when there is room; nothing of it was kept."
    return Fault("disk", "the disk of the service has no room for the images", remedy)
