"""Images in JSON, in base64."""

import binascii
from itertools import islice
from typing import Any

import orjson
import pybase64
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from service.inference.names import PARTS, shown
from service.inference.refusals import too_many
from service.protocol.errors import LISTED


def read_json(content_type: str, body: bytes, most: int) -> dict[str, list[tuple[str, bytes]]]:
    """Name and content of each file, by the key it came under.

    Raises:
        HTTPException: 400, it is no JSON.
        InputError: It holds something else than images.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"The body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise InputError(Fault("body", "it is no object", 'Send {"images": [...]}.'))
    count = sum(len(items) for items in map(given.get, PARTS) if isinstance(items, list))
    if count > most:  # before each of a million is found wanting
        raise InputError(too_many(count, most))
    unknown = islice((key for key in given if key not in PARTS), LISTED)
    faults = [Fault("body", f"unknown key '{key[:80]}'", "Remove it.") for key in unknown]
    parts: dict[str, list[tuple[str, bytes]]] = {}
    for field in PARTS:
        items = given.get(field, [])
        if not isinstance(items, list):
            faults.append(Fault("body", "it is no list", "Send a list.", column=field))
            continue
        parts[field] = []
        for row, item in enumerate(items, start=1):
            try:
                parts[field].append(_encoded(item, row))
            except (ValueError, TypeError, KeyError):
                found = "it is no image with 'data' in base64"
                remedy = 'Send {"name": TEXT, "data": BASE64}.'
                faults.append(Fault("body", found, remedy, row, field))
    if faults:
        raise InputError(*faults)
    return parts


def _encoded(item: Any, row: int) -> tuple[str, bytes]:
    name = item.get("name", "") if isinstance(item, dict) else ""
    if not isinstance(item, dict) or set(item) - {"name", "data"} or not isinstance(name, str):
        raise TypeError
    return shown(name.encode("utf-8", "replace")) or f"image {row}", from_base64(item["data"])


def from_base64(text: Any) -> bytes:
    """Bytes of base64.

    Raises:
        TypeError: It is no text.
        ValueError: It is not base64.
    """
    if not isinstance(text, str):
        raise TypeError("it is no text")
    try:
        return pybase64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
