"""Where the service keeps what, below its home."""

from service.settings import ServiceSettings


class Layout:
    """The folders of a service.

    Attributes:
        models: Model versions, by number.
        audits: Audits, by id.
        uploads: What requests brought, by job.
        jobs: Runs while they are trained, by job.
        lock: File that a running worker holds.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Name the folders; those that requests write to are made."""
        self.models = settings.home / "models"
        self.audits = settings.home / "audits"
        self.uploads = settings.home / "uploads"
        self.jobs = settings.home / "jobs"
        self.lock = settings.home / "worker.lock"
        for folder in (self.models, self.audits, self.uploads, self.jobs):
            folder.mkdir(parents=True, exist_ok=True)
