"""What a service has and does, as the client answers it: its JSON, frozen and typed."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

#: States that a job does not leave again.
ENDED: Final = ("succeeded", "failed", "cancelled")

#: An image to ask about: a file, or its name with its bytes.
Image = Path | tuple[str, bytes]


class Answer(BaseModel):
    """A part of an answer. Fields that a newer service adds are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fault(Answer):
    """One thing that is wrong with a request; see :class:`evaluation.errors.Fault`."""

    where: str
    found: str
    remedy: str
    row: int | None = None
    column: str | None = None


class Job(Answer):
    """A job and what became of it.

    Attributes:
        progress: Share of ``step`` that is done, in [0, 1].
        reason: Why it ended as it did.
        result: What it made, such as a ``cohort``, an ``audit`` or a ``version``.
    """

    id: str
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    who: str = ""
    parent: str | None = None
    cancelling: bool = False
    step: str = ""
    progress: float = 0.0
    reason: str = ""
    errors: tuple[Fault, ...] = ()
    result: dict[str, Any] = {}
    created: datetime
    updated: datetime

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self.state in ENDED

    @property
    def links(self) -> dict[str, str]:
        """Where what it made is, by what that is; for :meth:`Client.get`."""
        return dict(self.result.get("links") or {})


class Line(Answer):
    """Something that happened to a job."""

    id: int
    kind: str
    text: str
    created: datetime


class Event(Answer):
    """What a stream says of a job.

    Attributes:
        kind: ``state``, ``step``, ``log`` or ``progress``.
        text: The state, the step, or what was said.
        progress: Share of the step that is done, for ``progress``.
        id: Of an event that is kept; None for ``progress``.
    """

    kind: str
    text: str
    progress: float | None = None
    id: int | None = None


class Cohort(Answer):
    """A cohort that the service holds."""

    id: str
    name: str
    fingerprint: str
    samples: int
    patients: int
    registered: bool
    who: str
    job: str
    created: datetime


class Move(Answer):
    """One move of an alias."""

    id: int
    alias: str
    version: int
    previous: int | None
    who: str
    why: str
    audit: str | None
    undoes: int | None
    created: datetime


class Model(Answer):
    """A model version; ``moves`` are there if it was asked for alone."""

    id: int
    run: str
    method: str
    job: str | None
    created: datetime
    deleted: datetime | None
    aliases: tuple[str, ...]
    moves: tuple[Move, ...] = ()


class Aliases(Answer):
    """Where the aliases point; None before their first move."""

    champion: int | None
    challenger: int | None


class Audit(Answer):
    """An audit that was made; ``links`` are addresses of its parts."""

    id: str
    verdict: str | None
    model: int | None
    against: str | None
    created: datetime
    links: dict[str, str]


class Key(Answer):
    """A key; ``key`` is there once, when it was made, and is not shown with the rest."""

    id: str
    name: str
    role: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    key: str | None = Field(default=None, repr=False)


class Alive(Answer):
    """A process that answers."""

    status: Literal["alive"]


class Health(Answer):
    """What was checked; 'ok', or what is wrong, by check."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
