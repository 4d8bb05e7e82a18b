"""Reading tables from files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from evaluation.errors import Fault, InputError

_MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>")


def read_table(path: Path) -> pd.DataFrame:
    """A CSV (all columns as text) or Parquet file, told apart by the suffix.

    Raises:
        InputError: There is no such file, it is neither CSV nor Parquet, or two of its columns
            have one name.
    """
    if not path.is_file():
        raise InputError(Fault(str(path), "no such file", "Check the path."))
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            kinds = table.dtypes.items()
            coded = [name for name, kind in kinds if isinstance(kind, pd.CategoricalDtype)]
            return table.astype(dict.fromkeys(coded, object))
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        table = pd.read_csv(
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
    faults = list(_header_faults(header.iloc[0].tolist(), str(path)))
    if faults:
        raise InputError(*faults)
    return table


def _header_faults(names: list[str], where: str) -> Iterator[Fault]:
    """What is wrong with a header, in which the reader itself would see no fault."""
    for name in dict.fromkeys(name for name in names if name and names.count(name) > 1):
        found = f"{names.count(name)} columns are called '{name}'"
        yield Fault(where, found, "Keep one of them, or rename.")
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            found = f"its columns are separated by {word}"
            yield Fault(where, found, "Save it with commas, and points in numbers.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table's content, hexadecimal."""
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
