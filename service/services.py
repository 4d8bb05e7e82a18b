"""What the routes call: one object an app, made when it starts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from fastapi import Depends, HTTPException, Request
from fastapi.params import Depends as Dependency

from service.audit.files import Audits
from service.cohort.cohorts import Cohorts
from service.health import gauges
from service.health.checks import CHAMPION_CHECK, checks_of
from service.health.metrics import Metrics
from service.health.readiness import Readiness
from service.inference.engine import Engine
from service.inference.runtime import Runtime
from service.jobs.events import Follower
from service.jobs.jobs import Jobs
from service.jobs.queue import JobQueue
from service.layout import Layout
from service.models.downloads import Downloads
from service.models.registry import ModelRegistry
from service.protocol.answers import Answers
from service.security.access_log import AccessLog
from service.security.keys import Keys
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import Store, open_store

if TYPE_CHECKING:
    from service.security.oidc import Tokens


@dataclass(frozen=True)
class Services:
    """The parts of a running service.

    Attributes:
        settings: How it is configured.
        layout: Where it keeps what.
        database: States and pointers.
        store: Finished folders.
        registry: Model versions.
        cohorts: What models learn from.
        downloads: Model versions as archives.
        runtime: Loaded models.
        engine: From images to what a model says of them.
        jobs: Rows of jobs.
        queue: Where jobs are handed over.
        audits: Audits that were made.
        follower: Who tells streams of what happens to jobs.
        keys: Who may ask.
        tokens: Who else may, if an OpenID provider is set.
        access_log: Who did.
        answers: What was said to requests that may come again.
        metrics: How often, and how long it took.
        readiness: Whether it can answer.
    """

    settings: ServiceSettings
    layout: Layout
    database: Database
    store: Store
    registry: ModelRegistry
    runtime: Runtime
    engine: Engine
    jobs: Jobs
    queue: JobQueue
    keys: Keys
    tokens: "Tokens | None"
    access_log: AccessLog
    answers: Answers
    metrics: Metrics
    readiness: Readiness
    audits: Audits
    follower: Follower
    cohorts: Cohorts
    downloads: Downloads

    @classmethod
    def start(cls, settings: ServiceSettings) -> Self:
        """Open the database, migrate it, and make the parts."""
        layout = Layout(settings)
        database = Database.opened(settings.database)
        store = open_store(settings)
        registry = ModelRegistry(database, store, layout.models)
        metrics = Metrics()
        runtime = Runtime(
            registry,
            settings.models_in_memory,
            most_waiting=settings.max_waiting,
            on_batch=metrics.batch.observe,
        )
        queue = JobQueue(settings, database)
        access_log = AccessLog(layout.access)
        checks = checks_of(database, registry, runtime, store, access_log, settings.max_waiting)
        readiness = Readiness(checks, CHAMPION_CHECK)
        gauges.install(metrics, database, runtime, readiness)
        return cls(
            settings,
            layout,
            database,
            store,
            registry,
            runtime,
            Engine(runtime, settings),
            Jobs(database),
            queue,
            keys=Keys(database),
            tokens=_tokens(settings),
            access_log=access_log,
            answers=Answers(database),
            metrics=metrics,
            readiness=readiness,
            audits=Audits(database, store),
            follower=Follower(Jobs(database), settings.poll_seconds),
            cohorts=Cohorts(database, store, settings),
            downloads=Downloads(registry, settings.home / "cache" / "downloads"),
        )

    def stop(self) -> None:
        """Close all connections."""
        self.engine.close()
        self.queue.close()
        self.database.close()
        self.access_log.close()


async def of(request: Request) -> Services:
    """The services of the app that a request came to. Async: FastAPI gives others a thread."""
    services: Services = request.app.state.services
    return services


def _tokens(settings: ServiceSettings) -> "Tokens | None":
    if not settings.oidc_issuer:
        return None
    from service.security.oidc import (
        Tokens,  # its cryptography is 10 MB that most services do without
    )

    return Tokens(settings.oidc_issuer, settings.oidc_audience, settings.oidc_roles)


Parts = Annotated[Services, Depends(of)]


def takes(media_type: str) -> Dependency:
    """A dependency that refuses bodies of another media type with 415."""

    def check(request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != media_type:
            detail = f"The body is {given or 'of no declared type'}. Send {media_type}."
            raise HTTPException(415, detail)

    return Dependency(check)
