"""Embeddings of images."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from service.inference.forms import accepted, arrow_answer, codes, json_answer, npy_answer, used
from service.inference.media import ARROW, NPY
from service.inference.parameters import ModelName, Part, UsedModel, answers, check_part, takes
from service.models.aliases import CHAMPION
from service.security.access import needs
from service.services import Parts

router = APIRouter(prefix="/v1/embeddings", tags=["inference"], dependencies=[needs("infer")])


class ImageEmbedding(BaseModel):
    """The codes of one image."""

    image: str = Field(description="Name of the file.")
    content: list[float] | None = Field(
        description="What the diagnosis is read from. Null if not asked for."
    )
    style: list[float] | None = Field(
        description="Everything else. Null if not asked for, or if the model has no such code."
    )


class EmbeddingAnswer(BaseModel):
    """Embeddings, in the order of the images."""

    model: UsedModel
    embeddings: list[ImageEmbedding]


@router.post("", responses=answers(EmbeddingAnswer), openapi_extra=takes("images"))
async def embed(
    request: Request,
    parts: Parts,
    model: ModelName = CHAMPION,
    part: Annotated[Part, Query(description="Which code.")] = "both",
) -> Response:
    """The content code, the style code or both, for each image.

    As a numpy array: one row an image, content before style.
    """
    form = accepted(request)
    chosen = await parts.runtime.find(model)
    check_part(chosen, part)
    given = await parts.engine.read(request, chosen)
    rows = await parts.engine.ask(request, chosen, given)
    if form == NPY:
        return npy_answer(chosen, codes(rows, part))
    wanted = [name for name in ("content", "style") if part in (name, "both") and name in rows]
    if form == ARROW:
        return arrow_answer(
            chosen, {"image": given.names, **{name: rows[name] for name in wanted}}
        )
    embeddings = [
        {
            "image": name,
            **{
                code: rows[code][k] if code in wanted else None for code in ("content", "style")
            },
        }
        for k, name in enumerate(given.names)
    ]
    return json_answer({"model": used(chosen), "embeddings": embeddings})
