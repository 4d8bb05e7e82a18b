"""Model versions and the champion."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from service.errors import documented, not_found
from service.registry import ModelRegistry
from service.services import Parts
from service.tables import AliasEvent, ModelVersion

router = APIRouter(prefix="/v1/models", tags=["models"])


class Model(BaseModel):
    """A model version."""

    version: int
    run: str = Field(description="Id of the run that trained it.")
    method: str
    champion: bool = Field(
        description="Whether it answers unless another version is asked for."
    )
    created: datetime

    @classmethod
    def of(cls, row: ModelVersion, champion: ModelVersion | None) -> Self:
        """Describe a row."""
        return cls(
            version=row.id,
            run=row.run,
            method=row.method,
            champion=champion is not None and row.id == champion.id,
            created=row.created,
        )


class Move(BaseModel):
    """One move of an alias."""

    alias: str
    version: int = Field(description="Where it points from then on.")
    previous: int | None = Field(description="Where it pointed before.")
    who: str
    why: str
    audit: str | None = Field(description="The audit that allowed it.")
    created: datetime

    @classmethod
    def of(cls, row: AliasEvent) -> Self:
        """Describe a row."""
        return cls(
            alias=row.alias,
            version=row.version_id,
            previous=row.previous_id,
            who=row.who,
            why=row.why,
            audit=row.audit,
            created=row.created,
        )


class ModelHistory(Model):
    """A model version with the moves of aliases to and from it."""

    moves: list[Move] = []


class Models(BaseModel):
    """All model versions, the newest first."""

    models: list[Model]


class Promotion(BaseModel, extra="forbid"):
    """Who makes a version the champion, and why."""

    who: str = Field(min_length=1, max_length=200)
    why: str = Field(min_length=1, max_length=2000)


@router.get("", responses=documented())
def list_models(parts: Parts) -> Models:
    """All model versions, the newest first."""
    champion = parts.registry.champion()
    return Models(models=[Model.of(row, champion) for row in parts.registry.list()])


@router.get("/{version}", responses=documented(404, 422))
def get_model(parts: Parts, version: int = Path(ge=1, lt=2**63)) -> ModelHistory:
    """A model version with its history."""
    return _history(parts.registry, version)


@router.post("/{version}/promote", responses=documented(400, 404, 422))
def promote_model(
    parts: Parts, promotion: Promotion, version: int = Path(ge=1, lt=2**63)
) -> ModelHistory:
    """Make a version the champion. The move is recorded and cannot be erased, only followed."""
    _history(parts.registry, version)
    parts.registry.promote(version, promotion.who, promotion.why)
    return _history(parts.registry, version)


def _history(registry: ModelRegistry, version: int) -> ModelHistory:
    found = next((row for row in registry.list() if row.id == version), None)
    if found is None:
        raise not_found("model version", version, "/v1/models")
    model = ModelHistory.of(found, registry.champion())
    model.moves = [Move.of(row) for row in registry.events(version)]
    return model
