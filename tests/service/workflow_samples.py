"""A retraining whose steps a test calls one by one."""

from pathlib import Path

from service.jobs.retrain import Retraining
from service.jobs.workflow import Task, Workplace
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import Job


class Bench:
    """A service's parts, without queue and worker.

    Attributes:
        database: States and pointers.
        place: What the steps work with.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Open the database of a home."""
        self.database = Database.opened(settings.database)
        self.place = Workplace.of(settings, self.database)

    def audit(self, name: str) -> Path:
        """The findings of an audit that was kept."""
        return self.place.layout.audits / name / "audit.json"

    def retraining(self, request, job="job-1", parent=None) -> Retraining:
        """A retraining, whose job has a row."""
        with self.database.write() as session:
            if session.get(Job, job) is None:
                session.add(Job(id=job, kind="retrain", request=request, parent=parent))
        return Retraining(Task(job, request, self.place, self.place.jobs.origin(job)))
