"""Which groups must not be shown, so that no small one can be told or worked out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from evaluation.findings import GroupSize
from evaluation.metric import Array

_TOLERANCE = 1e-9


class Sum(NamedTuple):
    """Groups that make up another one, so that their counts add up to its count.

    Attributes:
        whole: Position of the group that is made up.
        parts: Positions of the others.
    """

    whole: int
    parts: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """All of them."""
        return (self.whole, *self.parts)


def hidden_groups(cohort: Sequence[GroupSize], smallest: int) -> dict[str, str]:
    """The groups whose numbers must not be shown, with the reason of each.

    A group of fewer than ``smallest`` patients, but of some, is hidden. The groups of an
    attribute, and those of a crossing within each value of the other attributes, add up to a
    larger group, so a single hidden one would follow by subtraction. More groups are hidden,
    the smallest first, until

    - no system of such sums has only one solution for a small group, and
    - in no single sum with a known whole the hidden parts have fewer than ``smallest`` patients
      together.

    What is not protected: a range that the sums leave (a small group has between 1 and
    ``smallest`` - 1 patients, which the reason says), small numbers of positives within a large
    group, and what a reader knows from elsewhere, such as an audit of the same patients with
    other bins. The counts of a group whose patients have images with several values do not add
    up exactly; they are protected as if they did.

    Args:
        cohort: Sizes of all groups, for one target or several; the hidden groups are the same
            for all.
        smallest: Least number of patients that may be shown, >= 1.

    Returns:
        Reason by name of the group, in the order of the cohort.

    References:
        Hundepool et al. (2012), *Statistical disclosure control*, chapter 4.

    Examples:
        >>> def size(patients, *values):
        ...     attributes = ("sex",) * len(values)
        ...     name = f"sex: {values[0]}" if values else "all"
        ...     counts = {"patients": patients, "images": patients, "positives": 0}
        ...     return GroupSize(group=name, attributes=attributes, values=values, **counts)
        >>> list(hidden_groups([size(205), size(160, "f"), size(40, "m"), size(5, "x")], 11))
        ['sex: m', 'sex: x']
    """
    small, hidden = set[str](), set[str]()
    for target in dict.fromkeys(size.target for size in cohort):
        sizes = [size for size in cohort if size.target == target]
        counts = np.array([size.patients or 0 for size in sizes])
        first = {k for k, count in enumerate(counts) if 0 < count < smallest}
        small |= {sizes[k].group for k in first}
        hidden |= {sizes[k].group for k in _closed(sizes, counts, first, smallest)}
    few = f"fewer than {smallest} patients: not shown"
    other = "not shown, so that no smaller group can be worked out by subtraction"
    names = dict.fromkeys(size.group for size in cohort)
    return {name: few if name in small else other for name in names if name in hidden}


def _closed(
    sizes: Sequence[GroupSize], counts: Array, small: set[int], smallest: int
) -> set[int]:
    """The small groups, with all that must be hidden for their sake."""
    sums, hidden = list(_sums(sizes)), set(small)
    while True:
        open_ = [each for each in sums if _tells(each, counts, hidden, smallest)]
        told = set() if open_ else _told(sums, hidden) & small
        open_ += [each for each in sums if told.intersection(each.members)]
        more = {k for each in open_ for k in _next(each, counts, hidden)}
        if not more:
            return hidden
        hidden |= more


def _sums(sizes: Sequence[GroupSize]) -> Iterator[Sum]:
    """Every group with the groups of one further attribute within it."""
    place = {(size.attributes, size.values): k for k, size in enumerate(sizes)}
    parts: dict[tuple[int, str], list[int]] = {}
    for k, size in enumerate(sizes):
        for dropped, attribute in enumerate(size.attributes):
            rest = tuple(
                each[:dropped] + each[dropped + 1 :] for each in (size.attributes, size.values)
            )
            if (whole := place.get((rest[0], rest[1]))) is not None:
                parts.setdefault((whole, attribute), []).append(k)
    for (whole, _), inside in parts.items():
        yield Sum(whole, tuple(inside))


def _tells(each: Sum, counts: Array, hidden: set[int], smallest: int) -> bool:
    """Whether the sum alone tells a hidden count, or too small a count of several."""
    parts = [k for k in each.parts if k in hidden]
    if each.whole in hidden or not parts:
        return False
    return len(parts) == 1 or bool(counts[parts].sum() < smallest)


def _told(sums: Sequence[Sum], hidden: set[int]) -> set[int]:
    """The hidden groups whose count has only one solution in all sums together."""
    unknown = sorted(hidden)
    column = {k: j for j, k in enumerate(unknown)}
    rows = []
    for each in sums:
        row = np.zeros(len(unknown))
        for k in each.members:
            if k in column:
                row[column[k]] = -1.0 if k == each.whole else 1.0
        if row.any():
            rows.append(row)
    if not rows:
        return set()
    free = np.abs(null_space(np.array(rows))).max(axis=1, initial=0.0)
    return {k for k in unknown if free[column[k]] < _TOLERANCE}


def _next(each: Sum, counts: Array, hidden: set[int]) -> list[int]:
    """What to hide next in a sum: its smallest part that is shown, else the whole."""
    shown = [k for k in each.parts if k not in hidden and counts[k] > 0]
    if shown:
        return [min(shown, key=lambda k: counts[k])]
    return [] if each.whole in hidden else [each.whole]
