"""Bodies of the Open Inference Protocol: JSON, and after it the bytes of tensors.

The binary tensor data extension, as Triton describes it: a header says where the JSON ends, a
parameter of each tensor how many of the bytes after it are its own, in the order of the JSON.
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
from fastapi import HTTPException, Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError

from evaluation.errors import Fault, InputError
from evaluation.settings import faults_of
from service.inference.batcher import Rows
from service.inference.forms import json_answer
from service.inference.media import JSON
from service.inference.tensor_models import InferenceAnswer, InferenceRequest
from service.protocol.errors import LISTED, documented

#: Length of the JSON at the beginning of a body, in bytes.
HEADER: Final = "Inference-Header-Content-Length"

#: What bodies with bytes after the JSON are called.
BINARY: Final = "application/octet-stream"

#: Digits of the largest length that is looked at.
DIGITS: Final = 12

_RAW: Final = {"schema": {"type": "string", "format": "binary"}}

#: What a request may bring, for the OpenAPI document.
TAKEN: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "description": "Bytes of the JSON, if the bytes of the tensor follow it.",
            "schema": {"type": "integer", "minimum": 2},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": InferenceRequest.model_json_schema(
                    ref_template="#/components/schemas/{model}"
                )
            },
            BINARY: _RAW,
        },
    },
}

#: How it may be answered.
GIVEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": InferenceAnswer, "content": {BINARY: _RAW}},
    **documented(400, 404, 415, 422, 503),
}


def json_length(request: Request) -> int | None:
    """How much of the body of a request is JSON; None: all of it.

    Raises:
        HTTPException: 400, the header is no length; 415, the body is compressed, or of another
            type.
    """
    said = request.headers.getlist(HEADER)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (JSON, "", *([BINARY] if said else [])):
        taken = f"{JSON}, or {BINARY} with the header {HEADER}"
        raise HTTPException(415, f"The body is {kind[:80]}. Send {taken}.")
    if (coding := request.headers.get("content-encoding", "identity")) != "identity":
        raise HTTPException(415, f"The body is {coding[:80]}. Send it as it is.")
    if not said:
        return None
    if len(said) > 1 or not (said[0].isascii() and said[0].isdecimal()):
        shown = ", ".join(said)[:80]
        raise HTTPException(400, f"{HEADER} is '{shown}'. Send the bytes of the JSON, once.")
    if len(said[0].lstrip("0")) > DIGITS:
        raise HTTPException(400, f"{HEADER} is too large.")
    return int(said[0])


def read_request(body: bytes, length: int | None) -> tuple[InferenceRequest, bytes | None]:
    """The request of a body.

    Args:
        body: All of it.
        length: Of its JSON, in bytes; None: it is all JSON.

    Returns:
        What the JSON says, and the bytes of its one tensor; None if the JSON holds it.

    Raises:
        HTTPException: 400, the body is not as long as the header and the parameters say, or
            what should be JSON is none.
        InputError: The JSON is no request; every fault is there.
    """
    if length is not None and length > len(body):
        found = f"{HEADER} is {length}, and the body has {len(body)} bytes"
        raise HTTPException(400, f"{found}. Send the bytes of the JSON.")
    try:
        given = orjson.loads(body if length is None else memoryview(body)[:length])
    except orjson.JSONDecodeError as error:
        which = "body" if length is None else f"body's first {length} bytes"
        raise HTTPException(400, f"The {which} is not JSON: {error}") from None
    if _sprawls(given):
        found = f"it has more than {LISTED} tensors, or keys in one place"
        raise InputError(Fault("body", found, "Send a request of the protocol."))
    try:
        asked = InferenceRequest.model_validate(given)
    except ValidationError as error:
        raise InputError(*faults_of(error, "body", InferenceRequest)) from None
    tensor = asked.inputs[0]
    size = tensor.parameters.get("binary_data_size")
    rest = b"" if length is None else body[length:]
    if size is None:
        if rest:
            found = f"{len(rest)} bytes follow the JSON"
            raise HTTPException(400, f"{found}, and no input has a binary_data_size.")
        if tensor.data is None:
            raise _odd("it has neither data nor binary_data_size", "Send one of them.")
        return asked, None
    if type(size) is not int or size < 0:
        raise HTTPException(400, "binary_data_size is no number of bytes.")
    if length is None:
        raise HTTPException(400, f"There is a binary_data_size without the header {HEADER}.")
    if tensor.data is not None:
        raise _odd("it has both data and binary_data_size", "Send one of them.")
    if size != len(rest):
        found = f"binary_data_size is {size}, and {len(rest)} bytes follow the JSON"
        raise HTTPException(400, f"{found}. Send as many as it says.")
    return asked, rest


def _sprawls(given: Any) -> bool:
    """Whether to list all that is wrong with a request would take longer than it is worth."""
    if not isinstance(given, dict):
        return False
    lists = [
        each for name in ("inputs", "outputs") if isinstance(each := given.get(name), list)
    ]
    objects = [
        given,
        *(each for some in lists for each in some[:LISTED] if isinstance(each, dict)),
    ]
    objects += [own for each in objects if isinstance(own := each.get("parameters"), dict)]
    return any(len(each) > LISTED for each in (*lists, *objects))


def in_binary(asked: InferenceRequest) -> dict[str, bool]:
    """The outputs that are asked for by name, and which of them are to be bytes.

    Raises:
        InputError: A parameter is neither true nor false; every one is named.
    """
    given = {each.name: each.parameters.get("binary_data") for each in asked.outputs}
    faults = [
        Fault("body", "binary_data is neither true nor false", "Correct it.", column=name[:80])
        for name, value in given.items()
        if value is not None and not isinstance(value, bool)
    ]
    if faults:
        raise InputError(*faults)
    usual = all_in_binary(asked)
    return {name: usual if value is None else value for name, value in given.items()}


def all_in_binary(asked: InferenceRequest) -> bool:
    """Whether outputs are bytes that do not say it themselves.

    Raises:
        InputError: The parameter is neither true nor false.
    """
    value = asked.parameters.get("binary_data_output", False)
    if not isinstance(value, bool):
        found = "binary_data_output is neither true nor false"
        raise InputError(Fault("body", found, "Correct it.", column="parameters"))
    return value


def answer(said: Mapping[str, Any], rows: Rows, wanted: Mapping[str, bool]) -> Response:
    """An answer: JSON, and after it the outputs that are wanted as bytes.

    Args:
        said: What the JSON says beside the outputs.
        rows: Outputs by name: numbers, ``[n, width]`` or ``[n]``, or texts, ``[n]`` objects.
        wanted: Names of outputs in their order, and whether they are bytes.
    """
    outputs = [_described(name, rows[name], raw) for name, raw in wanted.items()]
    content = {**said, "outputs": outputs}
    if not any(wanted.values()):
        return json_answer(content)
    head = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    body = b"".join([head, *(_raw(rows[name]) for name, raw in wanted.items() if raw)])
    return Response(body, media_type=BINARY, headers={HEADER: str(len(head))})


def _described(name: str, values: Any, raw: bool) -> dict[str, Any]:
    texts = values.dtype == object
    datatype = "BYTES" if texts else "FP32"
    about = {"name": name, "shape": list(values.shape), "datatype": datatype}
    if raw:
        return about | {"parameters": {"binary_data_size": len(_raw(values))}}
    return about | {"data": list(values) if texts else np.ravel(values)}


def _raw(values: NDArray[Any]) -> bytes:
    """A tensor as bytes; texts have their length before each, in 4 bytes."""
    if values.dtype == object:
        texts = (each.encode() for each in values)
        return b"".join(struct.pack("<I", len(each)) + each for each in texts)
    return np.ascontiguousarray(values, "<f4").tobytes()


def _odd(found: str, remedy: str) -> InputError:
    return InputError(Fault("body", found, remedy, column="inputs.0"))
