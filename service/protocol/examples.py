"""An example of each body in the OpenAPI description, made of what fields are called."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

Schema = dict[str, Any]

#: What fields of a name hold, wherever it fits their schema.
VALUES: Final[dict[str, Any]] = {
    "alias": "champion",
    "audit": "5f0c9a6be1d24c0f9d7b3f6a2c8e4d10",
    "classes": ["absent", "present"],
    "cohort": "ham10000-3f9a0c12ab34",
    "content": [0.12, -0.53],
    "created": "2026-11-23T03:27:38Z",
    "data": [0.18, 0.82],
    "datatype": "FP32",
    "decision": "present",
    "expires": "2027-11-23T03:27:38Z",
    "id": "5f0c9a6be1d24c0f9d7b3f6a2c8e4d10",
    "image": "image 1.png",
    "job": "5f0c9a6be1d24c0f9d7b3f6a2c8e4d10",
    "kind": "retrain",
    "location": "/v1/jobs/5f0c9a6be1d24c0f9d7b3f6a2c8e4d10",
    "method": "erm",
    "name": "ham10000",
    "next": None,
    "platform": "onnxruntime_onnx",
    "probability": {"absent": 0.18, "present": 0.82},
    "progress": 0.42,
    "reason": "",
    "role": "viewer",
    "run": "ham10000-erm-cc8861dd783e",
    "scopes": ["read", "infer"],
    "shape": [1, 2],
    "state": "running",
    "status": "ready",
    "step": "train: epoch 3 of 8",
    "style": [0.07, 0.91],
    "threshold": 0.5,
    "updated": "2026-11-23T03:31:07Z",
    "version": 3,
    "who": "radiology trainer",
    "why": "The audit passed and the board agreed.",
}

#: What a stream of events looks like.
STREAM: Final = (
    'event: step\nid: 7\ndata: {"text": "train", "created": "2026-11-23T03:27:38Z"}\n\n'
)

#: What files are called that come in a field.
FILES: Final = {
    "champion": "champion.csv",
    "image": "image.png",
    "manifest": "metadata.csv",
    "partner": "partner.png",
    "predictions": "predictions.csv",
    "schema": "cohort.toml",
    "settings": "audit.toml",
}

#: What is said, by status, of what went wrong.
DETAILS: Final = {
    400: "The body is not JSON: unexpected end of data: line 1 column 18.",
    401: "A good key is needed, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'. One that "
    "is malformed, unknown, expired or revoked is none.",
    403: "'ward 7' may not do this: it needs the scope 'train', which the role trainer or "
    "admin has.",
    404: "There is no job '7f'. GET /v1/jobs lists what there is.",
    405: "This path takes GET only.",
    406: "The answer can be application/json, application/x-npy; accept one of them.",
    409: "A request with this Idempotency-Key is under way. Ask again in a second.",
    410: "Version 2 was deleted.",
    413: "The body is larger than 67108864 bytes. Send fewer or smaller files; the limit is "
    "EVENSCAN_MAX_BODY_BYTES.",
    415: "The body is text/plain. Send multipart/form-data or application/json.",
    422: "body: there are no images. Send one.",
    429: "'ward 7' asks too often. Try again in 12 seconds.",
    500: "The service failed. Its log has the details, at the request id "
    "5f0c9a6be1d24c0f9d7b3f6a2c8e4d10.",
    503: "256 images wait for this model; 64 more are beyond EVENSCAN_MAX_WAITING. Try again "
    "later.",
}

#: What has no other example.
PLAIN: Final = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None}

TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def illustrate(document: Schema) -> None:
    """Give every body of an OpenAPI description that is text an example, if it has none."""
    schemas = document["components"]["schemas"]
    for *_, body in _bodies(document):  # what a schema brings along is found at one place only
        schemas |= body.get("schema", {}).get("$defs", {})
    for path, status, kind, body in _bodies(document):
        if "example" in body or "examples" in body:
            continue
        if kind == "application/problem+json":
            body["example"] = _problem(int(status), path)
        elif kind.endswith("json") or kind.startswith("multipart/"):
            body["example"] = example_of(body.get("schema", {}), schemas)
        elif kind == "text/event-stream":
            body["example"] = STREAM


def example_of(schema: Schema, schemas: dict[str, Schema], name: str = "") -> Any:
    """A value that fits a schema.

    Args:
        schema: The schema.
        schemas: Those that it may refer to, by name.
        name: Of the field that it is for.

    >>> example_of({"type": "object", "properties": {"version": {"type": "integer"}}}, {})
    {'version': 3}
    """
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    if "const" in schema:
        return schema["const"]
    if examples := schema.get("examples"):
        return examples[0]
    choices = schema.get("anyOf") or schema.get("oneOf") or []
    allowed = schema.get("enum")
    if name in VALUES and any(_fits(VALUES[name], each) for each in choices or [schema]):
        return VALUES[name]
    if allowed:
        return allowed[0]
    if "default" in schema:
        return schema["default"]
    if choices or "allOf" in schema:
        return example_of((choices or schema["allOf"])[0], schemas, name)
    return _made(schema, schemas, name)


def _made(schema: Schema, schemas: dict[str, Schema], name: str) -> Any:
    kind = schema.get("type", "object")
    if schema.get("format") == "binary":
        return FILES.get(name, "file")
    if kind == "array":
        return [example_of(schema.get("items", {}), schemas, name.removesuffix("s"))]
    if kind == "object":
        fields = schema.get("properties", {})
        return {field: example_of(each, schemas, field) for field, each in fields.items()}
    return max(PLAIN[kind], schema["minimum"]) if "minimum" in schema else PLAIN[kind]


def _fits(value: Any, schema: Schema) -> bool:
    """Whether a value may be what a schema describes, as far as this is told at a glance."""
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type", "")
    if kind == "array" and isinstance(value, list):
        return all(_fits(each, schema.get("items", {})) for each in value)
    plain = kind in TYPES and "const" not in schema and not schema.get("properties")
    return plain and isinstance(value, TYPES[kind])


def _bodies(document: Schema) -> Iterator[tuple[str, str, str, Schema]]:
    """Path, status (empty for a request), media type and description of each body."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            bodies = {"": operation.get("requestBody", {}), **operation["responses"]}
            for status, said in bodies.items():
                for kind, body in said.get("content", {}).items():
                    yield path, status, kind, body


def _problem(status: int, path: str) -> Schema:
    fault = {"where": "body", "found": "there are no images", "remedy": "Send one."}
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": DETAILS[status],
        "instance": path.replace("{", "").replace("}", ""),
        "errors": [fault | {"row": None, "column": "images"}] if status == 422 else [],
    }
