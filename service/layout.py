"""Where the service keeps what, below its home."""

from service.jobs.probe import lock_of
from service.settings import ServiceSettings


class Layout:
    """The folders of a service.

    Attributes:
        models: Model versions, by number.
        audits: Audits, by id.
        cohorts: Cohorts, by the job that kept them.
        uploads: What requests brought, by job.
        jobs: Runs while they are trained, by job.
        access: The access log, a file a day.
        lock: File that a running worker of this name holds.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Name the folders; those that requests write to are made."""
        self.models = settings.home / "models"
        self.audits = settings.home / "audits"
        self.cohorts = settings.home / "cohorts"
        self.uploads = settings.home / "uploads"
        self.jobs = settings.home / "jobs"
        self.access = settings.home / "access"
        self.lock = lock_of(settings.home, settings.executor)
        # Images of patients and the database are for nobody else of this machine.
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.models, self.audits, self.uploads, self.jobs, self.lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
