"""Jobs: what became of long work."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from service.errors import ProblemFault, documented, not_found
from service.jobs import ENDED
from service.services import Parts
from service.submissions import RETRY_AFTER
from service.tables import Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class JobStatus(BaseModel):
    """A job and what became of it."""

    id: str
    kind: str
    state: State
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
        result = dict(row.result)
        if "audit" in result:
            result["links"] = {
                "audit": f"/v1/audits/{result['audit']}",
                "report": f"/v1/audits/{result['audit']}/report",
            }
        if "version" in result:
            result["links"]["model"] = f"/v1/models/{result['version']}"
        names = ("id", "kind", "state", "step", "progress", "reason", "errors")
        values = {name: getattr(row, name) for name in names}
        return cls(**values, result=result, created=row.created, updated=row.updated)


class JobList(BaseModel):
    """The newest jobs first."""

    jobs: list[JobStatus]


@router.get("", responses=documented(422))
def list_jobs(parts: Parts, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> JobList:
    """The newest jobs."""
    return JobList(jobs=[JobStatus.of(row) for row in parts.jobs.list(limit)])


@router.get("/{job}", responses=documented(404))
def get_job(parts: Parts, job: str, response: Response) -> JobStatus:
    """A job. While it goes on, ``Retry-After`` says when to ask again."""
    row = parts.jobs.get(job)
    if row is None:
        raise not_found("job", job, "/v1/jobs")
    if row.state not in ENDED:
        response.headers["Retry-After"] = RETRY_AFTER
    return JobStatus.of(row)
