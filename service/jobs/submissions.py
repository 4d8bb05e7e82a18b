"""How a request becomes a job: checked, recorded, and answered with its address."""

from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel, Field

from service.jobs.webhook import check_address
from service.services import Services
from service.storage.tables import Job

#: Seconds until it makes sense to ask for a job again.
RETRY_AFTER: Final = "2"


class Accepted(BaseModel):
    """A job that was taken on."""

    job: str = Field(description="Its id.")
    location: str = Field(description="Where its state is, also in the Location header.")


def submit(
    parts: Services,
    job: str,
    kind: str,
    request: dict[str, Any],
    response: Response,
    *,
    who: str = "",
    webhook: str | None = None,
) -> Accepted:
    """Check a request for a job and queue it.

    Args:
        parts: Of the service.
        job: Its id, see :func:`service.jobs.queue.new_id`. If there is a job of that id already
            it is the one that is answered.
        kind: One of ``service.jobs.kinds``.
        request: What the job is asked to do: plain JSON, which never changes.
        response: Gets the headers ``Location`` and ``Retry-After``.
        who: Name of who asks.
        webhook: Address that is told of the end.

    Raises:
        InputError: It cannot be done; every fault is there.
        HTTPException: 503 if no worker answers.
    """
    if webhook is not None:
        check_address(webhook, parts.settings)
    if parts.jobs.get(job) is None:
        parts.queue.check(kind, request)
    parts.queue.submit(Job(id=job, kind=kind, request=request, who=who, webhook=webhook))
    return accepted(job, response)


def accepted(job: str, response: Response) -> Accepted:
    """The answer to a request for a job."""
    location = f"/v1/jobs/{job}"
    response.headers["Location"] = location
    response.headers["Retry-After"] = RETRY_AFTER
    return Accepted(job=job, location=location)
