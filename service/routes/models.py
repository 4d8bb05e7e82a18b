"""Model versions: what they are, their history, promotion, download and removal."""

from datetime import datetime
from pathlib import Path as FolderPath
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from evaluation.errors import InputError
from service.jobs.queue import new_id
from service.models.aliases import ALIASES
from service.models.approval import approve
from service.models.conflicts import DeletedError, RefusedError
from service.models.deciding import Decision, decider
from service.models.downloads import tag
from service.models.registry import ModelRegistry
from service.protocol.errors import documented, not_found
from service.protocol.pages import Asked, Page, page
from service.security.access import asking, needs
from service.services import Parts
from service.storage.tables import AliasEvent, ModelVersion

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[needs("read")])

#: The number of a version.
Number = Annotated[int, Path(ge=1, lt=2**31)]


def existing(
    parts: Parts, name: Annotated[str, Path(description="Its number, or an alias.")]
) -> ModelVersion:
    """The version of a path.

    Raises:
        HTTPException: 404, there is none.
        DeletedError: It was deleted.
    """
    try:
        return parts.registry.get(name)
    except DeletedError:
        raise
    except InputError:
        raise not_found("model version", name, "/v1/models") from None


Existing = Annotated[ModelVersion, Depends(existing)]

#: Answers of downloads.
ZIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A zip file",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    **documented(404, 410),
}


class Model(BaseModel):
    """A model version."""

    id: int
    run: str = Field(description="Id of the run that trained it.")
    method: str
    job: str | None = Field(description="The job that registered it.")
    created: datetime
    deleted: datetime | None = Field(description="When its files were removed.")
    aliases: list[str] = Field(description="What points to it.")

    @classmethod
    def of(cls, row: ModelVersion, registry: ModelRegistry) -> Self:
        """Describe a row."""
        pointed = {name: registry.alias(name) for name in ALIASES}
        aliases = [name for name, at in pointed.items() if at is not None and at.id == row.id]
        return cls(
            id=row.id,
            run=row.run,
            method=row.method,
            job=row.job,
            created=row.created,
            deleted=row.deleted,
            aliases=aliases,
        )


class Move(BaseModel):
    """One move of an alias. It cannot be erased, only followed by another."""

    id: int
    alias: str
    version: int
    previous: int | None = Field(description="Where it pointed before.")
    who: str
    why: str
    audit: str | None = Field(description="Id of the audit that allowed it.")
    undoes: int | None = Field(description="The move that this one took back.")
    created: datetime

    @classmethod
    def of(cls, row: AliasEvent) -> Self:
        """Describe a row."""
        return cls(
            id=row.id,
            alias=row.alias,
            version=row.version_id,
            previous=row.previous_id,
            who=row.who,
            why=row.why,
            audit=row.audit,
            undoes=row.undoes,
            created=row.created,
        )


class ModelHistory(Model):
    """A model version with the moves of aliases to and from it, the oldest first."""

    moves: list[Move] = []


class Promotion(Decision):
    """Who makes a version the champion, and why."""

    override: bool = Field(
        default=False,
        description="Promote it although its verdict is not PASS, or somebody else was named "
        "to approve it; the record says so.",
    )


@router.get("", responses=documented(422))
def list_models(parts: Parts, window: Asked) -> Page[Model]:
    """Model versions, the newest first, deleted ones too."""
    rows = parts.registry.page(window)
    return page(rows, window, lambda row: Model.of(row, parts.registry), lambda row: [row.id])


@router.get("/{name}", responses=documented(404, 410, 422))
def get_model(parts: Parts, row: Existing) -> ModelHistory:
    """A model version with its history."""
    return _history(parts.registry, row)


@router.get("/{name}/run", response_class=FileResponse, responses=ZIP)
def download_run(parts: Parts, request: Request, row: Existing) -> FileResponse:
    """The run directory as a ZIP archive.

    Without the scope ``admin`` it holds the model, its configuration and history only: the rest
    tells of patients.
    """
    whole = "admin" in asking(request).scopes
    return _archived(parts.downloads.run(row, whole=whole), row, "run")


@router.get("/{name}/bundle", response_class=FileResponse, responses=ZIP)
def download_bundle(parts: Parts, row: Existing) -> FileResponse:
    """A MONAI bundle as a ZIP archive: metadata, a config that runs, ONNX and safetensors."""
    return _archived(parts.downloads.bundle(row), row, "bundle")


@router.post(
    "/{name}/promote",
    responses=documented(400, 404, 409, 410, 422),
    dependencies=[needs("admin")],
)
def promote_model(
    parts: Parts, request: Request, promotion: Promotion, row: Existing
) -> ModelHistory:
    """Make a version the champion. The move is recorded and cannot be erased, only followed.

    A version whose newest verdict is not PASS, or whose retraining named another approver, is
    refused with 409, unless ``override`` says that this is known.
    """
    who = decider(request, promotion)
    approve(
        parts.registry,
        row.id,
        who,
        promotion.why,
        override=promotion.override,
        request=new_id(request),
    )
    return _history(parts.registry, row)


@router.delete(
    "/{version}",
    status_code=204,
    responses=documented(404, 409, 422),
    dependencies=[needs("admin")],
)
def delete_model(parts: Parts, version: Number) -> Response:
    """Remove the files of a version; its row, its number and its audits stay.

    Refused with 409 while an alias points to it or a job that has not ended uses it. Requests
    that it is answering are answered.
    """
    try:
        row = parts.registry.delete(version)
    except RefusedError:
        raise
    except InputError:
        raise not_found("model version", version, "/v1/models") from None
    parts.runtime.forget(version)
    parts.downloads.forget(row)
    return Response(status_code=204)


def _archived(archive: FolderPath, row: ModelVersion, kind: str) -> FileResponse:
    """An archive of a version, which readers that have it already are not sent again."""
    name = f"model-{row.id}-{kind}.zip"
    headers = {"ETag": tag(archive), "Vary": "Authorization, X-API-Key"}
    return FileResponse(archive, media_type="application/zip", filename=name, headers=headers)


def _history(registry: ModelRegistry, row: ModelVersion) -> ModelHistory:
    model = ModelHistory.of(row, registry)
    model.moves = [Move.of(event) for event in registry.events(row.id)]
    return model
