"""Makes a manifest of DICOM files: what their headers say, and labels beside them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, cast

import pandas as pd

from evaluation.errors import Fault, InputError
from training.dicom import BROKEN, damaged, masked, opened
from training.dicom_table import HASHED, columns_from
from training.image_store import ImageStore
from training.manifest import listed

#: How the names of DICOM files may end; a file that ends so and is none is a fault.
SUFFIXES = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class DicomFile:
    """What is kept of a header.

    Attributes:
        name: Of the file, in its store.
        shown: The same without the patient's id and names, for messages.
        identifiers: As they stand in the header; they never leave this process.
        columns: Keyword to text, see :func:`training.dicom_table.columns_from`.
    """

    name: str
    shown: str
    identifiers: dict[str, str]
    columns: dict[str, str]


def dicom_files(
    store: ImageStore, hashed: Callable[[str], str], faults: list[Fault]
) -> list[DicomFile]:
    """Every DICOM file of a folder or zip, in the order of their names.

    Args:
        store: Where they lie.
        hashed: Makes the hash of an identifier.
        faults: Filled with what is wrong: files that are damaged, have no pixels, no
            SOPInstanceUID or that of a file before.
    """
    found: dict[str, DicomFile] = {}
    for name in store.names():
        try:
            file = _read(store, name, hashed)
        except InputError as error:
            faults.extend(error.faults)
            continue
        if file is None:
            continue
        identifier = file.identifiers["SOPInstanceUID"]
        if not identifier:
            remedy = "Export it again."
            faults.append(Fault(file.shown, "it has no SOPInstanceUID", remedy))
        elif identifier in found:
            twin = f"its SOPInstanceUID is also that of {found[identifier].shown}"
            faults.append(Fault(file.shown, twin, "Take one of the two out."))
        else:
            found[identifier] = file
    return list(found.values())


def with_labels(
    files: list[DicomFile],
    labels: pd.DataFrame,
    column: str,
    key: str,
    where: str,
    faults: list[Fault],
) -> pd.DataFrame:
    """The manifest of files: their columns, and those of the labels.

    Args:
        files: A row each.
        labels: The file of labels as read.
        column: Its column with the key.
        key: Element that the key is, or ``filename``.
        where: Name of the file of labels.
        faults: Filled with keys that are there twice and files without a row. Keys are not
            told: they may be those of patients.

    Returns:
        ``[n]`` rows of text. Columns that headers have come from there; those of a file
        without a row are empty.
    """
    values = labels[column].map(_stem) if key == "filename" else labels[column]
    row_of: dict[str, int] = {}
    twice = []
    for row, value in enumerate(values):
        if row_of.setdefault(value, row) != row:
            twice.append(
                Fault(
                    where,
                    f"its key is also in row {row_of[value] + 1}",
                    "Each key has one row.",
                    row + 1,
                    column,
                )
            )
    faults.extend(listed(iter(twice), where, column))
    rows = [row_of.get(one, -1) for one in _keys(files, key, row_of)]
    faults.extend(listed(_unlabelled(files, rows, where), where, column))
    headers = pd.DataFrame([file.columns for file in files])
    added = labels.drop(columns=[column, *headers.columns], errors="ignore")
    return pd.concat(
        [headers, added.reindex(rows, fill_value="").reset_index(drop=True)], axis=1
    )


def _unlabelled(files: list[DicomFile], rows: list[int], where: str) -> Iterator[Fault]:
    for file, row in zip(files, rows, strict=True):
        if row < 0:
            remedy = "Add the row, or take the file out."
            yield Fault(where, f"no row has the key of {file.shown}", remedy)


def _keys(files: list[DicomFile], key: str, known: dict[str, int]) -> list[str]:
    if key != "filename":
        return [file.identifiers[key] for file in files]
    whole = [_stem(file.name) for file in files]
    last = [PurePosixPath(name).name for name in whole]
    many = Counter(last)
    # a name without its folder says which file only if no other folder has it
    return [
        name if name in known or many[short] > 1 else short
        for name, short in zip(whole, last, strict=True)
    ]


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else str(path)


def _read(store: ImageStore, name: str, hashed: Callable[[str], str]) -> DicomFile | None:
    """What a file says, or None if it is none of DICOM or the index of a medium."""
    shown = f"{store.path}/{name}"
    with store.open(name) as file:
        begin = file.read(132)
        if begin[128:] != b"DICM":
            if not name.lower().endswith(SUFFIXES):
                return None
            found = "it is not a DICOM file" if begin else "the file is empty"
            raise InputError(Fault(shown, found, "Copy or export the file again."))
        if PurePosixPath(name).name.upper() == "DICOMDIR":
            return None
        file.seek(0)
        header = opened(cast(BinaryIO, file), shown, pixels=False)
    try:
        identifiers = {word: str(header.get(word, "")).strip() for word in HASHED}
        shown = f"{store.path}/{masked(name, header)}"
        return DicomFile(name, shown, identifiers, columns_from(header, hashed))
    except BROKEN as error:
        raise damaged(error, shown) from None
