"""Reading tables from files."""

import hashlib
from pathlib import Path

import pandas as pd

from evaluation.errors import Fault, InputError

_MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>")


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


def table_digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table's content, hexadecimal."""
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
