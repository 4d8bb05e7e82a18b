"""What is wrong with zips of strangers by their lists of files, before anything is unpacked."""

import shutil
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from evaluation.errors import Fault, InputError
from training.cohort import inside
from training.image_store import LARGEST_FILE
from training.manifest import listed

#: Bytes that are unpacked at once.
PIECE: Final = 2**20

#: Most bytes of the list of files, which is read into memory: about half a million files.
LARGEST_LIST: Final = 64 * 2**20

#: How many times smaller than its content a packed file may be, once it is larger than a piece.
#: Deflate does not shrink scans to a hundredth, and zeros to a thousandth.
RATIO: Final = 200

#: Room that is left on the disk, in bytes.
SPARE: Final = 256 * 2**20


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


def opened(path: Path, where: str) -> ZipFile:
    """A zip whose list of files is small enough to read.

    Args:
        path: The file.
        where: Its name for messages.

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


def list_faults(
    opened: Sequence[tuple[ZipFile, str]], target: Path, bounds: Bounds
) -> list[Fault]:
    """Everything that is wrong by the lists alone; empty if they are good.

    Args:
        opened: Zips, and their names for messages.
        target: Folder on the disk that has to have room.
        bounds: How much there may be.
    """
    faults: list[Fault] = []
    for zipped, where in opened:
        faults += listed(_file_faults(zipped.infolist(), where, bounds), where)
    faults += listed(_twice(opened), "images")
    faults += _sum_faults(opened, target, bounds)
    return faults


def files(zipped: ZipFile) -> list[ZipInfo]:
    """The files of a zip, without its folders."""
    return [info for info in zipped.infolist() if not info.is_dir()]


def shown(info: ZipInfo) -> str:
    """The place of a file in its zip: its name may be that of a patient."""
    return f"file at byte {info.header_offset}"


def too_much(where: str, bounds: Bounds) -> Fault:
    """The fault of zips with more in them than is unpacked."""
    limit = f"The limit is {bounds.total} bytes, EVENSCAN_MAX_UNPACKED_BYTES."
    return Fault(where, "it has too much in it", limit)


def no_room() -> Fault:
    """The fault of a full disk."""
    remedy = "Try again when there is room; nothing of it was kept."
    return Fault("disk", "the disk of the service has no room for the images", remedy)


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


def _file_faults(listed: Sequence[ZipInfo], where: str, bounds: Bounds) -> Iterator[Fault]:
    """What is wrong with single files."""
    for info in listed:
        for found, remedy in _reasons(info, bounds):
            yield Fault(f"{where}/{shown(info)}", found, remedy)
    ordered = sorted(listed, key=lambda info: info.header_offset)
    for one, other in pairwise(ordered):
        end = one.header_offset + 30 + len(one.orig_filename.encode()) + one.compress_size
        if end > other.header_offset:
            yield Fault(f"{where}/{shown(other)}", "it overlaps another file", "Pack again.")


def _reasons(info: ZipInfo, bounds: Bounds) -> Iterator[tuple[str, str]]:
    """Why a file is not unpacked, and what to do about it."""
    # It is unpacked under the second, which an extra field of the list may have put there.
    if found := _name_fault(info.orig_filename) or _name_fault(info.filename):
        yield found, "Pack it under a plain relative name."
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield "it is a link or a device", "Pack the file itself."
    if info.flag_bits & 0x2041:
        yield "it is encrypted", "Pack it without a password."
    elif info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        yield "it is packed in an unusual way", "Pack with deflate."
    if info.file_size > bounds.each:
        limit = f"At most {bounds.each / 2**20:,.0f} MiB a file."
        yield f"it has {info.file_size / 2**20:,.0f} MiB", limit
    if info.file_size > max(PIECE, RATIO * info.compress_size):
        yield f"it grows more than {RATIO} times", "Pack it without compression."


def _name_fault(name: str) -> str:
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
        for info in files(zipped):
            name = info.filename.casefold()
            if name in seen:
                found = f"its name is also that of {seen[name]}"
                yield Fault(f"{where}/{shown(info)}", found, "Name each file once.")
            else:
                seen[name] = f"{where}/{shown(info)}"


def _sum_faults(
    opened: Sequence[tuple[ZipFile, str]], target: Path, bounds: Bounds
) -> Iterator[Fault]:
    """What is wrong with all of them together."""
    found = [info for zipped, _ in opened for info in files(zipped)]
    if len(found) > bounds.files:
        yield Fault("images", f"there are {len(found):,}", f"At most {bounds.files:,} files.")
    size = sum(info.file_size for info in found)
    if size > bounds.total:
        yield too_much("images", bounds)
    elif size + SPARE > shutil.disk_usage(target).free:
        yield no_room()
