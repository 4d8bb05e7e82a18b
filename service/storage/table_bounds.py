"""How large a table may be that is read whole: small files can hold very much."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from evaluation.errors import Fault, InputError

#: Columns of a table. Fifteen findings with score, label and decision need fifty.
MOST_COLUMNS: Final = 2000

#: Rows times columns.
MOST_CELLS: Final = 20_000_000

#: Bytes of a table in memory.
MOST_BYTES: Final = 2**30

#: Longest header, in bytes.
LONGEST_HEADER: Final = 2**20

#: Rows and bytes that are looked at together.
BLOCK, PIECE = 4096, 2**20

_REMEDY: Final = "Leave out columns and rows that the audit does not need."


def check_bounds(path: Path, name: str) -> None:
    """Refuse a table that would fill the memory, in little memory itself.

    A file that is no table at all is let through: its reader says what is wrong with it.

    Args:
        path: A CSV or Parquet file.
        name: What it is called in messages.

    Raises:
        InputError: It has too many columns, rows or bytes, or lists within cells.
    """
    found = _csv(path) if path.suffix == ".csv" else _parquet(path)
    if found is not None:
        raise InputError(Fault(name, found, _REMEDY))


def _csv(path: Path) -> str | None:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(_lines(file))
        try:
            # The first row of data counts too: a reader makes an index of what it has more.
            width = max(len(row) for _, row in zip(range(2), reader, strict=False))
        except (csv.Error, ValueError):
            return None if path.stat().st_size < LONGEST_HEADER else "its header cannot be read"
        except OverflowError:
            return f"its first rows have more than {LONGEST_HEADER:,} letters"
    rows = 0
    with path.open("rb") as data:
        while piece := data.read(PIECE):
            rows += max(piece.count(b"\n"), piece.count(b"\r"))
    return _too_large(rows, width)


def _lines(file: "Iterator[str]") -> Iterator[str]:
    """The lines of a file, as long as they are few letters."""
    left = LONGEST_HEADER
    while line := file.readline(left + 1):  # type: ignore[attr-defined]
        left -= len(line)
        if left < 0:
            raise OverflowError
        yield line


def _parquet(path: Path) -> str | None:
    try:
        with pa.parquet.ParquetFile(path) as file:
            known, schema = file.metadata, file.schema_arrow
        if found := _too_large(known.num_rows, known.num_columns):
            return found
        if any(pa.types.is_nested(field.type) for field in schema):
            return "a column holds lists or records"
        texts = [field.name for field in schema if _is_text(field.type)]
        # A dictionary is read as such: a value that many rows share is there once.
        with pa.parquet.ParquetFile(path, read_dictionary=texts) as file:
            size = 0
            for batch in file.iter_batches(BLOCK):
                size += sum(map(_size, batch.columns))
                if size > MOST_BYTES:
                    return f"it takes more than {MOST_BYTES // 2**20:,} MiB in memory"
    except (pa.ArrowException, OSError, ValueError):
        return None
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _size(column: pa.Array) -> int:
    """Bytes of a column once every row has its own value."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pa.compute.binary_length(column.dictionary).take(column.indices)
    return int(pa.compute.sum(lengths).as_py() or 0)


def _too_large(rows: int, columns: int) -> str | None:
    if columns > MOST_COLUMNS:
        return f"it has {columns:,} columns, more than {MOST_COLUMNS:,}"
    if rows * max(columns, 1) > MOST_CELLS:
        return f"it has {rows:,} rows of {columns:,} columns, more than {MOST_CELLS:,} cells"
    return None
