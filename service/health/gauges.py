"""Metrics that are read from where they are, whenever they are asked for."""

import logging
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from service.health.metrics import Metrics
from service.health.readiness import OK, Readiness
from service.inference.runtime import Runtime
from service.storage.database import Database
from service.storage.tables import Job

logger = logging.getLogger(__name__)

#: All that a job can be.
STATES: Final = ("queued", "running", "succeeded", "failed", "cancelled")


def install(metrics: Metrics, database: Database, runtime: Runtime, ready: Readiness) -> None:
    """Add what is read from a running service."""
    metrics.watch("evenscan_jobs", "Jobs.", "state", lambda: jobs_by_state(database))
    text = "Model versions in memory."
    metrics.watch_own("evenscan_models_in_memory", text, lambda: len(runtime.loaded))
    text = "Images that wait for a model."
    metrics.watch_own("evenscan_images_waiting", text, lambda: runtime.waiting)
    text = "Whether the service could answer, 1 or 0, by check."
    metrics.watch("evenscan_ready", text, "check", lambda: _passed(ready))


def jobs_by_state(database: Database) -> dict[str, float]:
    """How many jobs there are; nothing if the database does not answer."""
    counted = select(Job.state, func.count()).group_by(Job.state)
    try:
        with database.read() as session:
            found = {state: float(count) for state, count in session.execute(counted)}
    except SQLAlchemyError:
        logger.exception("the jobs could not be counted")
        return {}
    return dict.fromkeys(STATES, 0.0) | found


def _passed(ready: Readiness) -> dict[str, float]:
    return {name: float(found == OK) for name, found in ready.found().items()}
