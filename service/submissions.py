"""How a request becomes a job: checked, recorded, and answered with its address."""

from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel, Field

from service.services import Services

#: Seconds until it makes sense to ask for a job again.
RETRY_AFTER: Final = "2"


class Accepted(BaseModel):
    """A job that was taken on."""

    job: str = Field(description="Its id.")
    location: str = Field(description="Where its state is, also in the Location header.")


def submit(
    parts: Services, job: str, kind: str, request: dict[str, Any], response: Response
) -> Accepted:
    """Check a request for a job and queue it.

    Raises:
        InputError: It cannot be done; every fault is there.
        HTTPException: 503 if no worker answers.
    """
    parts.queue.check(kind, request)
    parts.queue.submit(job, kind, request)
    location = f"/v1/jobs/{job}"
    response.headers["Location"] = location
    response.headers["Retry-After"] = RETRY_AFTER
    return Accepted(job=job, location=location)
