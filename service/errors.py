"""Every error as one body: RFC 9457 problem details.

Most say all in their status, detail and faults; their type is ``about:blank``. The kinds of
:data:`KINDS`, which a program has to tell from others of the same status, have a URN each.
"""

import errno
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaluation.errors import Fault, InputError
from service.conflicts import DeletedError, RefusedError
from service.examples import illustrate
from service.headers import ALWAYS, PRIVATE
from service.store import StoreUnavailable

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
        errors: Every fault of the input.
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


def unavailable(instance: str, error: Exception) -> JSONResponse:
    """The response while the database does not answer, or has no room."""
    logger.error("the database cannot be used", exc_info=error)
    detail = "The database does not answer, or cannot write. Nothing was done. Try again later."
    return problem(503, detail, instance, headers={"Retry-After": "5"}, kind="database")


def _whole(text: str) -> str:
    """The text with half characters, which a request may bring, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def install(app: FastAPI, routes: list[BaseRoute]) -> None:
    """Answer every error of the app with a problem, and describe it in the OpenAPI document.

    Args:
        app: The app.
        routes: All its routes, to name the methods of a path.
    """
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        document = generated()
        schemas = document["components"]["schemas"]
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs") | {"Problem": problem}
        illustrate(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it

    @app.exception_handler(InputError)
    async def input_error(request: Request, error: InputError) -> JSONResponse:
        return problem(422, str(error), request.url.path, error.faults, kind="invalid-input")

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        return problem(409, str(error), request.url.path, error.faults)

    @app.exception_handler(DeletedError)
    async def deleted(request: Request, error: DeletedError) -> JSONResponse:
        return problem(410, str(error), request.url.path, error.faults)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_fault(item) for item in error.errors()]
        malformed = any(item["type"] == "json_invalid" for item in error.errors())
        detail = "\n".join(map(str, faults))
        status = 400 if malformed else 422
        return problem(status, detail, request.url.path, faults, kind="invalid-input")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        detail, headers = str(error.detail), dict(error.headers or {})
        if detail == HTTPStatus.NOT_FOUND.phrase:  # no route took the request
            detail = f"There is nothing at {request.url.path}. /docs lists what there is."
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette names the methods of the first route with this path only.
            methods = ", ".join(_methods(request, routes))
            detail = f"{request.url.path} does not take {request.method}. Allowed: {methods}."
            headers["Allow"] = methods
        return problem(error.status_code, detail, request.url.path, headers=headers)

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(NoConnection)
    async def no_database(request: Request, error: SQLAlchemyError) -> JSONResponse:
        return unavailable(request.url.path, error)

    @app.exception_handler(OSError)
    async def no_room(request: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        logger.error("the disk is full", exc_info=error)
        detail = "The disk of the service is full. Nothing was kept. Try again later."
        headers = {"Retry-After": "30"}
        return problem(503, detail, request.url.path, headers=headers, kind="disk-full")

    @app.exception_handler(StoreUnavailable)
    async def no_store(request: Request, error: StoreUnavailable) -> JSONResponse:
        logger.error("the store does not answer", exc_info=error)
        detail = "The store of models and cohorts does not answer. Try again later."
        headers = {"Retry-After": "10"}
        return problem(503, detail, request.url.path, headers=headers, kind="store")

    @app.exception_handler(DataError)
    async def no_value(request: Request, error: DataError) -> JSONResponse:
        # Its text holds what was sent.
        logger.info("the database does not take a value: %s", type(error.orig).__name__)
        detail = "The request holds something that cannot be kept, such as the letter U+0000."
        return problem(422, detail, request.url.path, kind="invalid-input")

    @app.exception_handler(Exception)
    async def crash(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again after the answer, so the server's log has the traceback.
        name = request.state.request_id
        detail = f"The service failed. Its log has the details, at the request id {name}."
        # This answer comes from outside of every middleware.
        headers = {
            **ALWAYS,
            **PRIVATE,
            "X-Request-ID": name,
            "traceparent": request.state.traceparent,
        }
        return problem(500, detail, request.url.path, headers=headers)


class Problems:
    """Middleware that turns what the framework says in plain text into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        said = b""
        plain: Message | None = None

        async def worded(message: Message) -> None:
            nonlocal said, plain
            if message["type"] == "http.response.start" and _is_plain(message):
                plain = message
            elif plain is None:
                await send(message)
            else:
                said += message.get("body", b"")
                if not message.get("more_body", False):
                    kept = {k: v for k, v in Headers(raw=plain["headers"]).items() if k in SAID}
                    answer = problem(plain["status"], said.decode(), scope["path"], (), kept)
                    await answer(scope, receive, send)

        await self.app(scope, receive, worded if scope["type"] == "http" else send)


#: Headers of a plain refusal that mean something.
SAID: Final = frozenset({"allow", "connection", "content-range", "retry-after"})


def _is_plain(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] >= 400 and kind.startswith("text/plain")


def _methods(request: Request, routes: list[BaseRoute]) -> list[str]:
    methods: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _fault(item: dict[str, Any]) -> Fault:
    """One complaint about a request as a fault."""
    place, *field = (str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "json_invalid":
        return Fault("body", "it is not JSON", f"{item['ctx']['error']}, at {field[0]}.")
    if item["type"] == "missing":
        name = ".".join(field) or place
        return Fault(place, f"'{name}' is missing", "Add it.", column=".".join(field) or None)
    return Fault(place, f"it is {item['input']!r:.80}", f"{message}.", column=".".join(field))
