"""The Open Inference Protocol, version 2, over the same engine as ``/v1``."""

import asyncio
from collections import Counter
from importlib.metadata import version
from typing import Final

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi import HTTPException as HTTPError

from evaluation.errors import Fault, InputError, unknown_name
from service.inference.engine import LARGE
from service.inference.inputs import Given
from service.inference.runtime import LoadedModel
from service.inference.tensor_bodies import (
    GIVEN,
    TAKEN,
    all_in_binary,
    answer,
    in_binary,
    json_length,
    read_request,
)
from service.inference.tensor_inputs import read_tensor
from service.inference.tensor_models import (
    NAME,
    InferenceRequest,
    Limits,
    ModelMetadata,
    ModelReady,
    Server,
    TensorMetadata,
)
from service.models.aliases import CHAMPION
from service.protocol.errors import documented
from service.routes.health import UNREADY, live
from service.routes.health import ready as is_ready
from service.security.access import needs
from service.services import Parts, Services
from training.imaging import InputContract
from training.predictor import LARGEST_BATCH

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

#: The output that holds what is decided at the frozen threshold.
DECISION: Final = "decision"

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


@router.post(
    "/models/{name}/infer",
    dependencies=[needs("infer")],
    responses=GIVEN,
    openapi_extra=TAKEN,
)
async def infer(name: str, request: Request, parts: Parts) -> Response:
    """Probabilities, decisions, codes and how unusual they are, of images."""
    return await _inferred(name, await _model(parts, name), request, parts)


@router.post(
    "/models/{name}/versions/{number}/infer",
    dependencies=[needs("infer")],
    responses=GIVEN,
    openapi_extra=TAKEN,
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
        if number and not (number.isascii() and number.isdecimal()):
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
    widths = {"probability": len(predictor.classes), **predictor.code_widths}
    return ModelMetadata(
        name=name,
        versions=[str(model.version.id)],
        inputs=[
            TensorMetadata(
                name="image", datatype="UINT8", shape=[-1, *predictor.contract.shape]
            )
        ],
        outputs=[
            TensorMetadata(
                name=output,
                datatype="BYTES" if output == DECISION else "FP32",
                shape=[-1, widths[output]] if output in widths else [-1],
            )
            for output in _outputs(model)
        ],
        parameters={
            "limits": limits.model_dump(),
            "classes": list(predictor.classes),
            "threshold": model.threshold,
            "groups": model.audit.weaknesses.model_dump(mode="json"),
            "meaning": model.meaning,
            "datatypes": "UINT8; FP32 in [0, 1]; BYTES, files of shape [-1], in JSON base64",
        },
    )


async def _inferred(
    name: str, model: LoadedModel, request: Request, parts: Services
) -> Response:
    length, body = json_length(request), await request.body()
    contract, most = model.predictor.contract, parts.settings.max_images
    if len(body) > LARGE:  # a large body takes long enough to hold up other requests
        asked, given = await asyncio.to_thread(_read, body, length, contract, most)
    else:
        asked, given = _read(body, length, contract, most)
    wanted = _wanted(asked, model)
    rows = await parts.engine.ask(request, model, given)
    decisions = model.decided(rows)
    for decision, times in Counter(decisions).items():
        parts.metrics.predicted(model.version.id, decision, times)
    rows = {**rows, DECISION: np.array(decisions, object)}
    said = {"model_name": name, "model_version": str(model.version.id)}
    return answer(said | ({"id": asked.id} if asked.id else {}), rows, wanted)


def _read(
    body: bytes, length: int | None, contract: InputContract, most: int
) -> tuple[InferenceRequest, Given]:
    asked, raw = read_request(body, length)
    return asked, read_tensor(asked.inputs[0], raw, contract, most)


def _outputs(model: LoadedModel) -> list[str]:
    """Names of what a model can be asked for."""
    farther = [] if model.outliers is None else ["farther"]
    return ["probability", DECISION, *farther, *model.predictor.code_widths]


def _wanted(asked: InferenceRequest, model: LoadedModel) -> dict[str, bool]:
    """Names of the outputs that are asked for, and whether as bytes."""
    known = _outputs(model)
    wanted = in_binary(asked) or dict.fromkeys(known, all_in_binary(asked))
    unknown = [each for each in wanted if each not in known]
    if unknown:
        raise unknown_name("output", unknown[0], known, "body")
    return wanted
