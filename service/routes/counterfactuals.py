"""What a model would see in an image if its style were that of another."""

import asyncio
from base64 import b64encode
from io import BytesIO
from typing import Any, Final

import numpy as np
from fastapi import APIRouter, HTTPException, Request, Response
from PIL import Image
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.inference.batcher import Rows
from service.inference.forms import accepted, json_answer, npy_answer, used
from service.inference.inputs import Given
from service.inference.media import JSON, NPY
from service.inference.parameters import ModelName, UsedModel, takes
from service.inference.runtime import LoadedModel
from service.models.aliases import CHAMPION
from service.protocol.errors import documented
from service.security.access import needs
from service.services import Parts
from training.imaging import Pixels

router = APIRouter(
    prefix="/v1/counterfactuals", tags=["inference"], dependencies=[needs("infer")]
)

NOT_AUDITED: Final = "the audit of this version has not looked at reconstructions"


class Seen(BaseModel):
    """What the model says of one drawing or image."""

    probability: dict[str, float] = Field(description="By class, in [0, 1].")
    decision: str


class Counterfactual(BaseModel):
    """One image with its own content and the style of its partner."""

    image: str = Field(description="Name of the file.")
    partner: str = Field(description="Name of the file whose style it gets.")
    original: Seen
    reconstructed: Seen = Field(description="Drawn with its own style.")
    swapped: Seen = Field(description="Drawn with the style of its partner.")
    change: dict[str, float] = Field(
        description="By class, probability of the swapped image minus that of the "
        "reconstruction, so that what the decoder blurs is not counted."
    )
    flipped: bool = Field(description="Whether the swap changes the decision likewise.")
    squared_error: float = Field(description="Mean, of image and reconstruction in [0, 1].")
    trusted: bool = Field(description="Whether the change may be read.")
    reason: str = Field(description="Why it may not be, else empty.")
    reconstruction: str = Field(description="PNG in base64.")
    swap: str = Field(description="PNG in base64.")


class CounterfactualAnswer(BaseModel):
    """Counterfactuals, in the order of the images."""

    model: UsedModel
    threshold: float | None
    counterfactuals: list[Counterfactual]


@router.post(
    "",
    responses={
        200: {
            "model": CounterfactualAnswer,
            "content": {NPY: {"schema": {"type": "string", "format": "binary"}}},
        },
        **documented(400, 406, 409, 415, 422, 503),
    },
    openapi_extra=takes("images", "partners"),
)
async def exchange(request: Request, parts: Parts, model: ModelName = CHAMPION) -> Response:
    """Each image drawn again, and with the style of a partner; what the model says of all.

    The partners are as many as the images, or one for all. As a numpy array: ``[image, 2,
    channel, side, side]`` uint8, reconstruction and swap.
    """
    chosen = await parts.runtime.find(model)
    form = accepted(request, _forms(chosen))
    given = await parts.engine.read(request, chosen)
    images, partners = _paired(given)
    count = len(images)
    both = Given({"images": [*images, *partners]})
    rows, pixels = await parts.engine.ask_with_pixels(request, chosen, both)
    drawn = await asyncio.to_thread(_drawn, chosen, rows, count)
    seen = await parts.engine.ask(request, chosen, Given({}, drawn))
    if form == NPY:
        return npy_answer(chosen, np.stack([drawn[:count], drawn[count:]], axis=1))
    names = [(images[k][0], partners[k % len(partners)][0]) for k in range(count)]
    said = [
        {
            "image": image,
            "partner": partner,
            **_said(chosen, k, count, rows, pixels, drawn, seen),
        }
        for k, (image, partner) in enumerate(names)
    ]
    return json_answer(
        {"model": used(chosen), "threshold": chosen.threshold, "counterfactuals": said}
    )


def _forms(model: LoadedModel) -> tuple[str, ...]:
    predictor = model.predictor
    if not (predictor.has_decoder and predictor.has_style):
        detail = (
            f"Version {model.version.id} cannot draw: its method '{model.version.method}' has "
            "no style and decoder. Ask, with ?model=, for a version of a method that has, such "
            "as clear_vae."
        )
        raise HTTPException(409, detail)
    a_picture = predictor.contract.dimensions == 2 and predictor.contract.channels in (1, 3)
    return (JSON, NPY) if a_picture else (NPY,)


def _paired(given: Given) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    if given.pixels is not None or not given.parts.get("partners"):
        found = "there are no partners"
        remedy = "Send them beside the images, as many or one for all, as a form or as JSON."
        raise InputError(Fault("body", found, remedy, column="partners"))
    images, partners = given.files, given.parts["partners"]
    if len(partners) not in (1, len(images)):
        found = f"there are {len(partners)} partners of {len(images)} images"
        raise InputError(Fault("body", found, "Send as many, or one.", column="partners"))
    return images, partners


def _drawn(model: LoadedModel, rows: Rows, count: int) -> Pixels:
    """Reconstructions, then swaps, ``[2 count, channel, *space]``."""
    content, style = rows["content"][:count], rows["style"]
    theirs = np.broadcast_to(style[count:], (count, style.shape[1]))
    return model.predictor.decode(
        np.concatenate([content, content]), np.concatenate([style[:count], theirs])
    )


def _said(
    model: LoadedModel,
    k: int,
    count: int,
    rows: Rows,
    pixels: Pixels,
    drawn: Pixels,
    seen: Rows,
) -> dict[str, Any]:
    classes = model.predictor.classes
    three = (rows["probability"][k], seen["probability"][k], seen["probability"][count + k])
    original, reconstructed, swapped = (_seen(model, each.tolist()) for each in three)
    apart = (pixels[k].astype(np.float32) - drawn[k]) / 255
    flips = reconstructed["decision"] != original["decision"]
    reasons = [model.audit.untrusted if model.audit.untrusted is not None else NOT_AUDITED]
    reasons += ["the reconstruction alone changes the decision"] if flips else []
    reason = "; ".join(filter(None, reasons))
    return {
        "original": original,
        "reconstructed": reconstructed,
        "swapped": swapped,
        "change": dict(zip(classes, (three[2] - three[1]).tolist(), strict=True)),
        "flipped": swapped["decision"] != reconstructed["decision"],
        "squared_error": float(np.square(apart).mean()),
        "trusted": not reason,
        "reason": reason,
        "reconstruction": _png(drawn[k]),
        "swap": _png(drawn[count + k]),
    }


def _seen(model: LoadedModel, probability: list[float]) -> dict[str, Any]:
    by_class = dict(zip(model.predictor.classes, probability, strict=True))
    return {"probability": by_class, "decision": model.decide(probability)}


def _png(pixels: Pixels) -> str:
    file = BytesIO()
    planes = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    Image.fromarray(planes).save(file, "PNG")
    return b64encode(file.getvalue()).decode()
