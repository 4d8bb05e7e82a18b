"""Groups of samples that share attribute values."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import FiniteFloat, model_validator

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings

#: The group of the samples whose attribute is not known. It is a group like any other.
MISSING = "(missing)"

#: An attribute with more distinct values than this makes no groups worth a name.
MOST_CATEGORIES = 50

#: Numeric attributes with more distinct values than this need bins to make groups of.
LARGEST_UNBINNED = 8


class Attribute(Settings):
    """A property of patients or images that groups are made of.

    Attributes:
        name: Column of the table.
        categories: The declared values, in the order of tables and figures. Empty: those that
            occur. A declared value that does not occur is an empty group and is listed as such.
        bins: Increasing inner edges, in ``unit``, that make a numeric attribute categorical:
            edges ``[40, 60]`` make the groups ``<40``, ``40-<60`` and ``>=60``.
        unit: Unit of a numeric attribute, for tables.
        reference: The group that the others are compared with. Empty: the one with the most
            patients.
    """

    name: str
    categories: tuple[str, ...] = ()
    bins: tuple[FiniteFloat, ...] = ()
    unit: str = ""
    reference: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.categories and self.bins:
            raise ValueError(
                f"attribute '{self.name}' has both categories and bins; declare one of them"
            )
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(
                f"a category of attribute '{self.name}' is declared twice, got "
                f"{list(self.categories)}"
            )
        if list(self.bins) != sorted(set(self.bins)):
            raise ValueError(
                f"bins of attribute '{self.name}' must increase, got {list(self.bins)}"
            )
        return self

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the groups that the bins make.

        >>> Attribute(name="age", bins=(40, 60)).bands
        ('<40', '40-<60', '>=60')
        """
        if not self.bins:
            return ()
        edges = [f"{edge:.15g}" for edge in self.bins]
        inner = [f"{low}-<{high}" for low, high in pairwise(edges)]
        return (f"<{edges[0]}", *inner, f">={edges[-1]}")

    def values(self, column: pd.Series, where: str) -> pd.Categorical:
        """Group of each sample for this attribute.

        Args:
            column: ``[n]``, as read; missing values allowed.
            where: File that holds the column, for messages.

        Returns:
            ``[n]`` without missing values: they are the category ``(missing)``, which is there
            only if it occurs. Empty declared categories are kept.

        Raises:
            InputError: All values are missing, one is not declared, or bins meet something not
                numeric.
        """
        missing = column.isna().to_numpy()
        if missing.all():
            raise InputError(
                Fault(
                    where,
                    "every value is missing",
                    "Leave the attribute out, or fill the column.",
                    column=self.name,
                )
            )
        if self.bins:
            names, order = self._banded(column, missing, where), self.bands
        else:
            names = column.astype(str).to_numpy(object)
            order = self.categories or tuple(sorted(set(names[~missing])))
            self._check_number(order, where)
        names = np.where(missing, MISSING, names)
        unknown = ~np.isin(names, [*order, MISSING])
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise InputError(
                Fault(
                    where,
                    f"{int(unknown.sum())} values are not declared, first '{names[row]}'",
                    f"Declared: {', '.join(order)}.",
                    row=row + 1,
                    column=self.name,
                )
            )
        return pd.Categorical(names, categories=[*order, *([MISSING] if missing.any() else [])])

    def _check_number(self, values: Sequence[str], where: str) -> None:
        if MISSING in values:
            found = f"the value '{MISSING}' is kept for samples whose value is missing"
            raise InputError(Fault(where, found, "Leave such fields empty.", column=self.name))
        if len(values) > MOST_CATEGORIES:
            found = (
                f"it has {len(values):,} distinct values; at most {MOST_CATEGORIES} make groups"
            )
            remedy = "Declare bins if they are numbers, or merge categories."
            raise InputError(Fault(where, found, remedy, column=self.name))

    def _banded(
        self, column: pd.Series, missing: NDArray[np.bool_], where: str
    ) -> NDArray[np.object_]:
        numeric = pd.to_numeric(column, errors="coerce")
        bad = ~np.isfinite(numeric.to_numpy(float)) & ~missing
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                Fault(
                    where,
                    f"'{column.iloc[row]}' is not a finite number but the attribute has bins",
                    "Correct the value, or declare categories.",
                    row=row + 1,
                    column=self.name,
                )
            )
        index = np.searchsorted(
            self.bins, numeric.fillna(self.bins[0]).to_numpy(), side="right"
        )
        return np.array(self.bands, object)[index]


def with_bins(attribute: Attribute, column: pd.Series) -> Attribute:
    """The attribute, with quartiles as bins if it is numeric and declares none.

    Bins taken from the data are a convenience for a first look. Declare them for a report that
    counts.

    >>> with_bins(Attribute(name="age"), pd.Series(range(101))).bins
    (25.0, 50.0, 75.0)
    """
    numeric = pd.to_numeric(column, errors="coerce")
    undeclared = not (attribute.bins or attribute.categories)
    if not undeclared or (~np.isfinite(numeric) & column.notna()).any():
        return attribute
    if numeric.nunique() <= LARGEST_UNBINNED:
        return attribute
    quartiles = {float(edge) for edge in numeric.quantile([0.25, 0.5, 0.75]).round(6)}
    # An edge at the lowest value would have nobody below it.
    edges = sorted(edge for edge in quartiles if edge > numeric.min())
    return attribute.model_copy(update={"bins": tuple(edges)})


@dataclass(frozen=True)
class Group:
    """The samples that share the values of some attributes.

    Attributes:
        attributes: Names, empty for all samples.
        values: One value an attribute.
        rows: ``[m]`` increasing row positions.
    """

    attributes: tuple[str, ...]
    values: tuple[str, ...]
    rows: NDArray[np.intp]

    @property
    def name(self) -> str:
        """How the group is called in tables.

        >>> Group(("sex", "age"), ("female", "<40"), np.arange(3)).name
        'sex: female, age: <40'
        """
        pairs = zip(self.attributes, self.values, strict=True)
        return ", ".join(f"{attribute}: {value}" for attribute, value in pairs) or "all"


def make_groups(values: dict[str, pd.Categorical], depth: int, rows: int) -> list[Group]:
    """Every group of the attributes and of their crossings.

    Args:
        values: Group of each sample, by attribute, each ``[rows]``.
        depth: How many attributes are crossed at most; 1 gives the attributes alone.
        rows: Number of samples.

    Returns:
        All samples first, then the groups of each attribute, then the crossings that occur.
        Declared but empty groups of a single attribute are there, with no rows; empty crossings
        are not.
    """
    groups = [Group((), (), np.arange(rows))]
    for order in range(1, depth + 1):
        for names in combinations(values, order):
            groups.extend(_crossed(names, values, keep_empty=order == 1))
    return groups


def _crossed(
    names: Sequence[str], values: dict[str, pd.Categorical], *, keep_empty: bool
) -> list[Group]:
    categories = [values[name].categories for name in names]
    codes = np.stack([values[name].codes for name in names], axis=1).astype(np.intp)
    # One number a cell: those that occur are found without walking all that could.
    shape = tuple(map(len, categories))
    cell = np.ravel_multi_index(tuple(codes.T), shape) if len(codes) else np.array([], np.intp)
    cells = range(int(np.prod(shape))) if keep_empty else np.unique(cell)
    order = np.argsort(cell, kind="stable")
    first, last = (np.searchsorted(cell[order], cells, side=side) for side in ("left", "right"))
    crossed = []
    for each, start, stop in zip(cells, first, last, strict=True):
        place = np.unravel_index(each, shape)
        named = tuple(str(categories[k][place[k]]) for k in range(len(names)))
        crossed.append(Group(tuple(names), named, order[start:stop]))
    return crossed
