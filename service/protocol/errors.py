"""Every error as one body: RFC 9457 problem details.

Most say all in their status, detail and faults; their type is ``about:blank``. The kinds of
:data:`KINDS`, which a program has to tell from others of the same status, have a URN each.
"""

import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from evaluation.errors import Fault

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

#: What any request may be answered.
ALWAYS_POSSIBLE: Final = (401, 403, 413, 422, 429, 500, 503)

#: Titles of the kinds of problems that have a type, ``urn:evenscan:problem:`` and the name.
KINDS: Final = {
    "invalid-input": "The input has faults",
    "key-reused": "The Idempotency-Key belongs to another request",
    "under-way": "The request is under way",
    "database": "The database does not answer",
    "disk-full": "The disk is full",
    "store": "The store does not answer",
}


class ProblemFault(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="File, setting or request part that holds the fault.")
    found: str = Field(description="What was found there.")
    remedy: str = Field(description="What to do about it.")
    row: int | None = Field(default=None, description="Data row, counted from 1.")
    column: str | None = Field(default=None, description="Column or field.")


#: Most faults that an answer lists; of more, it tells the number.
LISTED: Final = 100


class Problem(BaseModel):
    """RFC 9457 problem details, the body of every error."""

    type: str = Field(default="about:blank", description="Kind of problem, as a URI.")
    title: str = Field(description="The kind of problem, or the status, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened here, and what to do about it.")
    instance: str = Field(description="Path of the request.")
    errors: list[ProblemFault] = Field(default=[], description="Every fault of the input.")


def not_found(kind: str, name: object, where: str) -> HTTPException:
    """The error for something that is not there.

    >>> not_found("job", "7f", "/v1/jobs").detail
    "There is no job '7f'. GET /v1/jobs lists what there is."
    """
    return HTTPException(404, f"There is no {kind} '{name}'. GET {where} lists what there is.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for the OpenAPI description."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({*statuses, *ALWAYS_POSSIBLE})
    }


def problem(
    status: int,
    detail: str,
    instance: str,
    errors: Iterable[Fault] = (),
    headers: dict[str, str] | None = None,
    kind: str = "",
) -> JSONResponse:
    """The response for an error.

    Args:
        status: HTTP status.
        detail: What happened, and what to do about it.
        instance: Path of the request.
        errors: Every fault of the input, :data:`LISTED` at the most.
        headers: More headers.
        kind: One of :data:`KINDS`; none if the status says it all.
    """
    body = Problem(
        type=f"urn:evenscan:problem:{kind}" if kind else "about:blank",
        title=KINDS[kind] if kind else HTTPStatus(status).phrase,
        status=status,
        detail=_whole(detail),
        instance=_whole(instance),
        errors=[
            ProblemFault.model_validate(
                {k: _whole(v) if isinstance(v, str) else v for k, v in vars(fault).items()}
            )
            for fault in errors
        ],
    )
    return JSONResponse(body.model_dump(), status, headers, media_type=MEDIA_TYPE)


def listed(faults: Sequence[Fault]) -> Sequence[Fault]:
    """Faults as an answer lists them: a body of millions of them gets no answer of millions.

    >>> [each.found for each in listed([Fault("body", "it is wrong", "")] * 102)[99:]]
    ['it is wrong', '2 more faults are not listed']
    """
    if len(faults) <= LISTED:
        return faults
    found = f"{len(faults) - LISTED} more faults are not listed"
    return [*faults[:LISTED], Fault(faults[0].where, found, "Correct these first.")]


def unavailable(instance: str, error: Exception) -> JSONResponse:
    """The response while the database does not answer, or has no room."""
    logger.error("the database cannot be used", exc_info=error)
    detail = "The database does not answer, or cannot write. Nothing was done. Try again later."
    return problem(503, detail, instance, headers={"Retry-After": "5"}, kind="database")


def _whole(text: str) -> str:
    """The text with half characters, which a request may bring, written out."""
    return text.encode("utf-8", "backslashreplace").decode()
