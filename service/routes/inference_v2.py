"""The Open Inference Protocol, version 2, over the same engine as ``/v1``."""

from collections import Counter
from importlib.metadata import version
from typing import Any, Final, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from fastapi import HTTPException as HTTPError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.settings import faults_of
from service.access import needs
from service.aliases import CHAMPION
from service.batcher import Rows
from service.errors import documented
from service.forms import json_answer
from service.inputs import Given, as_pixels, from_base64
from service.routes.health import UNREADY, live
from service.routes.health import ready as is_ready
from service.runtime import LoadedModel
from service.services import Parts, Services
from training.imaging import InputContract, Pixels
from training.predictor import LARGEST_BATCH

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

NAME: Final = "evenscan"

#: Types of numbers that an image may be of, and how they are read.
NUMBERS: Final[dict[str, np.dtype[Any]]] = {
    "UINT8": np.dtype(np.uint8),
    "FP32": np.dtype(np.float32),
}

Datatype = Literal["UINT8", "FP32", "BYTES"]


class Server(BaseModel):
    """What answers."""

    name: str = NAME
    version: str
    extensions: list[str] = []


class TensorMetadata(BaseModel):
    """One input or output of a model."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(description="-1 is the batch.")


class Limits(BaseModel):
    """What one request may bring."""

    max_images: int = Field(description="Images in one request.")
    max_bytes: int = Field(description="Bytes of its body.")
    max_waiting: int = Field(description="Images that may wait for the model, of all requests.")
    best_batch: int = Field(description="Images that the model runs at once, at most.")


class ModelMetadata(BaseModel):
    """A model, as clients find out what to send."""

    name: str
    versions: list[str]
    platform: str = "onnxruntime_onnx"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, Any] = Field(description="Limits, classes and threshold.")


class RequestInput(BaseModel):
    """One tensor of a request."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    shape: list[int] = Field(min_length=1, max_length=6)
    datatype: Datatype
    parameters: dict[str, Any] = {}
    data: list[Any]


class RequestOutput(BaseModel):
    """An output that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    parameters: dict[str, Any] = {}


class InferenceRequest(BaseModel):
    """Images as numbers, or as files in base64 (datatype BYTES)."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default="", max_length=200)
    parameters: dict[str, Any] = {}
    inputs: list[RequestInput] = Field(min_length=1, max_length=1)
    outputs: list[RequestOutput] = []


class ResponseOutput(BaseModel):
    """One output, row by row."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: list[float]


class InferenceAnswer(BaseModel):
    """Outputs, rows in the order of the images."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseOutput]


router.add_api_route("/health/live", live, summary="Whether the process answers")
router.add_api_route(
    "/health/ready",
    is_ready,
    responses={**UNREADY},
    summary="Whether requests should be sent here",
)


@router.get("", dependencies=[needs("read")], responses=documented())
async def server() -> Server:
    """What answers here."""
    return Server(version=version("evenscan"))


@router.get("/models/{name}", dependencies=[needs("read")], responses=documented(404))
async def metadata(name: str, parts: Parts) -> ModelMetadata:
    """What a model takes and gives. ``evenscan`` is the champion; an alias is a name too."""
    return _described(name, await _model(parts, name), parts)


@router.get(
    "/models/{name}/versions/{number}", dependencies=[needs("read")], responses=documented(404)
)
async def version_metadata(name: str, number: str, parts: Parts) -> ModelMetadata:
    """The same of one version."""
    return _described(name, await _model(parts, name, number), parts)


class ModelReady(BaseModel):
    """Whether it can answer."""

    name: str
    ready: bool = True


@router.get("/models/{name}/ready", dependencies=[needs("read")], responses=documented(404))
async def ready(name: str, parts: Parts) -> ModelReady:
    """Whether the model is loaded, which it is by then."""
    await _model(parts, name)
    return ModelReady(name=name)


@router.get(
    "/models/{name}/versions/{number}/ready",
    dependencies=[needs("read")],
    responses=documented(404),
)
async def version_ready(name: str, number: str, parts: Parts) -> ModelReady:
    """The same of one version."""
    await _model(parts, name, number)
    return ModelReady(name=name)


_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": InferenceRequest.model_json_schema(
                    ref_template="#/components/schemas/{model}"
                )
            }
        },
    }
}


@router.post(
    "/models/{name}/infer",
    dependencies=[needs("infer")],
    responses={200: {"model": InferenceAnswer}, **documented(400, 404, 415, 422, 503)},
    openapi_extra=_BODY,
)
async def infer(name: str, request: Request, parts: Parts) -> Response:
    """Probabilities and codes of images."""
    return await _inferred(name, await _model(parts, name), request, parts)


@router.post(
    "/models/{name}/versions/{number}/infer",
    dependencies=[needs("infer")],
    responses={200: {"model": InferenceAnswer}, **documented(400, 404, 415, 422, 503)},
    openapi_extra=_BODY,
)
async def infer_version(name: str, number: str, request: Request, parts: Parts) -> Response:
    """The same of one version."""
    return await _inferred(name, await _model(parts, name, number), request, parts)


async def _model(parts: Services, name: str, number: str = "") -> LoadedModel:
    """The model of a path.

    Raises:
        HTTPException: 404, there is none.
    """
    try:
        if name not in (NAME, CHAMPION, "challenger"):
            raise unknown_name("model", name[:80], [NAME, CHAMPION, "challenger"], "path")
        if number and not number.isdecimal():
            found = f"'{number[:80]}' is no number of a version"
            raise InputError(Fault("path", found, "GET /v1/models lists them."))
        return await parts.runtime.find(number or (CHAMPION if name == NAME else name))
    except InputError as error:
        raise HTTPError(404, str(error)) from None


def _described(name: str, model: LoadedModel, parts: Services) -> ModelMetadata:
    predictor, settings = model.predictor, parts.settings
    limits = Limits(
        max_images=settings.max_images,
        max_bytes=settings.max_body_bytes,
        max_waiting=settings.max_waiting,
        best_batch=LARGEST_BATCH,
    )
    codes = {"probability": len(predictor.classes), **predictor.code_widths}
    return ModelMetadata(
        name=name,
        versions=[str(model.version.id)],
        inputs=[
            TensorMetadata(
                name="image", datatype="UINT8", shape=[-1, *predictor.contract.shape]
            )
        ],
        outputs=[
            TensorMetadata(name=code, datatype="FP32", shape=[-1, width])
            for code, width in codes.items()
        ],
        parameters={
            "limits": limits.model_dump(),
            "classes": list(predictor.classes),
            "threshold": model.threshold,
            "datatypes": "UINT8; FP32 in [0, 1]; BYTES, files in base64, of shape [-1]",
        },
    )


async def _inferred(
    name: str, model: LoadedModel, request: Request, parts: Services
) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", ""):
        raise HTTPError(415, f"The body is {kind[:80]}. Send application/json.")
    asked = _asked(await request.body())
    given = _given(asked.inputs[0], model.predictor.contract)
    count, most = len(given.names), parts.settings.max_images
    if count > most:
        found = f"there are {count} images in one request"
        raise InputError(Fault("body", found, f"Send at most {most}.", column="inputs"))
    known = ["probability", *model.predictor.code_widths]
    wanted = [each.name for each in asked.outputs] or known
    unknown = [each for each in wanted if each not in known]
    if unknown:
        raise unknown_name("output", unknown[0], known, "body")
    rows = await parts.engine.ask(request, model, given)
    for decision, times in Counter(model.decided(rows)).items():
        parts.metrics.predicted(model.version.id, decision, times)
    answer = {
        "model_name": name,
        "model_version": str(model.version.id),
        "outputs": [_output(each, rows) for each in wanted],
    }
    return json_answer(answer | ({"id": asked.id} if asked.id else {}))


def _asked(body: bytes) -> InferenceRequest:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPError(400, f"The body is not JSON: {error}") from None
    try:
        return InferenceRequest.model_validate(given)
    except ValidationError as error:
        raise InputError(*faults_of(error, "body", InferenceRequest)) from None


def _given(tensor: RequestInput, contract: InputContract) -> Given:
    if tensor.name != "image":
        raise unknown_name("input", tensor.name, ["image"], "body")
    if tensor.datatype == "BYTES":
        return Given({"images": _files(tensor)})
    return Given({}, _pixels(tensor, contract))


def _files(tensor: RequestInput) -> list[tuple[str, bytes]]:
    if tensor.shape != [len(tensor.data)] or not tensor.data:
        found = f"its shape is {tensor.shape} and it holds {len(tensor.data)} images"
        raise InputError(
            Fault("body", found, "Send one or more, and say how many.", column="image")
        )
    files, faults = [], []
    for row, each in enumerate(tensor.data, start=1):
        try:
            files.append((f"image {row}", from_base64(each)))
        except (TypeError, ValueError):
            faults.append(Fault("body", "it is not base64", "Encode the file.", row, "image"))
    if faults:
        raise InputError(*faults)
    return files


def _pixels(tensor: RequestInput, contract: InputContract) -> Pixels:
    shape = tuple(tensor.shape)
    if shape[1:] != contract.shape or shape[0] < 1:
        found = f"its shape is {list(shape)}"
        remedy = f"The model takes {['batch', *contract.shape]}."
        raise InputError(Fault("body", found, remedy, column="image"))
    try:
        values = np.array(tensor.data)
        whole = tensor.datatype == "UINT8"
        kinds = "iu" if whole else "iuf"
        fits = values.dtype.kind in kinds and values.size == np.prod(shape)
        fits = fits and (not whole or bool(values.min() >= 0 and values.max() <= 255))
    except (ValueError, TypeError, OverflowError):
        fits = False
    if not fits:
        found = f"its data are not {int(np.prod(shape))} numbers of {tensor.datatype}"
        raise InputError(
            Fault("body", found, "Send as many as its shape says, in range.", column="image")
        )
    return as_pixels(values.astype(NUMBERS[tensor.datatype]).reshape(shape), contract)


def _output(name: str, rows: Rows) -> dict[str, Any]:
    values = rows[name]
    return {
        "name": name,
        "shape": list(values.shape),
        "datatype": "FP32",
        "data": np.ascontiguousarray(values).reshape(-1),
    }
