"""How an answer of a service is read: refused, typed, or none of a service."""

from json import loads
from typing import Any, TypeVar

import httpx2
from pydantic import ValidationError

from service.client.error import ServiceError, foreign
from service.client.types import Answer, Event, Fault

Kind = TypeVar("Kind", bound=Answer)


def check(response: httpx2.Response) -> None:
    """Raise what a response refuses.

    Raises:
        ServiceError: It is no success.
    """
    if response.is_success:
        return
    status, named = response.status_code, response.headers.get("x-request-id", "")
    after = seconds(response.headers.get("retry-after", ""))
    try:
        body = response.json()
        detail = str(body["detail"])
        errors = [Fault.model_validate(each) for each in body.get("errors", [])]
        kind = str(body.get("type", "about:blank"))
    except (ValueError, KeyError, TypeError, AttributeError):
        # Something between here and the service has answered.
        plain = f"{status} {response.reason_phrase}".strip()
        raise ServiceError(status, plain, (), named, after=after) from None
    raise ServiceError(status, detail, errors, named, kind, after)


def read(response: httpx2.Response, kind: type[Kind]) -> Kind:
    """The body of an answer, typed.

    Raises:
        ServiceError: It is something else, so the address is not that of a service.
    """
    return validated(kind, content(response))


def validated(kind: type[Kind], value: Any) -> Kind:
    """A part of an answer, typed; see :func:`read`."""
    try:
        return kind.model_validate(value)
    except ValidationError:
        raise foreign(200) from None


def content(response: httpx2.Response) -> Any:
    """The JSON of an answer; see :func:`read`."""
    try:
        return response.json()
    except ValueError:
        raise foreign(response.status_code) from None


def event(said: httpx2.ServerSentEvent) -> Event:
    """What a stream said, typed.

    Raises:
        ServiceError: It is nothing that this service says.
    """
    try:
        told = loads(said.data)
        kept = int(said.id) if said.id and "text" in told else None
        text = told.get("text", told.get("step", ""))
        share = told.get("progress")
    except (ValueError, TypeError, AttributeError):
        raise foreign(200) from None
    found = {"kind": said.event or "log", "text": text, "progress": share, "id": kept}
    return validated(Event, found)


def seconds(text: str) -> float:
    """What a ``Retry-After`` names; 0 for a date or nothing.

    >>> seconds("2"), seconds("Mon, 23 Nov 2026 04:00:00 GMT")
    (2.0, 0.0)
    """
    return float(text) if text.isdecimal() else 0.0
