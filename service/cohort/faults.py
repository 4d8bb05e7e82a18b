"""What a job says of the faults of a cohort: which row or image and why, never who it is.

Files are often called by a patient's name or number, and a table without a line of titles has
patients where titles should be. So of what a message quotes only that is repeated which the
schema says itself, and the values of its label and attributes; anything else is taken out.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from evaluation.errors import Fault, InputError
from service.cohort.request import images_of, tables_of
from training.cohort import CohortSchema, Loader
from training.image_store import open_store
from training.imaging import InputContract, Pixels
from training.manifest import every_fault

#: Stands for what is not repeated.
HIDDEN: Final = "(not shown)"

QUOTED: Final = re.compile(r"'([^']*)'")

#: Settings that remedies name.
SETTINGS: Final = frozenset(("first", "images", "index", "layout", "left_out", "samples"))

#: Faults of a value, which is shown if its column is the label or an attribute.
OF_A_VALUE: Final = re.compile(
    r"(?:label )?'.*' (?:belongs to no class|is not a number|is not declared)", re.DOTALL
)

#: Where a remedy begins to repeat a table.
REPEATED: Final = re.compile(r"(?:Did you mean|Columns: |It holds: ).*", re.DOTALL)

#: How a text may go on behind the name of a table or folder.
BEHIND: Final = re.compile(r"(?: is called '.*'|, image \d+)?", re.DOTALL)


class CohortFaults(InputError):
    """Every fault of a cohort; told as a number, since there may be thousands."""

    def __str__(self) -> str:
        """How many there are, and the first."""
        count = len(self.faults)
        more = "" if count == 1 else f" There are {count:,} faults; the job lists them."
        return f"{self.faults[0]}{more}"


@contextmanager
def telling_nobody(schema: CohortSchema, folder: Path) -> Iterator[None]:
    """Collect every fault while the block runs, and tell none of who it is.

    Raises:
        CohortFaults: There are faults.
    """
    try:
        with every_fault():
            yield
    except InputError as error:
        raise CohortFaults(*told(error, schema, folder).faults) from None


def told(error: InputError, schema: CohortSchema, folder: Path) -> InputError:
    """The error without the folder, and without what could be a patient's name.

    Rows of a table are told by number, and images by their place in the order of the names.

    Args:
        error: Of reading the cohort.
        schema: Of the cohort.
        folder: Where its tables and images lie.
    """
    return InputError(*map(_Faults(schema, folder).plain, error.faults))


def discreet(load: Loader, schema: CohortSchema, folder: Path) -> Loader:
    """What loads pixels and, if it cannot, tells no name of a file; see :func:`told`."""

    def loaded(image: str, contract: InputContract) -> Pixels:
        try:
            return load(image, contract)
        except InputError as error:
            raise told(error, schema, folder) from None

    return loaded


class _Faults:
    """Faults of one cohort."""

    def __init__(self, schema: CohortSchema, folder: Path) -> None:
        self.folder = folder
        self.tables, self.images = tables_of(schema), images_of(schema)
        self.known: dict[str, list[str]] = {}
        self.words = SETTINGS.union(_words(schema.model_dump()))
        columns = {declared.column or name for name, declared in schema.attributes.items()}
        self.harmless = {schema.label.column, *columns} - {schema.sample, schema.patient}

    def plain(self, fault: Fault) -> Fault:
        """A fault that tells nobody."""
        where, found, remedy = map(self._told, (fault.where, fault.found, fault.remedy))
        in_row = fault.row is not None and fault.column in self.harmless
        if in_row and OF_A_VALUE.fullmatch(fault.found):
            found = fault.found
        remedy = REPEATED.sub("Look at the table.", remedy)
        column = fault.column if fault.column in self.words else None
        return replace(fault, where=where, found=found, remedy=remedy, column=column)

    def _told(self, text: str) -> str:
        return self._unquoted(self._without_files(text))

    def _without_files(self, text: str) -> str:
        before, folder, path = text.partition(str(self.folder))
        if not folder:
            return text
        path = path.removeprefix("/")
        for place in sorted((*self.tables, *self.images), key=len, reverse=True):
            behind = path.removeprefix(place)
            if path.startswith(place) and BEHIND.fullmatch(behind):
                return f"{before}{place}{behind}"
            if place in self.images and path.startswith(f"{place}/"):
                return before + self._numbered(path.removeprefix(f"{place}/"), place)
        return f"{before}the folder" if not path else f"{before}a file of the folder"

    def _numbered(self, name: str, place: str) -> str:
        """A file of a folder or zip by its number, if it can be told which one it is."""
        # Names come with asterisks in the place of what their header says of the patient.
        shape = re.compile(".*".join(map(re.escape, name.split("***"))))
        fitting = [k for k, each in enumerate(self._names(place), 1) if shape.fullmatch(each)]
        if len(fitting) == 1:
            return f"file {fitting[0]} of {place} in the order of names"
        return f"a file of {place}"

    def _names(self, place: str) -> list[str]:
        if place not in self.known:
            self.known[place] = open_store(self.folder / place).names()
        return self.known[place]

    def _unquoted(self, text: str) -> str:
        """The text without anything in quotes that is not of the schema."""
        at = 0
        while match := QUOTED.search(text, at):
            if match[1] not in self.words:
                break
            at = match.end()
        begin = min((k for k in (text.find("'", at), text.find('"', at)) if k >= 0), default=-1)
        if begin < 0:
            return text
        # A name may have an apostrophe itself, so everything up to the last one goes.
        end = max(text.rfind("'"), text.rfind('"'))
        return text[:begin] + HIDDEN + (text[end + 1 :] if end > begin else "")


def _words(value: Any) -> set[str]:
    """Every text in the settings of a schema."""
    if isinstance(value, dict):
        return set(value).union(*map(_words, value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*map(_words, value))
    return {value} if isinstance(value, str) else set()
