"""Embeddings of images."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.errors import documented
from service.images import Chosen, Images, UsedModel, used
from service.services import takes

router = APIRouter(prefix="/v1/embeddings", tags=["inference"])

Part = Literal["content", "style", "both"]


class ImageEmbedding(BaseModel):
    """The codes of one image."""

    image: str = Field(description="Name of the file.")
    content: list[float] | None = Field(
        default=None, description="What the diagnosis is read from. Null if not asked for."
    )
    style: list[float] | None = Field(
        default=None,
        description="Everything else. Null if not asked for, or if the model has no such code.",
    )


class EmbeddingAnswer(BaseModel):
    """Embeddings, in the order of the images."""

    model: UsedModel
    embeddings: list[ImageEmbedding]


@router.post(
    "", responses=documented(400, 415, 422), dependencies=[takes("multipart/form-data")]
)
def embed(
    images: Images,
    model: Chosen,
    part: Annotated[Part, Query(description="Which code.")] = "both",
) -> EmbeddingAnswer:
    """The content code, the style code or both, for each image."""
    if part == "style" and not model.predictor.has_style:
        found = f"the method '{model.version.method}' has no style code"
        remedy = "Ask for the content, or for another model."
        raise InputError(Fault("query", found, remedy, column="part"))
    prediction = model.predict(images)
    content = prediction.content if part != "style" else None
    style = prediction.style if part != "content" else None
    return EmbeddingAnswer(
        model=used(model),
        embeddings=[
            ImageEmbedding(
                image=name,
                content=None if content is None else content[row].tolist(),
                style=None if style is None else style[row].tolist(),
            )
            for row, (name, _) in enumerate(images)
        ],
    )
