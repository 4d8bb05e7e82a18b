"""All pairs of bit strings that differ in few places."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
Bytes = NDArray[np.uint8]

_COMPARED_AT_ONCE = 2_000_000


class HammingIndex:
    r"""Finds the pairs within a Hamming distance :math:`d`, without comparing all of them.

    The bits are dealt into :math:`d + 1` bands. Two strings that differ in at most :math:`d`
    bits differ in at most :math:`d` bands, so they agree in at least one: only strings that
    agree in a band are compared. The search is exact. Neighbouring bits go to different bands,
    since those of perceptual hashes are alike.

    The work grows with the number of comparisons. That is about :math:`(d + 1)\, n^2 / 2^{b/(d
    + 1)}` for :math:`n` random strings of :math:`b` bits, and up to :math:`(d + 1)\, n^2 / 2`
    for strings that all look alike; :attr:`comparisons` tells it beforehand.

    References:
        Manku, Jain and Das Sarma (2007), *Detecting near-duplicates for web crawling*, section
        3; Norouzi, Punjani and Fleet (2012), *Fast search in Hamming space with multi-index
        hashing*.
    """

    def __init__(self, strings: Bytes, distance: int) -> None:
        """Sort the strings by each band.

        Args:
            strings: Distinct bit strings, ``[n, bytes]``.
            distance: :math:`d`, from 1 to the number of bits less one.

        Raises:
            ValueError: The distance is out of this range.
        """
        if not 1 <= distance < 8 * strings.shape[1]:
            raise ValueError(
                f"distance must be in [1, {8 * strings.shape[1]}), got {distance}."
            )
        self.words, self.distance = _words(strings), distance
        bits = np.unpackbits(strings, axis=1)
        bands = range(distance + 1)
        self.bands = np.stack([_numbered(bits[:, k :: distance + 1]) for k in bands])

    @property
    def comparisons(self) -> int:
        """Number of pairs that :meth:`pairs` compares, before any is compared."""
        counts = [np.bincount(band).astype(np.int64) for band in self.bands]
        return sum(int((count * (count - 1) // 2).sum()) for count in counts)

    def pairs(self) -> Iterator[tuple[Codes, Codes]]:
        """The pairs within the distance, each once, in blocks.

        Yields:
            Positions of the first and of the second string, each ``[some]``.
        """
        for k, band in enumerate(self.bands):
            for first, second in _together(band):
                apart = np.bitwise_count(self.words[first] ^ self.words[second])
                near = apart.sum(axis=1, dtype=np.int64) <= self.distance
                first, second = first[near], second[near]
                # A pair that agrees in an earlier band was found there.
                earlier = self.bands[:k]
                new = ~(earlier[:, first] == earlier[:, second]).any(axis=0)
                yield first[new], second[new]


def _words(strings: Bytes) -> NDArray[np.uint64]:
    spare = -strings.shape[1] % 8
    return np.ascontiguousarray(np.pad(strings, ((0, 0), (0, spare)))).view(np.uint64)


def _numbered(bits: Bytes) -> NDArray[np.int32]:
    """A number for each distinct row, ``[n]``."""
    packed = np.ascontiguousarray(np.packbits(bits, axis=1))
    rows = packed.view(f"V{packed.shape[1]}").ravel()
    return np.unique(rows, return_inverse=True)[1].astype(np.int32)


def _together(band: NDArray[np.int32]) -> Iterator[tuple[Codes, Codes]]:
    """All pairs of positions with equal numbers, in blocks of bounded size."""
    order = np.argsort(band, kind="stable")
    end = np.cumsum(np.bincount(band))[band[order]]
    partners = end - 1 - np.arange(len(band))
    total = np.cumsum(partners)
    start = 0
    while start < len(band):
        before = total[start] - partners[start]
        stop = int(np.searchsorted(total, before + _COMPARED_AT_ONCE, side="right"))
        stop = max(stop, start + 1)
        count = partners[start:stop]
        first = np.repeat(np.arange(start, stop), count)
        skipped = np.repeat(np.cumsum(count) - count, count)
        second = first + 1 + np.arange(len(first)) - skipped
        yield order[first], order[second]
        start = stop
