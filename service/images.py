"""Images that come with a request."""

from typing import Annotated

from fastapi import Depends, File, Query, UploadFile
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.registry import CHAMPION
from service.runtime import LoadedModel
from service.services import Parts


class UsedModel(BaseModel):
    """The model that answered."""

    version: int
    run: str = Field(description="Id of the run that trained it.")
    method: str


def read_images(
    parts: Parts,
    images: Annotated[list[UploadFile], File(description="PNG or JPEG files, one or more.")],
) -> list[tuple[str, bytes]]:
    """Name and content of each image.

    Raises:
        InputError: There are more than the service takes at once.
    """
    if len(images) > (most := parts.settings.max_images):
        found = f"there are {len(images)} images in one request"
        raise InputError(Fault("body", found, f"Send at most {most}.", column="images"))
    return [
        (image.filename or f"image {number}", image.file.read())
        for number, image in enumerate(images, start=1)
    ]


def choose_model(
    parts: Parts,
    model: Annotated[
        str, Query(description="'champion', or the number of a version.", max_length=40)
    ] = CHAMPION,
) -> LoadedModel:
    """The model that is to answer."""
    return parts.runtime.model(model)


def used(model: LoadedModel) -> UsedModel:
    """Describe the model that answered."""
    version = model.version
    return UsedModel(version=version.id, run=version.run, method=version.method)


Images = Annotated[list[tuple[str, bytes]], Depends(read_images)]
Chosen = Annotated[LoadedModel, Depends(choose_model)]
