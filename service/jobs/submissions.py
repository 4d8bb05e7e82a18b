"""How a request becomes a job: checked, recorded, and answered with its address."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from evaluation.errors import InputError
from service.jobs.webhook import check_address
from service.services import Services
from service.storage.store import upload_of
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


def submit_with_files(
    parts: Services,
    job: str,
    kind: str,
    request: dict[str, Any],
    bring: Callable[[], Path],
    response: Response,
    *,
    who: str,
) -> Accepted:
    """The same of a request that brings files, which are kept where every worker finds them.

    Args:
        parts: Of the service.
        job: Its id.
        kind: Likewise.
        request: What the job is asked to do.
        bring: Puts the files into a folder below the home, which is taken over. Not called if
            there is such a job: then its answer was lost, and its files were not.
        response: Gets the headers.
        who: Name of who asks.

    Raises:
        InputError: It cannot be done; then nothing of it is kept.
        HTTPException: Likewise.
        StoreUnavailable: The files cannot be kept.
    """
    known, upload = parts.jobs.get(job) is not None, upload_of(job)
    try:
        if not known:
            folder = bring()
            try:
                os.utime(folder)  # young uploads without a job are left alone
                parts.store.keep(upload, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return submit(parts, job, kind, request, response, who=who)
    except (InputError, HTTPException):  # at any other error nobody knows what was recorded
        if not known:
            parts.store.remove(upload)
        raise


def accepted(job: str, response: Response) -> Accepted:
    """The answer to a request for a job."""
    location = f"/v1/jobs/{job}"
    response.headers["Location"] = location
    response.headers["Retry-After"] = RETRY_AFTER
    return Accepted(job=job, location=location)
