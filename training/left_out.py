"""Rows of a manifest that take no part, and why."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd


class LeftOut(NamedTuple):
    """Rows that take no part for one reason.

    Attributes:
        reason: What they have in common, in one clause of the schema's own words.
        rows: How many they are.
        first: The first of them, counted from 1 (a header is not counted).
    """

    reason: str
    rows: int
    first: int


def left_out(reason: str, rows: pd.Index) -> tuple[LeftOut, ...]:
    """Rows that are left out for a reason; nothing if there are none.

    >>> left_out("'view' is not PA", pd.Index([4, 7]))
    (LeftOut(reason="'view' is not PA", rows=2, first=5),)

    Args:
        reason: What they have in common.
        rows: Of the file, from 0, ``[n]``.
    """
    return (LeftOut(reason, len(rows), int(rows.min()) + 1),) if len(rows) else ()


def either(values: Iterable[str]) -> str:
    """Values in words.

    >>> either(["AP", ""])
    'AP or empty'
    """
    return " or ".join(value or "empty" for value in values)
