"""Columns and rows that are made from those of a publisher's tables."""

import re
from collections.abc import Iterator
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from evaluation.errors import Fault
from evaluation.settings import Settings
from training.cohort import inside
from training.manifest import column_faults, listed


class Join(Settings):
    """Columns of another table, looked up for each row.

    A column that both have stays as it is. A row with an empty key is not in the other table.

    Attributes:
        table: File, below the root of the cohort.
        on: Columns with the same name and meaning in both.
        first: Whether only the first of several rows with one key counts; else they are a
            fault.
        required: Whether rows that the other table does not have take no part; else their new
            columns are empty.
    """

    table: str
    on: tuple[str, ...] = Field(min_length=1)
    first: bool = False
    required: bool = False

    @field_validator("table")
    @classmethod
    def _inside(cls, path: str) -> str:
        return inside(path)

    def faults(
        self, table: pd.DataFrame, other: pd.DataFrame, where: str, other_where: str
    ) -> list[Fault]:
        """Why the tables cannot be joined; empty if they can.

        Args:
            table: The manifest so far.
            other: The other table.
            where: Name of the manifest.
            other_where: Name of the other table.
        """
        keys = dict.fromkeys(self.on, "joins the tables")
        found = [
            *column_faults(table, keys, where),
            *column_faults(other, keys, other_where),
        ]
        if not found and not self.first:
            found += listed(self._twice(other, other_where), other_where, self.on[0])
        return found

    def apply(self, table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
        """The table with the new columns, its index kept."""
        on = list(self.on)
        new = [name for name in other.columns if name not in table.columns]
        usable = (other[on] != "").all(axis=1) & ~other.duplicated(on)
        keyed = other.loc[usable, [*on, *new]]
        joined = table.merge(keyed, on=on, how="left", sort=False).fillna("")
        joined = joined.set_index(table.index)
        if not self.required:
            return joined
        known = pd.MultiIndex.from_frame(keyed[on])
        return joined[pd.MultiIndex.from_frame(table[on]).isin(known)]

    def _twice(self, other: pd.DataFrame, where: str) -> Iterator[Fault]:
        on = list(self.on)
        remedy = "Correct the table, or set 'first' to take the first of them."
        filled = (other[on] != "").all(axis=1)
        rows = pd.Series(np.arange(1, len(other) + 1), index=other.index)
        first = rows.groupby([other[name] for name in on]).transform("first")
        for k in np.flatnonzero(other.duplicated(on) & filled):
            keys = ", ".join(other[on].iloc[k])
            found = f"{' and '.join(on)} '{keys}' is also in row {first.iloc[k]}"
            yield Fault(where, found, remedy, int(k) + 1, on[0])


class Stack(Settings):
    """Several rows from one, such as one for each eye.

    Attributes:
        column: New column that tells them apart.
        values: What it holds in each.
        columns: New column to the old columns that it takes its value from, one for each of
            ``values``.
    """

    column: str
    values: tuple[str, ...] = Field(min_length=2)
    columns: dict[str, tuple[str, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        for name, columns in self.columns.items():
            if len(columns) != len(self.values):
                raise ValueError(
                    f"'{name}' has {len(columns)} columns for {len(self.values)} values"
                )
        return self

    def faults(self, table: pd.DataFrame, where: str) -> list[Fault]:
        """Why the table cannot be stacked; empty if it can."""
        found = name_faults(table, (self.column, *self.columns), where)
        for name, columns in self.columns.items():
            found += column_faults(table, dict.fromkeys(columns, f"becomes '{name}'"), where)
        return found

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of each value one after the other; they keep the index of their row."""
        parts = []
        for k, value in enumerate(self.values):
            taken = {name: table[columns[k]] for name, columns in self.columns.items()}
            parts.append(table.assign(**{self.column: value}, **taken))
        return pd.concat(parts).sort_index(kind="stable")


class Extract(Settings):
    """A new column: a part of each value of another one, empty where nothing matches.

    Attributes:
        column: Column to look in; of several, the first that the table has, for publishers who
            have renamed it.
        pattern: Regular expression, searched for; its first group is the new value.
    """

    column: str | tuple[str, ...] = Field(min_length=1)
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _grouped(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"'{pattern}' is no regular expression: {error}") from None
        if groups < 1:
            raise ValueError(f"'{pattern}' needs a group in brackets, the part to take")
        return pattern

    def source(self, table: pd.DataFrame) -> str:
        """The column to look in; if the table has none of them, the first."""
        names = (self.column,) if isinstance(self.column, str) else self.column
        return next((name for name in names if name in table.columns), names[0])

    def values(self, table: pd.DataFrame) -> pd.Series:
        """The new column, ``[n]``."""
        part = table[self.source(table)].str.extract(self.pattern, expand=True)[0]
        return part.fillna("").astype(str)


class Threshold(Settings):
    """A new column: ``yes`` where a number is above a limit, ``no`` where it is not.

    What is not a finite number stays as it is, so a cohort says itself what it means.

    Attributes:
        column: Column with the numbers.
        above: The limit, in their unit; a number that equals it is not above.
    """

    column: str
    above: float = Field(allow_inf_nan=False)

    def source(self, table: pd.DataFrame) -> str:
        """The column with the numbers."""
        return self.column

    def values(self, table: pd.DataFrame) -> pd.Series:
        """The new column, ``[n]``.

        >>> rating = pd.DataFrame({"rating": ["0", "0.5", "", "N/A"]})
        >>> Threshold(column="rating", above=0).values(rating).tolist()
        ['no', 'yes', '', 'N/A']
        """
        text = table[self.column]
        number = pd.to_numeric(text, errors="coerce").astype(float)
        decided = pd.Series(np.where(number > self.above, "yes", "no"), index=table.index)
        return text.where(~np.isfinite(number), decided)


def name_faults(table: pd.DataFrame, names: tuple[str, ...], where: str) -> list[Fault]:
    """A fault for each new column that a table has already."""
    remedy = "Give the new column another name."
    return [
        Fault(where, f"there is a column '{name}' already", remedy, column=name)
        for name in names
        if name in table.columns
    ]
