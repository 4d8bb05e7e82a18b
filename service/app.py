"""The API: routes found by their file, one body for every error."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPBearer

from evaluation.registry import Registry
from service.health.metrics import Measured
from service.protocol.conditional import Conditional
from service.protocol.context import InContext
from service.protocol.direct import Direct
from service.protocol.documentation import install_documentation
from service.protocol.error_handlers import install_error_handlers
from service.protocol.headers import SecurityHeaders
from service.protocol.idempotency import Idempotency
from service.protocol.limits import BodyLimit
from service.protocol.plain_refusals import PlainRefusals
from service.security.access import Doors, check_declared
from service.security.access_log import Logged
from service.security.auth import Guard
from service.security.rate import RateLimit
from service.services import Services
from service.settings import ServiceSettings

logger = logging.getLogger(__name__)

#: One router a file of ``service/routes``.
ROUTES: Registry[APIRouter] = Registry("service.routes", "route", APIRouter)

#: How a key may be sent, for the OpenAPI description; ``service.security.auth`` checks it.
KEYS = [
    Depends(HTTPBearer(auto_error=False)),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


def create_app(settings: ServiceSettings) -> FastAPI:
    """The app of a service.

    Nothing is opened before the app starts.

    Args:
        settings: Of the service.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.open:
            logger.warning(
                "OPEN: no key is asked for; any program of this machine may do anything"
            )
        parts = await run_in_threadpool(Services.start, settings)
        app.state.services = parts
        # The first question should not wait for the champion, nor the start for a broken one.
        warming = asyncio.create_task(run_in_threadpool(parts.readiness.found))
        yield
        await warming
        await run_in_threadpool(parts.stop)

    app = FastAPI(
        title="Evenscan",
        summary="Embeddings, predictions, fairness audits and gated retraining.",
        version=version("evenscan"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        # The address of a redirect would be made of the Host header, which anybody may set.
        redirect_slashes=False,
    )
    routers = [ROUTES.get(name) for name in ROUTES.names()]
    routes = [route for router in routers for route in router.routes]
    app.router.routes.insert(0, Direct(routes))
    for router in routers:
        app.include_router(router, dependencies=KEYS)
    check_declared(routes)
    install_error_handlers(app, routes)
    install_documentation(app, routes)
    # The last one added is the first to see a request.
    app.add_middleware(Conditional)
    app.add_middleware(Idempotency)
    app.add_middleware(PlainRefusals)
    app.add_middleware(BodyLimit, settings=settings)
    if not settings.open:  # programs of this machine are all one to an open service
        app.add_middleware(RateLimit, rate=settings.rate)
    app.add_middleware(Guard, settings=settings, doors=Doors(routes))
    app.add_middleware(Logged)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Measured, routes=routes)
    app.add_middleware(InContext)
    return app
