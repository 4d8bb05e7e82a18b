"""Jobs: what became of long work, how it goes on, and how to stop it or try it again."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from service.audit.files import audit_links
from service.jobs.jobs import ENDED
from service.jobs.kinds import KINDS
from service.jobs.queue import new_id
from service.jobs.submissions import RETRY_AFTER, Accepted, accepted
from service.protocol.errors import ProblemFault, documented, not_found
from service.protocol.pages import Asked, Page, page, wrong_cursor
from service.security.access import Needs, asking, needs
from service.services import Parts
from service.storage.tables import Job, JobEvent

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[needs("read")])

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]

#: No event has a larger id.
MOST = 2**62


class JobStatus(BaseModel):
    """A job and what became of it."""

    id: str
    kind: str
    state: State
    who: str = Field(description="Who asked for it.")
    parent: str | None = Field(description="The job that this one tries again.")
    cancelling: bool = Field(description="Whether somebody wants it to stop.")
    step: str = Field(description="What it is doing now, or did last.")
    progress: float = Field(description="Share of the step that is done, in [0, 1].")
    reason: str = Field(description="Why it ended as it did.")
    errors: list[ProblemFault] = Field(
        description="Faults of the input, if it failed for them."
    )
    result: dict[str, Any] = Field(description="What it made; addresses begin with /v1.")
    created: datetime
    updated: datetime

    @classmethod
    def of(cls, row: Job) -> Self:
        """Describe a row."""
        made = row.result
        links: dict[str, str] = {}
        if "audit" in made:
            links |= audit_links(made["audit"])
        if row.kind == "ingest" and "cohort" in made:
            cohort = f"/v1/cohorts/{made['cohort']}"
            links |= {"cohort": cohort, "report": f"{cohort}/report"}
        if "version" in made:
            links["model"] = f"/v1/models/{made['version']}"
        result = made | ({"links": links} if links else {})
        names = [name for name in cls.model_fields if name != "result"]
        return cls(**{name: getattr(row, name) for name in names}, result=result)


class Line(BaseModel):
    """Something that happened to a job."""

    id: int
    kind: Literal["state", "step", "log"]
    text: str = Field(
        description="The new state, the step that began, or a sentence about what was done."
    )
    created: datetime

    @classmethod
    def of(cls, row: JobEvent) -> Self:
        """Describe a row."""
        return cls.model_validate(row, from_attributes=True)


def existing(parts: Parts, job: str) -> Job:
    """The job of a path.

    Raises:
        HTTPException: 404, there is none.
    """
    if (row := parts.jobs.get(job)) is None:
        raise not_found("job", job, "/v1/jobs")
    return row


Existing = Annotated[Job, Depends(existing)]


async def permitted(row: Existing, request: Request) -> Job:
    """The job of a path, for whoever may ask for jobs of its kind.

    Raises:
        HTTPException: 404, there is none; 403, they may not.
    """
    Needs(KINDS[row.kind].scope).check(asking(request))
    return row


Permitted = Annotated[Job, Depends(permitted)]


@router.get("", responses=documented(422))
def list_jobs(
    parts: Parts,
    window: Asked,
    kind: Annotated[str | None, Query(description=f"Of {', '.join(KINDS)}.")] = None,
    state: Annotated[State | None, Query(description="Its state.")] = None,
    who: Annotated[str | None, Query(description="Who asked for it.")] = None,
) -> Page[JobStatus]:
    """Jobs, the newest first."""
    rows = parts.jobs.list(window, kind=kind, state=state, who=who)
    return page(rows, window, JobStatus.of, lambda row: [row.created.isoformat(), row.id])


@router.get("/{job}", responses=documented(404))
def get_job(row: Existing, response: Response) -> JobStatus:
    """A job. While it goes on, ``Retry-After`` says when to ask again."""
    if row.state not in ENDED:
        response.headers["Retry-After"] = RETRY_AFTER
    return JobStatus.of(row)


@router.get("/{job}/logs", responses=documented(404, 422))
def get_logs(parts: Parts, row: Existing, window: Asked) -> Page[Line]:
    """What happened to a job, the oldest first: states, steps, epochs, reasons."""
    place = [0] if window.after is None else window.after
    if len(place) != 1 or not isinstance(place[0], int) or not 0 <= place[0] < MOST:
        raise wrong_cursor()
    rows = parts.jobs.events(row.id, place[0], window.limit + 1)
    return page(rows, window, Line.of, lambda event: [event.id])


@router.get("/{job}/events", response_class=EventSourceResponse, responses=documented(404, 422))
async def follow(
    parts: Parts,
    row: Existing,
    last: Annotated[
        int,
        Header(
            alias="Last-Event-ID", ge=0, lt=MOST, description="The last event that was seen."
        ),
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """What happens to a job, as server-sent events until it has ended.

    Events ``state``, ``step`` and ``log`` have an id, from which a broken stream goes on;
    ``progress`` says what the step is at.
    """
    before = None
    async for now, events in parts.follower.follow(row.id, last):
        for event in events:
            said = {"text": event.text, "created": event.created.isoformat()}
            yield ServerSentEvent(event=event.kind, id=str(event.id), data=said)
        doing = {"step": now.step, "progress": round(now.progress, 4)}
        if now.state == "running" and doing != before:
            yield ServerSentEvent(event="progress", data=doing)
        before = doing


@router.post("/{job}/cancel", status_code=202, responses=documented(404, 409))
def cancel(parts: Parts, row: Permitted, request: Request, response: Response) -> Accepted:
    """Stop a job: a queued one at once, a training within a batch, others after their step.

    What a job makes last for all to see, such as a new champion, stands: a job that is so far
    succeeds. Cancelling twice is like cancelling once.
    """
    if not parts.jobs.ask_to_cancel(row.id, asking(request).name):
        raise HTTPException(409, f"Job '{row.id}' has ended, so it cannot be cancelled.")
    return accepted(row.id, response)


@router.post("/{job}/retry", status_code=202, responses=documented(404, 409, 422))
def retry(parts: Parts, row: Permitted, request: Request, response: Response) -> Accepted:
    """Do what a failed or cancelled job was to do, as a new job.

    It has what the other was given, and a training goes on from where the other stopped.
    """
    again = Job(
        id=new_id(request),
        kind=row.kind,
        request=row.request,
        webhook=row.webhook,
        parent=row.id,
        who=asking(request).name,
    )
    parts.queue.retry(again)
    return accepted(again.id, response)
