"""Which error becomes which answer."""

import errno
import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match

from evaluation.errors import Fault, InputError
from service.models.conflicts import DeletedError, RefusedError
from service.protocol.errors import Problem, listed, problem, unavailable
from service.protocol.examples import illustrate
from service.protocol.headers import ALWAYS, PRIVATE
from service.storage.store import StoreUnavailable

logger = logging.getLogger(__name__)

#: Status of a request whose sender went before it had all been sent.
GONE: Final = 499


def install_error_handlers(app: FastAPI, routes: list[BaseRoute]) -> None:
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
        faults = listed(error.faults)
        detail = "\n".join(map(str, faults))
        return problem(422, detail, request.url.path, faults, kind="invalid-input")

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        return problem(409, str(error), request.url.path, error.faults)

    @app.exception_handler(DeletedError)
    async def deleted(request: Request, error: DeletedError) -> JSONResponse:
        return problem(410, str(error), request.url.path, error.faults)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        # Nobody reads it; the access log and the metrics have it as what it is.
        return Response(status_code=GONE)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        items = error.errors()
        faults = listed([_fault(item) for item in items])
        malformed = any(item["type"] == "json_invalid" for item in items)
        detail = "\n".join(map(str, faults))
        status = 400 if malformed else 422
        return problem(status, detail, request.url.path, faults, kind="invalid-input")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if _is_full(error.__cause__):  # a form whose files found no room is no wrong form
            return _no_room(request.url.path, error)
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
        if not _is_full(error):
            raise error
        return _no_room(request.url.path, error)

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


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _no_room(instance: str, error: Exception) -> JSONResponse:
    logger.error("the disk is full", exc_info=error)
    detail = "The disk of the service is full. Nothing was kept. Try again later."
    return problem(503, detail, instance, headers={"Retry-After": "30"}, kind="disk-full")


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
