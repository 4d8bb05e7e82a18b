"""How the manifest of a cohort comes about from the publisher's own tables."""

from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from training.cohort import inside
from training.derived import Extract, Join, Stack, Threshold, name_faults
from training.left_out import LeftOut, either, left_out
from training.manifest import column_faults, read_manifest


class Manifest(NamedTuple):
    """What was read.

    Attributes:
        table: Text; an empty text is a missing value. The index is the row of the file, from 0.
        where: Name of the file, for messages.
        unused: Rows that were read and take no part.
    """

    table: pd.DataFrame
    where: str
    unused: tuple[LeftOut, ...]

    @property
    def left_out(self) -> int:
        """How many rows take no part."""
        return sum(each.rows for each in self.unused)


class ManifestSource(Settings):
    """Which tables, and what is made of them, in the order of these attributes.

    Attributes:
        manifest: CSV file (maybe ``.gz``) or ``.xlsx`` with one row an image, below the root.
        join: Other tables with more columns.
        stack: How one row becomes several.
        extract: New column to the part of another that it is; it may be made of an earlier one.
        threshold: New column to the number that decides it.
        keep: Column to the values of the rows that take part; others are left out.
    """

    manifest: str
    join: tuple[Join, ...] = ()
    stack: Stack | None = None
    extract: dict[str, Extract] = Field(default_factory=dict)
    threshold: dict[str, Threshold] = Field(default_factory=dict)
    keep: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("manifest")
    @classmethod
    def _manifest_inside(cls, path: str) -> str:
        return inside(path)

    @model_validator(mode="after")
    def _made_once(self) -> Self:
        if twice := sorted(set(self.extract) & set(self.threshold)):
            raise ValueError(f"column '{twice[0]}' is made twice")
        return self

    def read(self, root: Path, needed: dict[str, str] | None = None) -> Manifest:
        """The manifest.

        Args:
            root: Folder of the tables.
            needed: Column to what it is for, of those that it has to have in the end.

        Raises:
            InputError: Tables cannot be read; keys are not there or there twice; columns are
                not there; or no row is left. What goes wrong at one of these stages is told at
                once.
        """
        where = str(root / self.manifest)
        table, *others = self._tables(root)
        unused: list[LeftOut] = []
        table = self._joined(table, others, root, where, unused)
        if self.stack:
            _raise(self.stack.faults(table, where))
            table = self.stack.apply(table)
        faults: list[Fault] = []
        derived: dict[str, Extract | Threshold] = {**self.extract, **self.threshold}
        for name, made in derived.items():
            source = {made.source(table): f"column '{name}' is made of it"}
            found = [*name_faults(table, (name,), where), *column_faults(table, source, where)]
            faults += found
            table = table.assign(**{name: "" if found else made.values(table)})
        for name, values in self.keep.items():
            table = _kept(table, name, values, where, faults, unused)
        _raise(faults + column_faults(table, needed or {}, where))
        return Manifest(table, where, tuple(unused))

    def _tables(self, root: Path) -> list[pd.DataFrame]:
        """The manifest and the tables to join."""
        tables: list[pd.DataFrame] = []
        faults: list[Fault] = []
        for file in (self.manifest, *(join.table for join in self.join)):
            try:
                tables.append(read_manifest(root / file))
            except InputError as error:
                faults += error.faults
        _raise(faults)
        return tables

    def _joined(
        self,
        table: pd.DataFrame,
        others: list[pd.DataFrame],
        root: Path,
        where: str,
        unused: list[LeftOut],
    ) -> pd.DataFrame:
        faults: list[Fault] = []
        for join, other in zip(self.join, others, strict=True):
            found = join.faults(table, other, where, str(root / join.table))
            faults += found
            if not found:
                joined = join.apply(table, other)
                unknown = table.index.difference(joined.index)
                unused += left_out(f"'{join.table}' has no row of theirs", unknown)
                table = joined
        _raise(faults)
        return table


def _kept(
    table: pd.DataFrame,
    name: str,
    values: tuple[str, ...],
    where: str,
    faults: list[Fault],
    unused: list[LeftOut],
) -> pd.DataFrame:
    """The rows with one of the values; all of them if that is a fault."""
    if absent := column_faults(table, {name: "says which rows take part"}, where):
        faults += absent
        return table
    takes_part = table[name].isin(values)
    kept = table[takes_part]
    if kept.empty and not table.empty:
        held = ", ".join(sorted(set(table[name]))[:10])
        found = f"no row has {' or '.join(values)} in '{name}'"
        faults.append(Fault(where, found, f"It holds: {held}.", column=name))
        return table
    unused += left_out(f"'{name}' is not {either(values)}", table.index[~takes_part])
    return kept


def _raise(faults: list[Fault]) -> None:
    if faults:
        raise InputError(*faults)
