"""The cells of crossed features, all of them, laid out as fairlearn lays them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, Self

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError
from evaluation.groups import MISSING, Attribute, Group
from evaluation.metric import Array

# So many cells of a thousand draws and ten metrics take half a gigabyte.
_MOST_CELLS = 5_000


@dataclass(frozen=True)
class FeatureGroups:
    """Cells of control and sensitive features.

    Attributes:
        control: Names of the features that split the samples into parts; often none.
        sensitive: Names of the features whose groups are compared within each part.
        levels: Values of each feature as they were given, ascending; ``(missing)`` last.
        groups: Each part, then each cell of each part; empty cells too.
        parts: Places of each part's cells among the groups. A part's own place is its number.
    """

    control: tuple[str, ...]
    sensitive: tuple[str, ...]
    levels: dict[str, list[Any]]
    groups: tuple[Group, ...]
    parts: tuple[range, ...]

    @classmethod
    def of(cls, table: pd.DataFrame, control: Sequence[str], sensitive: Sequence[str]) -> Self:
        """Cross the features of a table ``[n]``.

        Raises:
            InputError: A feature has no value at all or more than make groups, or they make
                more than 5,000 cells.
        """
        names = (*control, *sensitive)
        values: dict[str, pd.Categorical] = {}
        levels: dict[str, list[Any]] = {}
        for name in names:
            values[name], levels[name] = _levels(name, table[name])
        cells = int(np.prod([len(levels[name]) for name in names]))
        if cells > _MOST_CELLS:
            found = f"the features make {cells:,} cells; at most {_MOST_CELLS:,} are compared"
            raise InputError(Fault("features", found, "Cross fewer, or merge categories."))
        parts = _cells(control, values, len(table))
        each = _cells(names, values, len(table))
        size = len(each) // len(parts)
        places = (
            range(len(parts) + p * size, len(parts) + (p + 1) * size) for p in range(len(parts))
        )
        return cls(tuple(control), tuple(sensitive), levels, (*parts, *each), tuple(places))

    def index(self) -> pd.Index:
        """The cells of all parts, as rows of a table."""
        return self._index((*self.control, *self.sensitive))

    def part_index(self) -> pd.Index:
        """The parts, as rows of a table; only with control features."""
        return self._index(self.control)

    def _index(self, names: Sequence[str]) -> pd.Index:
        levels = [self.levels[name] for name in names]
        if len(names) == 1:
            single: pd.Index = pd.Index(levels[0], name=names[0])
            return single
        return pd.MultiIndex.from_product(levels, names=list(names))


def _levels(name: str, column: pd.Series) -> tuple[pd.Categorical, list[Any]]:
    """Group of each sample ``[n]``, and the values of the feature in the same order."""
    present = column.dropna().drop_duplicates()
    try:
        present = present.sort_values()
    except TypeError:  # Words beside numbers.
        present = present.astype(str).drop_duplicates().sort_values()
    attribute = Attribute(name=name, categories=tuple(present.astype(str)))
    values = attribute.values(column, "features")
    missing = [MISSING] if MISSING in values.categories else []
    return values, [*present, *missing]


def _cells(names: Sequence[str], values: dict[str, pd.Categorical], rows: int) -> list[Group]:
    """Every cell of the features in the order of their product, empty ones too."""
    if not names:
        return [Group((), (), np.arange(rows))]
    shape = tuple(len(values[name].categories) for name in names)
    codes = tuple(values[name].codes.astype(np.intp) for name in names)
    cell: Array = np.ravel_multi_index(codes, shape)
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(int(np.prod(shape)) + 1))
    named = product(*(values[name].categories for name in names))
    return [
        Group(tuple(names), tuple(map(str, each)), order[start:stop])
        for each, (start, stop) in zip(named, pairwise(ends), strict=True)
    ]
