"""Predictions of images."""

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.inference.batcher import Rows
from service.inference.forms import (
    accepted,
    arrow_answer,
    json_answer,
    npy_answer,
    rounded,
    used,
)
from service.inference.media import ARROW, NPY
from service.inference.parameters import ModelName, UsedModel, answers, takes
from service.inference.runtime import LoadedModel
from service.models.aliases import CHAMPION
from service.security.access import needs
from service.services import Parts
from training.weak_groups import Weaknesses

router = APIRouter(prefix="/v1/predictions", tags=["inference"], dependencies=[needs("infer")])


class ImagePrediction(BaseModel):
    """What the model says of one image."""

    image: str = Field(description="Name of the file.")
    probability: dict[str, float] = Field(description="By class, in [0, 1]; they sum to 1.")
    decision: str = Field(description="The class that is decided at the threshold.")
    farther: float | None = Field(
        description="Share of validation images at least as far from the training images, in "
        "(0, 1]. Null if not known."
    )


class PredictionAnswer(BaseModel):
    """Predictions, in the order of the images."""

    model: UsedModel
    threshold: float | None = Field(
        description="Probability from which the positive class, the second, is decided; frozen "
        "by the audit of the model's run. Null if there are not two classes."
    )
    classes: list[str]
    groups: Weaknesses = Field(description="What the audit of this version says of groups.")
    meaning: str = Field(description="How 'farther' is to be read, or why it is not known.")
    predictions: list[ImagePrediction]


@router.post("", responses=answers(PredictionAnswer), openapi_extra=takes("images"))
async def predict(request: Request, parts: Parts, model: ModelName = CHAMPION) -> Response:
    """Probability of each class and the decision, for each image.

    Images that do not fit what the model takes are refused: smaller ones, grey ones where it
    takes colours, colours of print, other modalities, and those that show nothing.
    """
    form = accepted(request)
    chosen = await parts.runtime.find(model)
    given = await parts.engine.read(request, chosen)
    rows = await parts.engine.ask(request, chosen, given)
    decisions = chosen.decided(rows)
    for decision, count in Counter(decisions).items():
        parts.metrics.predicted(chosen.version.id, decision, count)
    if form == NPY:
        return npy_answer(chosen, rows["probability"])
    if form == ARROW:
        about = {"groups": chosen.groups, "meaning": chosen.meaning}
        return arrow_answer(chosen, _columns(chosen, given.names, rows, decisions), about)
    return json_answer(_said(chosen, given.names, rows, decisions))


def _columns(
    model: LoadedModel, names: list[str], rows: Rows, decisions: list[str]
) -> dict[str, Any]:
    probability = {
        f"probability_{name}": rows["probability"][:, k]
        for k, name in enumerate(model.predictor.classes)
    }
    farther = {"farther": rows["farther"]} if "farther" in rows else {}
    return {"image": names, **probability, "decision": decisions, **farther}


def _said(
    model: LoadedModel, names: list[str], rows: Rows, decisions: list[str]
) -> dict[str, Any]:
    classes = model.predictor.classes
    shares = rounded(rows["farther"]) if "farther" in rows else [None] * len(names)
    each = zip(names, rows["probability"].tolist(), decisions, shares, strict=True)
    return {
        "model": used(model),
        "threshold": model.threshold,
        "classes": classes,
        "groups": model.groups,
        "meaning": model.meaning,
        "predictions": [
            {
                "image": name,
                "probability": dict(zip(classes, probability, strict=True)),
                "decision": decision,
                "farther": share,
            }
            for name, probability, decision, share in each
        ],
    }
