"""Finds and maps the arrays of an ``.npz`` file without reading more than is needed."""

from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError

AGAIN = "Save it with numpy.savez or numpy.savez_compressed."

#: What numpy and zipfile raise on a damaged file.
BROKEN = (BadZipFile, OSError, ValueError, EOFError, RuntimeError, SyntaxError, MemoryError)


class ArrayFile:
    """An ``.npz`` file. Arrays of Python objects are refused, as they could run code."""

    def __init__(self, path: Path) -> None:
        """Read the list of arrays and their headers.

        Raises:
            InputError: There is no such file, or it is none of arrays.
        """
        self.path, self.where = path, str(path)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, np.dtype[Any]] = {}
        self._starts: dict[str, int] = {}
        try:
            with ZipFile(path) as file:
                self._members = {
                    info.filename.removesuffix(".npy"): info
                    for info in file.infolist()
                    if info.filename.endswith(".npy")
                }
                for name, info in self._members.items():
                    self._read_header(file, name, info)
        except FileNotFoundError:
            remedy = "Check the setting 'file', the root and EVENSCAN_DATA."
            raise InputError(Fault(self.where, "no such file", remedy)) from None
        except BROKEN as error:
            raise self._unreadable(error) from None

    def names(self) -> list[str]:
        """Names of the arrays, in the order of the file."""
        return list(self.shapes)

    def signatures(self) -> list[str]:
        """Name, size and checksum of each array."""
        return [f"{name} {i.file_size} {i.CRC}" for name, i in self._members.items()]

    def array(self, name: str) -> NDArray[Any]:
        """One array: mapped if it is stored uncompressed, else read as a whole.

        Raises:
            InputError: It is damaged or holds Python objects.
        """
        info, dtype = self._members[name], self.types[name]
        if dtype.hasobject:
            found = f"array '{name}' holds Python objects, which are not read"
            raise InputError(Fault(self.where, found, "Save numbers or text."))
        try:
            if info.compress_type == ZIP_STORED and self._starts[name]:
                start = _data_start(self.path, info) + self._starts[name]
                shape = self.shapes[name]
                return np.memmap(self.path, dtype, "r", offset=start, shape=shape)
            with np.load(self.path, allow_pickle=False) as file:
                read: NDArray[Any] = file[name]
                return read
        except BROKEN as error:
            raise self._unreadable(error) from None

    def _read_header(self, file: ZipFile, name: str, info: ZipInfo) -> None:
        with file.open(info) as member:
            version = np.lib.format.read_magic(member)
            first = version == (1, 0)
            read = (
                np.lib.format.read_array_header_1_0
                if first
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(member)
            start = member.tell()
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if not dtype.hasobject and start + size != info.file_size:
            found = (
                f"array '{name}' should have {size:,} bytes, and has {info.file_size - start:,}"
            )
            raise InputError(Fault(self.where, found, AGAIN))
        self.shapes[name], self.types[name] = shape, dtype
        # 0 where mapping would not give the rows as they are
        self._starts[name] = 0 if fortran or not size else start

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(Fault(self.where, f"not readable as .npz: {error}", AGAIN))


def _data_start(path: Path, info: ZipInfo) -> int:
    """Where a stored member begins: behind its local header, of 30 bytes and two texts."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
    named, extra = (int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
    return info.header_offset + 30 + named + extra
