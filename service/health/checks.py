"""Whether each part of the service does its work."""

from collections.abc import Callable
from typing import Final

from service.health.readiness import Busy
from service.inference.runtime import Runtime
from service.models.aliases import CHAMPION
from service.models.registry import ModelRegistry
from service.security.access_log import AccessLog
from service.storage.database import Database
from service.storage.store import Store

#: The check that the start waits for.
CHAMPION_CHECK: Final = "champion"


def checks_of(
    database: Database,
    registry: ModelRegistry,
    runtime: Runtime,
    store: Store,
    access_log: AccessLog,
    max_waiting: int,
) -> dict[str, Callable[[], object]]:
    """The checks of a service; each raises if something is amiss."""

    def migrations() -> None:
        if not database.at_head():
            raise RuntimeError("the schema is not the newest")

    def champion() -> None:
        if registry.champion() is not None:
            runtime.model(CHAMPION)

    def queue() -> None:
        if runtime.waiting >= max_waiting:
            raise Busy("it is full")

    return {
        "database": database.ping,
        "migrations": migrations,
        CHAMPION_CHECK: champion,
        "queue": queue,
        "store": lambda: store.names("models"),
        "access log": access_log.check,
    }
