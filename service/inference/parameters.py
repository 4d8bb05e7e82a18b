"""What the routes that ask a model have in common."""

from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.inference.forms import OFFERED
from service.inference.media import ARROW, JSON, MULTIPART, NPY, RAW
from service.inference.runtime import LoadedModel
from service.protocol.errors import documented

Part = Literal["content", "style", "both"]

#: The model that a request asks; champion if it does not say.
ModelName = Annotated[
    str,
    Query(description="'champion', 'challenger', or the number of a version.", max_length=40),
]

_FILE: Final = {"type": "string", "format": "binary"}
_IMAGE: Final = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "name": {"type": "string", "maxLength": 200},
        "data": {"type": "string", "format": "byte", "description": "The file in base64."},
    },
}


class UsedModel(BaseModel):
    """The model that answered."""

    version: int
    run: str = Field(description="Id of the run that trained it.")
    method: str


def takes(*fields: str) -> dict[str, Any]:
    """The description of bodies that hold images, for the OpenAPI document.

    Args:
        fields: Parts or keys that hold them; the first one is needed.
    """
    many = {name: {"type": "array", "items": _FILE} for name in fields}
    listed = {name: {"type": "array", "items": _IMAGE} for name in fields}
    form = {"type": "object", "required": [fields[0]], "properties": many}
    objects = {"type": "object", "required": [fields[0]], "properties": listed}
    content: dict[str, Any] = {MULTIPART: {"schema": form}, JSON: {"schema": objects}}
    if len(fields) == 1:
        content |= {kind: {"schema": _FILE} for kind in (NPY, ARROW, *RAW)}
    return {"requestBody": {"required": True, "content": content}}


def answers(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The responses of a route, in each of their forms."""
    content: dict[str, Any] = {kind: {"schema": _FILE} for kind in OFFERED[1:]}
    return {
        200: {"model": model, "content": content},
        **documented(400, 406, 415, 422, 503),
    }


def check_part(model: LoadedModel, part: Part) -> None:
    """Refuse a request for a code that the model has not.

    Raises:
        InputError: It is asked for style, and there is none.
    """
    if part == "style" and not model.predictor.has_style:
        found = f"the method '{model.version.method}' has no style code"
        remedy = "Ask for the content, or for another model."
        raise InputError(Fault("query", found, remedy, column="part"))
