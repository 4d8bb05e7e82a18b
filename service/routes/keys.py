"""Keys, for those who run the service."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.protocol.errors import documented, not_found
from service.protocol.pages import Asked, Page, page
from service.security.access import needs
from service.security.keys import LIFETIME
from service.services import Parts
from service.storage.tables import ApiKey

router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[needs("admin")])


class NewKey(BaseModel, extra="forbid"):
    """Whom a key is for."""

    name: str = Field(description="Of whoever will hold it.", examples=["radiology viewer"])
    role: str = Field(description="viewer, auditor, trainer or admin.", examples=["viewer"])
    scopes: list[str] = Field(
        default=[], max_length=10, description="Only these of what the role may do; none: all."
    )
    expires: str = Field(default=LIFETIME, description="Days it is good for, or 'never'.")


class Key(BaseModel):
    """A key, without its secret."""

    id: str = Field(description="Its public part, after 'evs_'.")
    name: str
    role: str
    scopes: list[str]
    created: datetime
    expires: datetime | None
    revoked: datetime | None

    @classmethod
    def of(cls, row: ApiKey, **more: Any) -> Self:
        """Describe a row."""
        return cls(**{name: getattr(row, name) for name in Key.model_fields}, **more)


class KeyOnce(Key):
    """A new key. This answer is the only one that has its secret."""

    key: str = Field(description="What requests carry. It cannot be shown again.")


@router.post("", status_code=201, responses=documented(400, 422))
def create_key(
    parts: Parts,
    new: NewKey,
    response: Response,
    idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> KeyOnce:
    """Make a key. If the answer is lost, revoke the key and make another one."""
    if idempotency_key is not None:
        found = "an answer with a secret is not kept, so it cannot be said again"
        remedy = "Leave Idempotency-Key out."
        raise InputError(Fault("header", found, remedy, column="Idempotency-Key"))
    row, key = parts.keys.create(new.name, new.role, new.scopes, new.expires)
    response.headers["Cache-Control"] = "no-store"
    return KeyOnce.of(row, key=key)


@router.get("", responses=documented(422))
def list_keys(parts: Parts, window: Asked) -> Page[Key]:
    """The keys, also ended ones, the newest first."""
    rows = parts.keys.list(window)
    return page(rows, window, Key.of, lambda row: [row.created.isoformat(), row.id])


@router.delete("/{key}", status_code=204, responses=documented(404))
def revoke_key(parts: Parts, key: str) -> None:
    """Take a key back. Every process of the service stops taking it within five seconds."""
    if not parts.keys.revoke(key):
        raise not_found("key", key, "/v1/keys")
