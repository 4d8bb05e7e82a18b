"""Counterfactuals: scores of images before and after their style was exchanged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.inputs import Input
from evaluation.settings import Settings
from evaluation.table import file_digest, read_table, table_digest

#: What names a row, as text.
NAMES = ("sample", "patient", "attribute", "from", "to", "partner", "partner_patient")

#: Scores in [0, 1]: of the image, of its reconstruction, and with the partner's style.
SCORES = ("score", "score_reconstructed", "score_swapped")

#: Decisions of the same three, 0 or 1. All or none are there.
DECISIONS = ("decision", "decision_reconstructed", "decision_swapped")

ERROR = "reconstruction_error"


class Picture(Settings):
    """A picture for the report.

    Attributes:
        name: Of its kind, unique in an audit: ``swap`` or ``interpolation``.
        png: The file, in base64.
        alt: What it shows, for readers who cannot see it.
        caption: What it shows, for all.
    """

    name: str
    png: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Counterfactuals:
    """Scores of test images whose style was exchanged for that of another patient.

    Attributes:
        table: One row for each image, partner, classifier and target: ``classifier`` and
            ``target`` (text; empty target for a binary task), :data:`NAMES` (``from`` is the
            value of ``attribute`` of the image, ``to`` that of the partner whose style it was
            given; they are the same in the control), :data:`SCORES`, ``reconstruction_error``
            (mean squared error of the reconstruction, pixels in [0, 1]; NaN if not known) and
            maybe :data:`DECISIONS`.
        source: Where it came from, for messages.
        digest: SHA-256 of the file, or of the table if there is no file.
        pictures: In the order of the report.
    """

    table: pd.DataFrame
    source: str
    digest: str
    pictures: tuple[Picture, ...] = ()

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        source: str = "counterfactuals",
        digest: str | None = None,
        pictures: Sequence[Picture] = (),
    ) -> Self:
        """Check a table. ``classifier``, ``target`` and ``reconstruction_error`` may be absent.

        Raises:
            InputError: Columns are missing or values do not fit; every kind of fault is listed
                with its first row.
        """
        table = table.reset_index(drop=True)
        if faults := list(_column_faults(table, source)):
            raise InputError(*faults)
        numbers = [*SCORES, *(name for name in DECISIONS if name in table)]
        raw = table.assign(
            classifier=table.get("classifier", "the model"),
            target=_targets(table),
            **{ERROR: table.get(ERROR, np.nan)},
        )
        typed: dict[str, Any] = {
            name: pd.to_numeric(raw[name], errors="coerce").astype(float)
            for name in (*numbers, ERROR)
        }
        names = ["classifier", "target", *NAMES]
        typed |= {name: raw[name].astype("str").where(raw[name].notna()) for name in names}
        checked = raw.assign(**typed)[[*names, *numbers, ERROR]]
        if faults := list(_value_faults(raw, checked, source)):
            raise InputError(*faults)
        return cls(checked, source, digest or table_digest(checked), tuple(pictures))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a CSV or Parquet file, told apart by the suffix.

        Raises:
            InputError: The file cannot be read, or :meth:`from_table` refuses its content.
        """
        return cls.from_table(read_table(path), path.name, file_digest(path))

    def input(self) -> Input:
        """What an audit of them rests on."""
        return Input(what="counterfactuals", name=self.source, sha256=self.digest)

    @property
    def decided(self) -> bool:
        """Whether the table says what was decided."""
        return DECISIONS[0] in self.table

    def check(
        self, audited: pd.DataFrame, values: Mapping[str, pd.Categorical], targets: list[str]
    ) -> None:
        """Refuse what is not about the audited rows.

        Args:
            audited: With ``sample`` and ``patient``.
            values: Group of each audited row, by attribute.
            targets: Names of the questions with a score.

        Raises:
            InputError: A sample is not among the audited ones, has another patient or another
                group there, or an attribute or target is not audited.
        """
        for name in dict.fromkeys(self.table["target"]):
            if name not in targets:
                raise unknown_name("target of the audit", name, targets, self.source)
        for name in dict.fromkeys(self.table["attribute"]):
            if name not in values:
                raise unknown_name("attribute of the audit", name, values, self.source)
        known = pd.Index(audited["sample"])
        place = known.get_indexer(pd.Index(self.table["sample"]))
        absent = pd.Series(place < 0)
        faults = [*self._first(absent, "samples are not among the test samples", "sample")]
        theirs = audited["patient"].to_numpy(object)[place]
        other = ~absent & (self.table["patient"].to_numpy(object) != theirs)
        faults += self._first(other, "samples are of another patient than there", "patient")
        group = np.full(len(place), None, object)
        for name, column in values.items():
            mine = (self.table["attribute"] == name).to_numpy()
            group[mine] = np.asarray(column, object)[place[mine]]
        apart = ~absent & (self.table["from"].to_numpy(object) != group)
        faults += self._first(apart, "samples are of another group than there", "from")
        if faults:
            raise InputError(*faults)

    def _first(self, wrong: pd.Series, found: str, column: str) -> Iterator[Fault]:
        for row in np.flatnonzero(wrong)[:1]:
            told = f"{int(wrong.sum())} {found}, first '{self.table[column].iloc[row]}'"
            remedy = "Give the counterfactuals of the audited test rows."
            yield Fault(self.source, told, remedy, row=int(row) + 1, column=column)


def _targets(table: pd.DataFrame) -> pd.Series:
    """The column; a field that is left empty is the one target of a binary task."""
    empty = pd.Series("", index=table.index)
    return table["target"].astype(object).fillna("") if "target" in table else empty


def _column_faults(table: pd.DataFrame, source: str) -> Iterator[Fault]:
    names = [str(name) for name in table.columns]
    needed = [*NAMES, *SCORES]
    if any(name in names for name in DECISIONS):
        needed += DECISIONS
    for name in needed:
        if name not in names:
            yield Fault(source, f"there is no column '{name}'", f"Needed: {', '.join(needed)}.")
    for name in sorted({name for name in names if names.count(name) > 1}):
        found = f"{names.count(name)} columns are called '{name}'"
        yield Fault(source, found, "Keep one of them, or rename.")
    if table.empty:
        yield Fault(source, "the table has no rows", "Give at least one row.")


def _value_faults(raw: pd.DataFrame, checked: pd.DataFrame, source: str) -> Iterator[Fault]:
    for name in checked.columns:
        column = checked[name]
        if name in SCORES:
            wrong, remedy = ~column.between(0, 1), "Scores are probabilities in [0, 1]."
        elif name in DECISIONS:
            wrong, remedy = ~column.isin([0, 1]), "Decisions are 0 or 1."
        elif name == ERROR:
            wrong = raw[name].notna() & ~(column.between(0, 1e100))
            remedy = "It is a mean squared error, finite and not negative, or empty."
        else:
            wrong, remedy = column.isna(), "Fill it in every row."
        for row in np.flatnonzero(wrong)[:1]:
            found = f"{int(wrong.sum())} values do not fit, first '{raw[name].iloc[row]}'"
            yield Fault(source, found, remedy, row=int(row) + 1, column=str(name))
    key = ["classifier", "target", "attribute", "sample", "to", "partner"]
    twice = checked.duplicated(key)
    for row in np.flatnonzero(twice)[:1]:
        found = f"{int(twice.sum())} rows repeat another's sample and partner"
        yield Fault(source, found, "Give each pair once.", row=int(row) + 1)
    own = checked["patient"] == checked["partner_patient"]
    for row in np.flatnonzero(own)[:1]:
        found = f"{int(own.sum())} partners are of the sample's own patient"
        remedy = "Give it the style of another patient."
        yield Fault(source, found, remedy, row=int(row) + 1, column="partner_patient")
