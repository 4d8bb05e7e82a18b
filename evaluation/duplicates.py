"""Images that are in a table twice, told by their hashes."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluation.errors import Fault, InputError
from evaluation.hamming import Codes, HammingIndex
from evaluation.settings import Settings

#: In bytes; a longer hash is no perceptual one.
LONGEST_HASH = 64

#: More comparisons than this take minutes: the hashes are too alike to tell images apart.
MOST_COMPARISONS = 5_000_000_000

Across = Literal["splits", "patients"]

_EXAMPLES = 5
_LISTED = 20


class Duplicates(Settings):
    """Images that are the same, or nearly, on two sides of a line that should part them.

    Attributes:
        kind: ``exact`` (equal hashes) or ``near`` (different hashes within ``distance``).
        across: A pair in different ``splits`` lets a model be tested on what it was fitted to.
            A pair of different ``patients`` is an image filed twice, or a wrong patient id.
        distance: Largest Hamming distance of a pair, in bits; 0 for exact ones.
        pairs: Number of such pairs of samples.
        images: Number of samples that are in at least one of them.
        examples: Some of the pairs, in the order of their samples.
    """

    kind: Literal["exact", "near"]
    across: Across
    distance: int
    pairs: int
    images: int
    examples: tuple[tuple[str, str], ...] = ()


def duplicates(
    table: pd.DataFrame, column: str, near_distance: int, where: str = "predictions"
) -> tuple[Duplicates, ...]:
    """Find the images that are there twice, across splits and across patients.

    Args:
        table: With ``sample``, ``patient`` and ``split`` (str) and the hashes; samples are
            unique. Any row order gives the same findings.
        column: Column of the hashes, str; a sample without one (NaN) takes no part.
        near_distance: Largest Hamming distance of near duplicates, in bits. 0: hashes may be
            any text, and only equal ones are sought. Above 0: they are perceptual hashes,
            hexadecimal, all of one length up to 64 bytes; upper and lower case are the same.
        where: Name of the table, for messages.

    Returns:
        Exact duplicates across splits and across patients, then near ones if they are sought;
        also where there are none.

    Raises:
        InputError: Hashes are empty, not hexadecimal or of different lengths; or so alike that
            near ones cannot be told apart in reasonable time.
    """
    table = table.reset_index(drop=True)
    faults = list(_faults(table[column], column, near_distance, where))
    if faults:
        raise InputError(*faults)
    known = table[table[column].notna()].sort_values("sample")
    hashes = known[column].astype(str)
    code, distinct = pd.factorize(hashes.str.lower() if near_distance else hashes)
    sample = known["sample"].to_numpy(object)
    lines = [
        _Line("splits", code, pd.factorize(known["split"])[0], sample, len(distinct)),
        _Line("patients", code, pd.factorize(known["patient"])[0], sample, len(distinct)),
    ]
    found = [line.exact() for line in lines]
    if near_distance:
        index = _index(list(distinct), column, near_distance, where)
        for first, second in index.pairs() if index else ():
            for line in lines:
                line.add(first, second)
        found += [line.near(near_distance) for line in lines]
    return tuple(found)


def _faults(hashes: pd.Series, column: str, near: int, where: str) -> Iterator[Fault]:
    """What is wrong with the hashes, row by row; what very many rows share is counted."""
    known = hashes[hashes.notna()].astype(str)
    if not near:
        bad, remedy = known.str.strip() == "", "Leave unknown hashes out."
    else:
        digits = int(known.str.len().mode().iloc[0]) if len(known) else 0
        if digits > 2 * LONGEST_HASH:
            found = f"hashes have {digits} digits, which no perceptual hash has"
            remedy = "Give 0 as the distance to seek equal hashes."
            yield Fault(where, found, remedy, column=column)
            return
        if digits > 0 and near >= 4 * digits:
            found = f"a distance of {near} bits takes all hashes of {4 * digits} bits for alike"
            yield Fault(where, found, "Give a distance of a few bits.", column=column)
            return
        bad = ~known.str.fullmatch(f"[0-9a-fA-F]{{{digits}}}") | (digits % 2 == 1)
        remedy = f"Perceptual hashes are hexadecimal, here of {digits + digits % 2} digits."
    for row, value in known[bad].iloc[:_LISTED].items():
        yield Fault(
            where, f"hash is '{value:.80}'", remedy, row=int(str(row)) + 1, column=column
        )
    if (more := int(bad.sum()) - _LISTED) > 0:
        yield Fault(where, f"{more} further rows have such a hash", remedy, column=column)


def _index(hashes: list[str], column: str, near: int, where: str) -> HammingIndex | None:
    if not hashes:
        return None
    joined = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8)
    index = HammingIndex(joined.reshape(len(hashes), -1), near)
    if index.comparisons > MOST_COMPARISONS:
        found = f"{len(hashes):,} hashes are too alike for a search within {near} bits"
        remedy = "Give a smaller distance or longer hashes."
        raise InputError(Fault(where, found, remedy, column=column))
    return index


class _Line:
    """Counts the pairs of samples that are on two sides of one line.

    Near pairs of hashes come a block at a time, so their number costs no memory. Which samples
    are in a pair follows from the least and the greatest part among the partners of their hash:
    a sample has a partner elsewhere unless both are its own part.
    """

    def __init__(
        self, across: Across, code: Codes, part: Codes, sample: NDArray[np.object_], hashes: int
    ) -> None:
        self.across: Across = across
        self.code, self.part, self.sample = code, part, sample
        self.order = np.argsort(code, kind="stable")
        self.size = np.bincount(code, minlength=hashes)
        shape = (hashes, int(part.max(initial=0)) + 1)
        self.cells = csr_array((np.ones(len(code), np.int64), (code, part)), shape=shape)
        # Least and greatest part of each hash, and of the hashes near to it.
        self.own, self.other = _Ends(hashes), _Ends(hashes)
        self.own.add(code, part, part)
        self.pairs = 0
        self.examples: list[tuple[int, int]] = []

    def exact(self) -> Duplicates:
        inside = int((self.cells.data * (self.cells.data - 1) // 2).sum())
        pairs = int((self.size * (self.size - 1) // 2).sum()) - inside
        crossing = np.flatnonzero(self.own.low < self.own.high)
        images = int(self.size[crossing].sum())
        return self._found("exact", 0, pairs, images, [(a, a) for a in crossing[:_EXAMPLES]])

    def add(self, first: Codes, second: Codes) -> None:
        """Count the pairs of near hashes ``first`` and ``second``, each ``[some]``."""
        alike = self.cells[first].multiply(self.cells[second])
        inside: Codes = alike.sum(axis=1)
        pairs = self.size[first] * self.size[second] - inside
        self.pairs += int(pairs.sum())
        self.other.add(first, self.own.low[second], self.own.high[second])
        self.other.add(second, self.own.low[first], self.own.high[first])
        low, high = np.minimum(first, second)[pairs > 0], np.maximum(first, second)[pairs > 0]
        least = np.lexsort((high, low))[:_EXAMPLES]
        new = zip(low[least].tolist(), high[least].tolist(), strict=True)
        self.examples = sorted([*self.examples, *new])[:_EXAMPLES]

    def near(self, distance: int) -> Duplicates:
        low, high = self.other.low[self.code], self.other.high[self.code]
        apart = (low <= high) & ((low != self.part) | (high != self.part))
        return self._found("near", distance, self.pairs, int(apart.sum()), self.examples)

    def _found(
        self,
        kind: Literal["exact", "near"],
        distance: int,
        pairs: int,
        images: int,
        hashes: list[tuple[int, int]],
    ) -> Duplicates:
        return Duplicates(
            kind=kind,
            across=self.across,
            distance=distance,
            pairs=pairs,
            images=images,
            examples=tuple(self._example(a, b) for a, b in hashes),
        )

    def _example(self, a: int, b: int) -> tuple[str, str]:
        """The first two samples of the hashes that are on different sides."""
        first, second = self._rows(a), self._rows(b)
        i, elsewhere = first[0], second[self.part[second] != self.part[first[0]]]
        if len(elsewhere) == 0:
            i = first[self.part[first] != self.part[second[0]]][0]
            elsewhere = second
        return str(self.sample[i]), str(self.sample[elsewhere[0]])

    def _rows(self, hash_: int) -> Codes:
        start = int(self.size[:hash_].sum())
        return self.order[start : start + self.size[hash_]]


class _Ends:
    """Least and greatest part by hash, ``[hash]``; low > high where there is none."""

    def __init__(self, hashes: int) -> None:
        self.low = np.full(hashes, np.iinfo(np.intp).max)
        self.high = np.full(hashes, -1)

    def add(self, code: Codes, low: Codes, high: Codes) -> None:
        np.minimum.at(self.low, code, low)
        np.maximum.at(self.high, code, high)
