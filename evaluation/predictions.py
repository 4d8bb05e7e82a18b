"""Predictions: the one table that training writes and evaluation reads."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from evaluation.settings import Settings

SPLITS = ("train", "validation", "test")

#: Columns that every table has; the others are attributes.
COLUMNS = ("sample", "patient", "split", "label", "score")

_MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>")
_LISTED_PER_FAULT = 20
_NOT_A_FIELD = (list, tuple, dict, set, bytes, np.ndarray)
_REMEDY = {
    "sample": "Every row needs an id of its own.",
    "patient": "Every row needs the id of its patient: intervals resample patients.",
    "split": "Use train, validation or test.",
    "label": "Labels are 1 (positive class) or 0.",
    "score": "Scores are probabilities of the positive class in [0, 1]; apply a sigmoid to "
    "logits before saving them.",
}


class Columns(Settings):
    """Which columns of a file hold what.

    Attributes:
        sample: Id of the row; unique.
        patient: Id of the patient, the unit of resampling. None: every row is a patient of its
            own.
        label: 0 or 1.
        score: Probability of the positive class, in [0, 1].
        split: train, validation or test. Without such a column every row is a test row.
    """

    sample: str = "sample"
    patient: str | None = "patient"
    label: str = "label"
    score: str = "score"
    split: str = "split"


@dataclass(frozen=True)
class Predictions:
    """A model's scores beside the truth and the attributes.

    Attributes:
        table: One row a sample: ``sample``, ``patient`` and ``split`` (str), ``label`` (0 or
            1), ``score`` (in [0, 1]) and the attributes as they were read; a missing attribute
            is NaN.
        source: Where the table came from, for messages and the report.
        digest: SHA-256 of the file, or of the table if there is no file.
    """

    table: pd.DataFrame
    source: str
    digest: str

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        attributes: Sequence[str] = (),
        columns: Columns | None = None,
        source: str = "predictions",
        digest: str | None = None,
    ) -> Self:
        """Check a table.

        Args:
            table: Any column types; numbers may be text.
            attributes: Columns to keep as attributes.
            columns: Names of the other columns.
            source: Name of the table in messages.
            digest: SHA-256 of where it came from; of the checked table if not given.

        Raises:
            InputError: Columns are missing or values do not fit. Every fault is listed, with
                row and column.
        """
        columns = columns or Columns()
        table = table.reset_index(drop=True)
        _check_columns(table, attributes, columns, source)
        raw = _renamed(table, attributes, columns)
        checked = _typed(raw)
        faults = list(_faults(raw, checked, columns, source))
        if faults:
            raise InputError(*faults)
        checked = checked.astype({"label": "int8"})
        return cls(checked, source, digest or _digest(checked))

    @classmethod
    def read(
        cls, path: Path, attributes: Sequence[str] = (), columns: Columns | None = None
    ) -> Self:
        """Read and check a CSV or Parquet file, told apart by the suffix.

        Raises:
            InputError: The file cannot be read, or :meth:`from_table` refuses its content.
        """
        return cls.from_table(
            read_table(path), attributes, columns, path.name, file_digest(path)
        )

    def write(self, path: Path) -> None:
        """Write to ``path``, CSV or Parquet by its suffix; never leaves half a file."""
        with atomic_path(path) as partial:
            if path.suffix == ".parquet":
                self.table.to_parquet(partial, index=False)
            else:
                self.table.to_csv(partial, index=False)

    def only(self, split: str) -> Self:
        """The rows of one split, renumbered from 0; maybe none."""
        rows = self.table[self.table["split"] == split].reset_index(drop=True)
        return replace(self, table=rows)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV (all columns as text) or Parquet file, told apart by the suffix.

    Raises:
        InputError: There is no such file, or it is neither CSV nor Parquet.
    """
    if not path.is_file():
        raise InputError(Fault(str(path), "no such file", "Check the path."))
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            na_values=list(_MISSING_TEXT),
            skip_blank_lines=False,
        )
    except Exception as error:  # noqa: BLE001  each reader has its own errors
        raise InputError(
            Fault(
                str(path), f"not readable as a table: {error}", "Give a CSV or a .parquet file."
            )
        ) from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_columns(
    table: pd.DataFrame, attributes: Sequence[str], columns: Columns, source: str
) -> None:
    needed = {columns.sample: "sample", columns.label: "label", columns.score: "score"}
    if columns.patient is not None:
        needed[columns.patient] = "patient"
    needed |= dict.fromkeys(attributes, "attribute")
    faults = []
    for name, role in needed.items():
        if name in table.columns:
            continue
        near = get_close_matches(name, list(map(str, table.columns)), n=1)
        remedy = f"Did you mean '{near[0]}'? " if near else ""
        remedy += f"The file has: {', '.join(map(str, table.columns))}."
        if role == "patient":
            remedy += (
                " If every image is of another patient, say so with --one-image-per-patient."
            )
        faults.append(Fault(source, f"there is no {role} column '{name}'", remedy))
    for name in filter(table.columns.__contains__, needed):
        if table[name].map(lambda value: isinstance(value, _NOT_A_FIELD)).any():
            found = "it holds lists, records or bytes"
            faults.append(Fault(source, found, "Give one value a row.", column=name))
    if len(table) == 0:
        faults.append(Fault(source, "the table has no rows", "Give at least one row."))
    if faults:
        raise InputError(*faults)


def _renamed(table: pd.DataFrame, attributes: Sequence[str], columns: Columns) -> pd.DataFrame:
    raw = {
        "sample": table[columns.sample],
        "patient": table[columns.patient or columns.sample],
        "split": table.get(columns.split, pd.Series("test", index=table.index)),
        "label": table[columns.label],
        "score": table[columns.score],
    }
    return pd.DataFrame(raw | {name: table[name] for name in attributes if name not in raw})


def _typed(raw: pd.DataFrame) -> pd.DataFrame:
    text = {
        name: raw[name].astype("str").where(raw[name].notna()) for name in ("sample", "patient")
    }
    text["split"] = raw["split"].astype("str").where(raw["split"].notna())
    numbers = {
        name: pd.to_numeric(raw[name].replace({True: 1, False: 0}), errors="coerce").astype(
            float
        )
        for name in ("label", "score")
    }
    return raw.assign(**text, **numbers)


def _faults(
    raw: pd.DataFrame, checked: pd.DataFrame, columns: Columns, source: str
) -> Iterator[Fault]:
    """Every fault pandera finds, row by row; what very many rows share is cut and counted."""
    # Imported here: pandera takes most of a second, which `evenscan --help` need not pay.
    import pandera.pandas as pandera

    schema = pandera.DataFrameSchema(
        {
            "sample": pandera.Column(str, unique=True, report_duplicates="exclude_first"),
            "patient": pandera.Column(str),
            "split": pandera.Column(str, pandera.Check.isin(SPLITS)),
            "label": pandera.Column(float, pandera.Check.isin([0, 1])),
            "score": pandera.Column(float, pandera.Check.in_range(0, 1)),
        },
    )
    try:
        schema.validate(checked, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        rows = cases[cases["index"].notna()].drop_duplicates(["column", "index"])
        for name, group in rows.groupby("column", sort=False):
            yield from _row_faults(str(name), raw, group["index"].astype(int), columns, source)
        if rows.empty:
            yield Fault(source, f"the table does not fit: {error}", "Correct it.")


def _row_faults(
    name: str, raw: pd.DataFrame, index: pd.Series, columns: Columns, source: str
) -> Iterator[Fault]:
    called, remedy = getattr(columns, name) or columns.sample, _REMEDY[name]
    for row in index.iloc[:_LISTED_PER_FAULT]:
        yield Fault(source, _found(name, raw, row), remedy, row=row + 1, column=called)
    if (more := len(index) - _LISTED_PER_FAULT) > 0:
        found = f"{more} further rows have a fault in this column"
        yield Fault(source, found, remedy, column=called)


def _found(name: str, raw: pd.DataFrame, row: int) -> str:
    value = raw[name].iloc[row]
    if pd.isna(value):
        return f"{name} is missing"
    if name == "sample":
        first = int(np.flatnonzero(raw["sample"] == value)[0])
        return f"sample '{value}' is already in row {first + 1}"
    return f"{name} is '{value}' for sample {raw['sample'].iloc[row]}"


def _digest(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
