"""What a model would see in an image if its style were that of another."""

import asyncio
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from fastapi import APIRouter, HTTPException, Request, Response
from PIL import Image
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.inference.batcher import Rows
from service.inference.forms import (
    OFFERED,
    accepted,
    arrow_answer,
    json_answer,
    npy_answer,
    used,
)
from service.inference.inputs import Given
from service.inference.media import ARROW, NPY
from service.inference.names import PARTS
from service.inference.parameters import ModelName, UsedModel, answers, takes
from service.inference.runtime import LoadedModel
from service.models.aliases import CHAMPION
from service.protocol.errors import documented
from service.security.access import needs
from service.services import Parts
from training.imaging import Pixels

router = APIRouter(
    prefix="/v1/counterfactuals", tags=["inference"], dependencies=[needs("infer")]
)

#: What an answer shows, as PNG.
PICTURES: Final = ("reconstruction", "swap")

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


@dataclass(frozen=True)
class Swaps:
    """What the model has seen and drawn; images first, then their partners.

    Attributes:
        rows: What it says of images and partners.
        pixels: What it saw of them.
        drawn: Reconstructions, then swaps, ``[2 image, channel, *space]``.
        seen: What it says of these.
    """

    rows: Rows
    pixels: Pixels
    drawn: Pixels
    seen: Rows


@router.post(
    "",
    responses={**answers(CounterfactualAnswer), **documented(409)},
    openapi_extra=takes(*PARTS),
)
async def exchange(request: Request, parts: Parts, model: ModelName = CHAMPION) -> Response:
    """Each image drawn again, and with the style of a partner; what the model says of all.

    The partners are as many as the images, or one for all. As a numpy array: ``[image, 2,
    channel, side, side]`` uint8, reconstruction and swap. As Arrow: a row an image, with both
    as PNG.
    """
    chosen = await parts.runtime.find(model)
    form = accepted(request, _forms(chosen))
    given = await parts.engine.read(request, chosen, PARTS)
    pairs = _paired(given)
    count = len(pairs)
    rows, pixels = await parts.engine.ask_with_pixels(request, chosen, given)
    drawn = await asyncio.to_thread(_drawn, chosen, rows, count)
    seen = await parts.engine.ask(request, chosen, Given({}, drawn))
    # Pictures of many drawings take seconds to pack, in which nobody else would be answered.
    return await asyncio.to_thread(
        _answer, form, chosen, pairs, Swaps(rows, pixels, drawn, seen)
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
    return OFFERED if a_picture else (NPY,)


def _paired(given: Given) -> list[tuple[str, str]]:
    """Names of each image and of its partner."""
    if given.pixels is not None or not given.parts.get("partners"):
        found = "there are no partners"
        remedy = "Send them beside the images, as many or one for all, as a form or as JSON."
        raise InputError(Fault("body", found, remedy, column="partners"))
    images, partners = given.names, [name for name, _ in given.parts["partners"]]
    if len(partners) not in (1, len(images)):
        found = f"there are {len(partners)} partners of {len(images)} images"
        raise InputError(Fault("body", found, "Send as many, or one.", column="partners"))
    return [(image, partners[k % len(partners)]) for k, image in enumerate(images)]


def _drawn(model: LoadedModel, rows: Rows, count: int) -> Pixels:
    """Reconstructions, then swaps, ``[2 count, channel, *space]``."""
    content, style = rows["content"][:count], rows["style"]
    theirs = np.broadcast_to(style[count:], (count, style.shape[1]))
    return model.predictor.decode(
        np.concatenate([content, content]), np.concatenate([style[:count], theirs])
    )


def _answer(
    form: str, model: LoadedModel, pairs: list[tuple[str, str]], swaps: Swaps
) -> Response:
    """The answer in one of its forms."""
    if form == NPY:
        both = swaps.drawn.reshape(2, len(pairs), *swaps.drawn.shape[1:])
        return npy_answer(model, both.swapaxes(0, 1))
    said = [
        {"image": image, "partner": partner, **_said(model, k, len(pairs), swaps)}
        for k, (image, partner) in enumerate(pairs)
    ]
    if form == ARROW:
        return arrow_answer(model, _columns(said))
    for each in said:
        each |= {name: b64encode(each[name]).decode() for name in PICTURES}
    return json_answer(
        {"model": used(model), "threshold": model.threshold, "counterfactuals": said}
    )


def _said(model: LoadedModel, k: int, count: int, swaps: Swaps) -> dict[str, Any]:
    classes, drawn, seen = model.predictor.classes, swaps.drawn, swaps.seen
    three = (
        swaps.rows["probability"][k],
        seen["probability"][k],
        seen["probability"][count + k],
    )
    original, reconstructed, swapped = (_seen(model, each.tolist()) for each in three)
    apart = (swaps.pixels[k].astype(np.float32) - drawn[k]) / 255
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


def _columns(said: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The same as columns, what is said of drawings side by side."""
    rows = []
    for each in said:
        row = dict(each)
        change = row.pop("change")
        for name in ("original", "reconstructed", "swapped"):
            seen = row.pop(name)
            row |= {f"probability_{name}_{key}": p for key, p in seen["probability"].items()}
            row[f"decision_{name}"] = seen["decision"]
        rows.append(row | {f"change_{key}": value for key, value in change.items()})
    return {name: [row[name] for row in rows] for name in rows[0]}


def _png(pixels: Pixels) -> bytes:
    file = BytesIO()
    planes = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    Image.fromarray(planes).save(file, "PNG")
    return file.getvalue()
