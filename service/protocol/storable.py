"""Settings that come with a request, and whether they can be kept as JSON."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import date, time
from itertools import islice
from typing import Any, Final

from evaluation.errors import Fault, InputError
from service.protocol.errors import LISTED

#: Settings are a few levels deep; what is far deeper, JSON cannot be written of.
DEEPEST: Final = 20


def storable(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The values of a request, as they are.

    Args:
        values: As read from JSON or TOML, however deep.
        where: What they are of, for the message.

    Raises:
        InputError: They are nested too deeply, or hold dates, numbers that are not finite or
            too long to be written, or half characters.
    """
    if faults := list(islice(_faults(values, (), where), LISTED)):
        raise InputError(*faults)
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except ValueError:
        found = "it holds half characters, or numbers of thousands of digits"
        raise InputError(Fault(where, found, "Send plain settings.")) from None
    return values


def _faults(value: object, place: tuple[str, ...], where: str) -> Iterator[Fault]:
    """What is wrong within a value; it goes no deeper than :data:`DEEPEST`."""
    if len(place) >= DEEPEST:
        found = f"'{place[0]:.80}' is nested more than {DEEPEST} levels deep"
        yield Fault(where, found, "Send plain settings.")
    elif isinstance(value, dict | list):
        for name, inner in _inside(value):
            yield from _faults(inner, (*place, name), where)
    elif isinstance(value, date | time):
        found = f"'{'.'.join(place):.200}' is the date or time {value}"
        yield Fault(where, found, "Put it in quotes.")
    elif isinstance(value, float) and not math.isfinite(value):
        found = f"'{'.'.join(place):.200}' is {value}"
        yield Fault(where, found, "Give a finite number.")


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        return value.items()
    return ((str(row), each) for row, each in enumerate(value, start=1))
