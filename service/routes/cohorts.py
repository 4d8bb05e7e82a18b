"""Cohorts: uploaded or registered, listed, reported, removed."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from service.cohort.form import FOLDER, FORM, wanted_of_body, wanted_of_form
from service.cohort.page import cohort_page
from service.inference.forms import accepted
from service.jobs.queue import new_id
from service.jobs.submissions import Accepted, submit, submit_with_files
from service.protocol.errors import documented, not_found
from service.protocol.pages import Asked, Page, page
from service.protocol.storable import storable
from service.protocol.uploads import receive, receiving
from service.security.access import asking, needs
from service.services import Parts, Services
from service.storage.tables import Cohort

router = APIRouter(prefix="/v1/cohorts", tags=["cohorts"], dependencies=[needs("read")])

#: A report brings its styles along and loads nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": FORM},
            "application/json": {"schema": FOLDER},
        },
    }
}


class Described(BaseModel):
    """A cohort that the service holds."""

    id: str = Field(description="Name and version; the same content has the same.")
    name: str
    fingerprint: str
    samples: int
    patients: int
    registered: bool = Field(description="Whether it stays in a folder of the hospital.")
    who: str
    job: str
    created: datetime

    @classmethod
    def of(cls, row: Cohort) -> Self:
        """Describe a row."""
        return cls(
            id=row.id,
            name=row.name,
            fingerprint=row.fingerprint,
            samples=row.report["samples"],
            patients=row.report["patients"],
            registered=row.source is not None,
            who=row.who,
            job=row.job,
            created=row.created,
        )


@router.post(
    "",
    status_code=202,
    responses=documented(400, 413, 415, 422, 503),
    dependencies=[needs("train")],
    openapi_extra=BODY,
)
async def add_cohort(parts: Parts, request: Request, response: Response) -> Accepted:
    """Upload a cohort, or register a folder.

    Patients are replaced by keyed hashes, columns that the schema does not name are dropped,
    and image files are stripped of what they say besides their pixels, before it is kept.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = _object(await request.body())
        return await run_in_threadpool(_register, parts, request, response, body)
    if kind != "multipart/form-data":
        detail = f"The body is {kind or 'of no declared type'}. Send "
        raise HTTPException(415, f"{detail}multipart/form-data or application/json.")
    async with receiving(parts.settings.home) as folder:
        form = await receive(request, folder)
        return await run_in_threadpool(_upload, parts, request, response, form, folder)


@router.get("", responses=documented(422))
def list_cohorts(parts: Parts, asked: Asked, name: str | None = None) -> Page[Described]:
    """Cohorts, the newest first; all of them, or the versions of one data set."""
    rows = parts.cohorts.list(asked, name)
    return page(rows, asked, Described.of, lambda row: [row.created.isoformat(), row.id])


@router.get("/{cohort}", responses=documented(404))
def get_cohort(parts: Parts, cohort: str) -> Described:
    """One cohort."""
    return Described.of(_row(parts, cohort))


@router.get(
    "/{cohort}/report",
    response_model=dict[str, Any],
    responses=documented(404, 406),
)
def get_cohort_report(parts: Parts, cohort: str, request: Request) -> Any:
    """What is in a cohort, as JSON, or as a page for people if that is accepted rather."""
    row = _row(parts, cohort)
    if accepted(request, ("application/json", "text/html")) == "text/html":
        return HTMLResponse(cohort_page(row), headers={"Content-Security-Policy": POLICY})
    return row.report


@router.delete(
    "/{cohort}",
    status_code=204,
    responses=documented(404, 409),
    dependencies=[needs("train")],
)
def delete_cohort(parts: Parts, cohort: str) -> None:
    """Remove a cohort. Refused while a job needs it; model versions do not."""
    if not parts.cohorts.remove(cohort):
        raise not_found("cohort", cohort, "/v1/cohorts")


def _register(
    parts: Services, request: Request, response: Response, body: dict[str, Any]
) -> Accepted:
    wanted = wanted_of_body(body, parts.settings)
    who = asking(request).name
    return submit(parts, new_id(request), "ingest", wanted, response, who=who)


def _upload(
    parts: Services, request: Request, response: Response, form: FormData, folder: Path
) -> Accepted:
    wanted = wanted_of_form(form, folder, parts.settings)
    job, who = new_id(request), asking(request).name
    return submit_with_files(parts, job, "ingest", wanted, lambda: folder, response, who=who)


def _row(parts: Services, cohort: str) -> Cohort:
    if (row := parts.cohorts.get(cohort)) is None:
        raise not_found("cohort", cohort, "/v1/cohorts")
    return row


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "The body is no JSON object.")
    return storable(found, "body")
