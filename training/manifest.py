"""Turns a manifest, the list of samples that comes with images, into the table of a cohort."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError
from training.cohort import CohortSchema

#: Faults of one kind that are listed one by one; the rest of them is counted.
MOST_LISTED = 20

#: The same where a report wants all of them; a file of another table would have millions.
EVERY = 1000

_most: ContextVar[int] = ContextVar("most", default=MOST_LISTED)


@contextmanager
def every_fault() -> Iterator[None]:
    """List faults one by one, up to :data:`EVERY` of a kind, while the block runs."""
    token = _most.set(EVERY)
    try:
        yield
    finally:
        _most.reset(token)


def read_manifest(path: Path) -> pd.DataFrame:
    """A table as text: no value is guessed to be a number, a date or missing.

    Args:
        path: CSV, ``.tsv``, ``.csv.gz`` or ``.xlsx`` (first sheet; needs openpyxl).

    Raises:
        InputError: The file is missing, empty or not such a table, or names a column twice.
    """
    where = str(path)
    try:
        table = _read_text(path)
    except FileNotFoundError:
        remedy = "Check the manifest, the root and EVENSCAN_DATA."
        raise InputError(Fault(where, "no such file", remedy)) from None
    except ImportError:
        remedy = "Install openpyxl, or save the table as CSV and name that file."
        raise InputError(Fault(where, "reading .xlsx needs openpyxl", remedy)) from None
    except (ValueError, EOFError, OSError, BadZipFile, zlib.error) as error:
        found = f"not readable as a table: {str(error).strip()}"
        raise InputError(Fault(where, found, "Save it as comma separated UTF-8.")) from None
    names = table.iloc[0].astype(str).str.strip()
    if names.duplicated().any():
        fault = Fault(
            where, f"column '{names[names.duplicated()].iloc[0]}' is there twice", "Rename one."
        )
        raise InputError(fault)
    rows = table.iloc[1:].reset_index(drop=True).fillna("")
    return pd.DataFrame({name: rows[i].str.strip() for i, name in enumerate(names)})


def _read_text(path: Path) -> pd.DataFrame:
    if path.suffix == ".xlsx":
        return _read_sheet(path)
    open_ = gzip.open if path.suffix == ".gz" else open
    with open_(path, "rt", encoding="utf-8-sig") as file:
        separator = "\t" if path.suffix == ".tsv" else ","
        return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, header=None)


def _read_sheet(path: Path) -> pd.DataFrame:
    try:
        # named, so that an old .xls under this name does not ask for another library
        sheet = pd.read_excel(
            path, dtype=str, keep_default_na=False, header=None, engine="openpyxl"
        )
    except (KeyError, TypeError, SyntaxError) as error:
        # openpyxl has no error of its own for the parts of a workbook that it cannot read
        raise ValueError(f"the workbook is damaged, {error}") from None
    if sheet.empty:
        raise ValueError("the first sheet is empty")
    return sheet


def check_columns(manifest: pd.DataFrame, needed: dict[str, str], where: str) -> None:
    """See that columns are there.

    Raises:
        InputError: Some are not, see :func:`column_faults`.
    """
    if faults := column_faults(manifest, needed, where):
        raise InputError(*faults)


def column_faults(manifest: pd.DataFrame, needed: dict[str, str], where: str) -> list[Fault]:
    """A fault for each column that is not there, with the nearest name.

    Args:
        manifest: As read.
        needed: Column to what it is for.
        where: Name of the manifest.
    """
    faults = []
    for column, purpose in needed.items():
        if column not in manifest.columns:
            near = get_close_matches(column, list(manifest.columns), n=1)
            guess = f"Did you mean '{near[0]}'? " if near else ""
            listed = f"Columns: {', '.join(manifest.columns)}."
            faults.append(Fault(where, f"no column '{column}' ({purpose})", guess + listed))
    return faults


def table_of(
    schema: CohortSchema,
    manifest: pd.DataFrame,
    where: str,
    image: pd.Series,
    found: Iterable[Fault] = (),
) -> pd.DataFrame:
    """The table of a cohort.

    Args:
        schema: Which column means what.
        manifest: ``[n]`` rows of text; an empty text is a missing value. Its index is the row
            of the file, from 0.
        where: Name of the manifest, for messages.
        image: ``[n]`` what the pixels are found by.
        found: What is already known to be wrong, to be told with the rest.

    Returns:
        What :class:`training.cohort.Cohort` holds, in the order of the manifest.

    Raises:
        InputError: With every fault that the manifest has.
    """
    check_columns(manifest, columns_of(schema), where)
    faults = [*table_faults(schema, manifest, where), *found]
    if faults:
        raise InputError(*faults)
    table = pd.DataFrame(
        {
            "patient": manifest[schema.patient],
            "image": image.to_numpy(),
            "label": schema.label.indices(manifest[schema.label.column]).astype("int64"),
        }
    )
    for name, declared in schema.attributes.items():
        known = _known(schema, manifest[declared.column or name])
        table[name] = pd.to_numeric(known).astype(float) if declared.numeric else known
    return table.set_index(pd.Index(manifest[schema.sample], name="sample"))


def columns_of(schema: CohortSchema) -> dict[str, str]:
    """The columns that a schema reads, and what each is for."""
    columns = {
        declared.column or name: f"attribute {name}"
        for name, declared in schema.attributes.items()
    }
    return columns | {
        schema.sample: "sample",
        schema.patient: "patient",
        schema.label.column: "label",
    }


def table_faults(schema: CohortSchema, manifest: pd.DataFrame, where: str) -> Iterator[Fault]:
    """Every fault of a manifest whose columns are all there."""
    if manifest.empty:
        yield Fault(where, "it has no rows", "List at least one sample of each class.")
        return
    yield from _identity_faults(schema, manifest, where)
    yield from _label_faults(schema, manifest, where)
    for name in schema.attributes:
        yield from _attribute_faults(schema, name, manifest, where)


def listed(faults: Iterator[Fault], where: str, column: str | None = None) -> Iterator[Fault]:
    """The first faults of one kind, and how many more there are."""
    yield from islice(faults, _most.get())
    if more := sum(1 for _ in faults):
        yield Fault(where, f"{more:,} more of this kind", "They are not listed.", column=column)


def _identity_faults(
    schema: CohortSchema, manifest: pd.DataFrame, where: str
) -> Iterator[Fault]:
    sample, patient = manifest[schema.sample], manifest[schema.patient]
    first = sample.reset_index().groupby(schema.sample, sort=False)["index"].first()
    twice = (
        Fault(
            where,
            f"sample '{sample.iloc[k]}' is also in row {first[sample.iloc[k]] + 1}",
            "Each sample has one row.",
            row,
            schema.sample,
        )
        for k, row in _rows(sample.duplicated() & (sample != ""))
    )
    yield from listed(twice, where, schema.sample)
    for column, word in ((sample, "sample id"), (patient, "patient id")):
        remedy = f"Fill it: every row needs a {word}."
        faults = (
            Fault(where, f"the {word} is empty", remedy, row, str(column.name))
            for _, row in _rows(column == "")
        )
        yield from listed(faults, where, str(column.name))


def _label_faults(schema: CohortSchema, manifest: pd.DataFrame, where: str) -> Iterator[Fault]:
    name, values = schema.label.column, manifest[schema.label.column]
    index = schema.label.indices(values)
    expected = [value for values in schema.label.classes.values() for value in values]
    unknown = index < 0
    remedy = f"Known: {', '.join(expected)}. Add it to a class, or to 'left_out'."
    faults = (
        Fault(where, f"label '{values.iloc[k]}' belongs to no class", remedy, row, name)
        for k, row in _rows(unknown)
    )
    yield from listed(faults, where, name)
    for k, title in enumerate(schema.label.classes):
        if not (index == k).any():
            found = f"class '{title}' has no sample"
            yield Fault(where, found, "Every class needs samples to learn from.", column=name)


def _attribute_faults(
    schema: CohortSchema, name: str, manifest: pd.DataFrame, where: str
) -> Iterator[Fault]:
    declared = schema.attributes[name]
    column = declared.column or name
    values = _known(schema, manifest[column])
    if values.isna().all():
        remedy = "Leave the attribute out of the cohort, or fill the column."
        yield Fault(
            where, f"every value of attribute '{name}' is missing", remedy, column=column
        )
        return
    if declared.numeric:
        wrong = pd.to_numeric(values, errors="coerce").replace([np.inf, -np.inf], np.nan).isna()
        found, remedy = (
            "'{}' is not a number",
            "Correct the value, empty it, or declare categories.",
        )
    elif declared.categories:
        wrong = ~values.isin(declared.categories)
        found, remedy = "'{}' is not declared", f"Declared: {', '.join(declared.categories)}."
    else:
        return
    faults = (
        Fault(where, found.format(values.iloc[k]), remedy, row, column)
        for k, row in _rows(wrong & values.notna())
    )
    yield from listed(faults, where, column)


def _known(schema: CohortSchema, values: pd.Series) -> pd.Series:
    return values.mask(values.isin(["", *schema.missing]))


def _rows(mask: pd.Series) -> list[tuple[int, int]]:
    """Where the mask holds: position, and row of the file, which is counted from 1."""
    rows = mask.index.to_numpy()
    return [(int(k), int(rows[k]) + 1) for k in np.flatnonzero(mask)]
