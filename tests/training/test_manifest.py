"""Tables that come with images, as text."""

import gzip
import zipfile

import pandas as pd
import pytest

from evaluation.errors import InputError
from training.manifest import read_manifest

ROWS = [["ID", "Age"], ["007", "58"], ["8", ""]]


def sheet(path, rows=ROWS, **parts):
    """Write a workbook, with some of its parts replaced; None takes one out."""
    pytest.importorskip("openpyxl", reason="writes workbooks")
    pd.DataFrame(rows).to_excel(path, header=False, index=False)
    if parts:
        with zipfile.ZipFile(path) as book:
            content = {name: book.read(name) for name in book.namelist()}
        with zipfile.ZipFile(path, "w") as book:
            for name, data in content.items():
                kept = next((new for end, new in parts.items() if f"/{end}." in name), data)
                if kept is not None:
                    book.writestr(name, kept)
    return path


def text(path):
    content = "\n".join(",".join(row) for row in ROWS) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "HAM10000_metadata", "t.xlsx"])
def test_every_kind_of_table_is_read_as_text(tmp_path, name):
    path = tmp_path / name
    table = read_manifest(sheet(path) if path.suffix == ".xlsx" else text(path))
    assert table.columns.tolist() == ROWS[0]
    assert table.to_numpy().tolist() == ROWS[1:]


def test_whole_numbers_of_a_sheet_have_no_decimals(tmp_path):
    path = sheet(tmp_path / "t.xlsx", [["ID", "Age"], [7, 58.0], ["8", 0.5], [9, None]])
    assert read_manifest(path).to_numpy().tolist() == [["7", "58"], ["8", "0.5"], ["9", ""]]


@pytest.mark.parametrize(
    ("rows", "parts", "expected"),
    [
        ([], {}, "the first sheet is empty"),
        (ROWS, {"sheet1": b"<worksheet"}, "the workbook is damaged"),
        (ROWS, {"sheet1": None}, "0 worksheets found"),
        (ROWS, {"workbook": None}, "the workbook is damaged"),
        (ROWS, {"styles": b"<a"}, "the workbook is damaged"),
    ],
)
def test_a_damaged_workbook_is_named(tmp_path, rows, parts, expected):
    path = sheet(tmp_path / "t.xlsx", rows, **parts)
    with pytest.raises(InputError, match=expected):
        read_manifest(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.xlsx", "t.xls"])
@pytest.mark.parametrize("content", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_what_is_no_table_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"not readable as a table"):
        read_manifest(path)
