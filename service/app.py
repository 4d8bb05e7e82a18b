"""The API: routes found by their file, one body for every error."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPBearer

from evaluation.registry import Registry
from service import errors
from service.auth import Guard
from service.limits import BodyLimit
from service.services import Services
from service.settings import ServiceSettings

logger = logging.getLogger(__name__)

#: One router a file of ``service/routes``.
ROUTES: Registry[APIRouter] = Registry("service.routes", "route", APIRouter)

#: How a key may be sent, for the OpenAPI description; ``service.auth`` checks it.
KEYS = [
    Depends(HTTPBearer(auto_error=False)),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


def create_app(settings: ServiceSettings) -> FastAPI:
    """The app of a service.

    Nothing is opened before the app starts.

    Args:
        settings: Of the service. Without a key the app answers programs of this machine only.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.open:
            logger.warning(
                "OPEN: no EVENSCAN_API_KEY is set; any program of this machine may ask"
            )
        app.state.services = await run_in_threadpool(Services.start, settings)
        yield
        await run_in_threadpool(app.state.services.stop)

    app = FastAPI(
        title="Evenscan",
        summary="Embeddings, predictions, fairness audits and gated retraining.",
        version=version("evenscan"),
        lifespan=lifespan,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    routers = [ROUTES.get(name) for name in ROUTES.names()]
    for router in routers:
        app.include_router(router, dependencies=KEYS)
    errors.install(app, [route for router in routers for route in router.routes])
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit, largest=settings.max_body_bytes)
    app.add_middleware(Guard, settings=settings)
    return app
