"""Lists that are read a page at a time."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

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
        path: Of the list, so that a cursor is taken by no other one.
    """

    limit: int
    after: list[Any] | None
    path: str = ""


def read_window(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="Most items.")] = 20,
    cursor: Annotated[
        str | None, Query(description="``next`` of the page before.", max_length=400)
    ] = None,
) -> Window:
    """The window that the query asks for.

    Raises:
        InputError: The cursor was not made by this service, or for another list.
    """
    path = request.url.path
    if cursor is None:
        return Window(limit=limit, after=None, path=path)
    try:
        decoded = json.loads(base64.b64decode(cursor, b"-_", validate=True))
    except ValueError:
        raise wrong_cursor() from None
    match decoded:
        case [made_for, *after] if made_for == path:
            return Window(limit=limit, after=after, path=path)
        case _:
            raise wrong_cursor()


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
        case [number] if type(number) is int and 0 <= number <= LARGEST:
            return number
        case _:
            raise wrong_cursor()


def newest(
    rows: Select[Row],
    created: InstrumentedAttribute[datetime],
    name: InstrumentedAttribute[str],
    window: Window,
) -> Select[Row]:
    """The newest rows below a window's place, and one more, for lists sorted by moment and id.

    Args:
        rows: Those of the list, in any order.
        created: The moment of a row.
        name: Its id, which tells rows of one moment apart.
        window: Which page.

    Raises:
        InputError: The cursor was made for another list.
    """
    match window.after:
        case None:
            pass
        case [str(moment), str(last)] if last.isprintable():  # as ids are
            try:
                before = datetime.fromisoformat(moment).astimezone(UTC)
            except (ValueError, OverflowError):
                raise wrong_cursor() from None
            rows = rows.where((created < before) | ((created == before) & (name < last)))
        case _:
            raise wrong_cursor()
    return rows.order_by(created.desc(), name.desc()).limit(window.limit + 1)


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
    following = _cursor([window.path, *place(taken[-1])]) if more else None
    return Page(items=[shown(row) for row in taken], next=following)


def _cursor(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
