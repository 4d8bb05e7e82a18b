"""Lists that are read a page at a time."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError

#: The largest number that the databases keep as an integer.
LARGEST: Final = 2**31 - 1

Item = TypeVar("Item")
Row = TypeVar("Row")


class Page(BaseModel, Generic[Item]):
    """A part of a list, the newest first."""

    items: list[Item]
    next: str | None = Field(
        description="Give it as ``cursor`` for the items after these. Null: there are no more."
    )


class Window(BaseModel):
    """Which part of a list is asked for.

    Attributes:
        limit: Most items, from 1 to 100.
        after: Place of the last item that was seen, as :func:`page` was given it; None for
            the first page.
    """

    limit: int
    after: list[Any] | None


def read_window(
    limit: Annotated[int, Query(ge=1, le=100, description="Most items.")] = 20,
    cursor: Annotated[
        str | None, Query(description="``next`` of the page before.", max_length=400)
    ] = None,
) -> Window:
    """The window that the query asks for.

    Raises:
        InputError: The cursor was not made by this service.
    """
    try:
        after = None if cursor is None else json.loads(base64.urlsafe_b64decode(cursor))
        if after is not None and not isinstance(after, list):
            raise ValueError("no place")
    except ValueError:
        raise wrong_cursor() from None
    return Window(limit=limit, after=after)


def wrong_cursor() -> InputError:
    """The error for a cursor that was not made by this service, or for another list."""
    remedy = "Give 'next' of a page as it was, or leave it out."
    return InputError(
        Fault("query", "the cursor is not one of this service", remedy, column="cursor")
    )


def number_before(window: Window) -> int:
    """The number that the items of a page are below, for lists sorted by one.

    Raises:
        InputError: The cursor was made for another list.
    """
    match window.after:
        case None:
            return LARGEST
        case [int(number)] if 0 <= number <= LARGEST:
            return number
        case _:
            raise wrong_cursor()


Asked = Annotated[Window, Depends(read_window)]


def page(
    rows: Sequence[Row],
    window: Window,
    shown: Callable[[Row], Item],
    place: Callable[[Row], list[Any]],
) -> Page[Item]:
    """A page of rows.

    Args:
        rows: Those after the window's place, one more than its limit if there are so many.
        window: What was asked for.
        shown: Describes a row.
        place: Where a row stands in the list: what the query sorts by, as JSON.
    """
    taken = rows[: window.limit]
    more = len(rows) > window.limit
    following = base64.urlsafe_b64encode(json.dumps(place(taken[-1])).encode()) if more else b""
    return Page(items=[shown(row) for row in taken], next=following.decode() or None)
