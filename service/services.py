"""What the routes call: one object an app, made when it starts."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, HTTPException, Request
from fastapi.params import Depends as Dependency

from service.database import Database
from service.jobs import Jobs
from service.layout import Layout
from service.queue import JobQueue
from service.registry import ModelRegistry
from service.runtime import Runtime
from service.settings import ServiceSettings


@dataclass(frozen=True)
class Services:
    """The parts of a running service.

    Attributes:
        settings: How it is configured.
        layout: Where it keeps what.
        database: States and pointers.
        registry: Model versions.
        runtime: Loaded models.
        jobs: Rows of jobs.
        queue: Where jobs are handed over.
    """

    settings: ServiceSettings
    layout: Layout
    database: Database
    registry: ModelRegistry
    runtime: Runtime
    jobs: Jobs
    queue: JobQueue

    @classmethod
    def start(cls, settings: ServiceSettings) -> Self:
        """Open the database, migrate it, and make the parts."""
        layout = Layout(settings)
        database = Database.opened(settings.database)
        registry = ModelRegistry(database, layout.models)
        runtime = Runtime(registry, settings.models_in_memory)
        queue = JobQueue(settings, database)
        return cls(settings, layout, database, registry, runtime, Jobs(database), queue)

    def stop(self) -> None:
        """Close all connections."""
        self.queue.close()
        self.database.close()


def of(request: Request) -> Services:
    """The services of the app that a request came to."""
    services: Services = request.app.state.services
    return services


Parts = Annotated[Services, Depends(of)]


def takes(media_type: str) -> Dependency:
    """A dependency that refuses bodies of another media type with 415."""

    def check(request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != media_type:
            detail = f"The body is {given or 'of no declared type'}. Send {media_type}."
            raise HTTPException(415, detail)

    return Dependency(check)
