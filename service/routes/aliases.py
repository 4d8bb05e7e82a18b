"""Aliases: which version answers, the moves that made it so, and rollback in one call."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from service.jobs.queue import new_id
from service.models.aliases import ALIASES
from service.models.deciding import Decision, decider
from service.protocol.errors import documented
from service.protocol.pages import Asked, Page, page
from service.routes.models import Move
from service.security.access import needs
from service.services import Parts

router = APIRouter(prefix="/v1/aliases", tags=["models"], dependencies=[needs("read")])


class Aliases(BaseModel):
    """Where the aliases point; null before their first move."""

    champion: int | None = Field(description="The version that answers by default.")
    challenger: int | None = Field(description="The version that was registered last.")


@router.get("", responses=documented())
def get_aliases(parts: Parts) -> Aliases:
    """The numbers of the versions that the aliases point to."""
    rows = {name: parts.registry.alias(name) for name in ALIASES}
    return Aliases(**{name: row.id if row else None for name, row in rows.items()})


@router.get("/moves", responses=documented(422))
def list_moves(
    parts: Parts,
    window: Asked,
    alias: Annotated[
        Literal["champion", "challenger"] | None, Query(description="Of this alias only.")
    ] = None,
) -> Page[Move]:
    """Every move of the aliases, the newest first: who, when, why, and by which audit."""
    rows = parts.registry.moves(window, alias)
    return page(rows, window, Move.of, lambda row: [row.id])


@router.post(
    "/champion/rollback",
    responses=documented(400, 409, 422),
    dependencies=[needs("admin")],
)
def roll_back(parts: Parts, request: Request, decision: Decision) -> Move:
    """Take back the last promotion that stands; several in a row walk back."""
    who = decider(request, decision)
    return Move.of(parts.registry.rollback(who, decision.why, new_id(request)))
