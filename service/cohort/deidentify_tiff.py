"""Takes out of TIFF files what pixels do not depend on, without encoding these again."""

import struct
from collections.abc import Iterator
from itertools import chain
from typing import Final

#: Tags that pixels, their colours and their size depend on.
KEPT: Final = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 282),
        *(283, 284, 296, 301, *range(317, 326), 332, 338, 339, 340, 341, 347),
        *(529, 530, 531, 532, 34675),
    )
)

#: Bytes of a value of each type.
SIZES: Final = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
    16: 8, 17: 8, 18: 8,
}  # fmt: skip

#: Where strips or tiles lie, and how long they are.
PLACES: Final = ((273, 279), (324, 325))

#: How values of the types of whole numbers are unpacked.
NUMBERS: Final = {3: "H", 4: "I", 16: "Q"}

#: Tags that hold a file of another kind, as long as that is: tables of JPEG, a colour profile.
FILES: Final = (347, 34675)

#: Most values of a tag: three colours of 16 bits.
VALUES: Final = 3 * 2**16

#: Most strips or tiles of a page.
STRIPS: Final = 2**20

#: Most pages of a file.
PAGES: Final = 100_000

#: Most entries, strips and tiles of a file, all pages together.
PARTS: Final = 2**22

#: How often the bytes of a file may be copied: pages may share a palette, not their pixels.
COPIES: Final = 4


def without_metadata(data: bytes) -> bytes:
    """The file with zeros wherever nothing is that pixels depend on.

    What is kept stays at its place, so no offset changes.

    Args:
        data: A classic or big TIFF of either byte order.

    Raises:
        ValueError: Its structure is damaged, or points to the same bytes again and again.
        struct.error: The same.
    """
    return _Tiff(data).cleaned()


class _Tiff:
    def __init__(self, data: bytes) -> None:
        self.data, self.kept = memoryview(data), bytearray(len(data))
        self.bytes, self.parts = COPIES * len(data), PARTS
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = data[2:4] in (b"+\0", b"\0+")
        self.word = "Q" if self.big else "I"
        self.size = 8 if self.big else 4

    def cleaned(self) -> bytes:
        """All pages, one after the other."""
        start = 8 if self.big else 4
        self._copy(0, start + self.size)
        at, seen = self._read(self.word, start), set[int]()
        while at:
            if at in seen or len(seen) > PAGES:
                raise ValueError("its pages run in a circle")
            seen.add(at)
            at = self._page(at)
        return bytes(self.kept)

    def _page(self, at: int) -> int:
        """Copy a page; returns the place of the next."""
        count_size = 8 if self.big else 2
        entry_size = 20 if self.big else 12
        count = self._read("Q" if self.big else "H", at)
        if at + count_size + count * entry_size + self.size > len(self.data):
            raise ValueError("truncated")
        self._count(count)
        entries, values = bytearray(), dict[int, Iterator[tuple[int]]]()
        for k in range(count):
            place = at + count_size + k * entry_size
            tag, kind = struct.unpack_from(f"{self.order}HH", self.data, place)
            if tag in KEPT and kind in SIZES:
                entries += self.data[place : place + entry_size]
                values[tag] = self._values(place, tag, kind)
        for offsets, lengths in PLACES:
            self._strips(values.get(offsets, iter(())), values.get(lengths, iter(())))
        following = self._read(self.word, at + count_size + count * entry_size)
        table = struct.pack(self.order + ("Q" if self.big else "H"), len(entries) // entry_size)
        table += entries + struct.pack(self.order + self.word, following)
        self.kept[at : at + len(table)] = table
        return following

    def _values(self, place: int, tag: int, kind: int) -> Iterator[tuple[int]]:
        """Copy what an entry points to; returns its numbers, to be read one by one."""
        number = self._read(self.word, place + 4)
        if tag not in FILES and number > (STRIPS if tag in chain(*PLACES) else VALUES):
            raise ValueError("a tag has too many values")
        length = number * SIZES[kind]
        at = place + 4 + self.size
        if length > self.size:
            at = self._read(self.word, at)
            self._copy(at, length)
        if kind not in NUMBERS:
            return iter(())
        return struct.iter_unpack(self.order + NUMBERS[kind], self.data[at : at + length])

    def _strips(self, offsets: Iterator[tuple[int]], lengths: Iterator[tuple[int]]) -> None:
        """Copy the strips or tiles of a page."""
        for (offset,), (length,) in zip(offsets, lengths, strict=True):
            self._count(1)
            self._copy(offset, length)

    def _count(self, parts: int) -> None:
        self.parts -= parts
        if self.parts < 0:
            raise ValueError("it has too many parts")

    def _copy(self, at: int, length: int) -> None:
        if at + length > len(self.data):
            raise ValueError("truncated")
        self.bytes -= length
        if self.bytes < 0:
            raise ValueError("it has the same bytes again and again")
        self.kept[at : at + length] = self.data[at : at + length]

    def _read(self, form: str, at: int) -> int:
        found: int = struct.unpack_from(self.order + form, self.data, at)[0]
        return found
