"""Errors that a user can act on."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an input.

    Attributes:
        where: File, setting or request part that holds the fault.
        found: What was found there, in one clause.
        remedy: What to do about it, as a sentence.
        row: Data row of ``where``, counted from 1 (a header is not counted), if it has rows.
        column: Column or field of ``where``, if it has any.
    """

    where: str
    found: str
    remedy: str
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        """The fault as one line.

        >>> str(Fault("a.csv", "score is 1.3", "Scores are in [0, 1].", row=4, column="score"))
        'a.csv, row 4, column score: score is 1.3. Scores are in [0, 1].'
        """
        place = self.where
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        return f"{place}: {self.found}. {self.remedy}"


class InputError(Exception):
    """The input cannot be used. It carries every fault that was found, not only the first."""

    def __init__(self, *faults: Fault) -> None:
        """Keep the faults, and their lines as the message."""
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the faults, so that the error survives a process or a job store."""
        return type(self), self.faults


def unknown_name(kind: str, name: str, available: Iterable[str], where: str) -> InputError:
    """The error for a name that is not in a list, with the nearest name and the list.

    >>> print(unknown_name("method", "emr", ["erm"], "config.toml"))
    config.toml: no method is called 'emr'. Did you mean 'erm'? Available: erm.
    """
    names = sorted(filter(None, available))
    near = get_close_matches(name, names, n=1)
    guess = f"Did you mean '{near[0]}'? " if near else ""
    listed = f"Available: {', '.join(names)}." if names else "There is none."
    return InputError(Fault(where, f"no {kind} is called '{name}'", guess + listed))
