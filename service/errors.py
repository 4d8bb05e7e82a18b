"""Every error as one body: RFC 9457 problem details."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from evaluation.errors import Fault, InputError

MEDIA_TYPE = "application/problem+json"


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
    title: str = Field(description="The status in words.")
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
        for status in sorted({*statuses, 401, 403, 413, 422, 500})
    }


def problem(
    status: int,
    detail: str,
    instance: str,
    errors: Iterable[Fault] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The response for an error."""
    body = Problem(
        title=HTTPStatus(status).phrase,
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
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it

    @app.exception_handler(InputError)
    async def input_error(request: Request, error: InputError) -> JSONResponse:
        return problem(422, str(error), request.url.path, error.faults)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_fault(item) for item in error.errors()]
        malformed = any(item["type"] == "json_invalid" for item in error.errors())
        detail = "\n".join(map(str, faults))
        return problem(400 if malformed else 422, detail, request.url.path, faults)

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

    @app.exception_handler(Exception)
    async def crash(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again after the answer, so the server's log has the traceback.
        detail = "The service failed. Its log has the details."
        return problem(500, detail, request.url.path)


def _methods(request: Request, routes: list[BaseRoute]) -> list[str]:
    methods: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


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
