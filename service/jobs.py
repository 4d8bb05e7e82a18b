"""Jobs as their owners see them: a row each, from queued to an end."""

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from evaluation.errors import Fault
from service.database import Database
from service.tables import Job, now

#: States that a job does not leave again.
ENDED: Final = ("succeeded", "failed", "cancelled")


class Jobs:
    """The rows of the job table."""

    def __init__(self, database: Database) -> None:
        """Use a database."""
        self.database = database

    def get(self, job: str) -> Job | None:
        """One job, or None."""
        with self.database.read() as session:
            return session.get(Job, job)

    def list(self, limit: int) -> Sequence[Job]:
        """The newest jobs, at most ``limit``."""
        with self.database.read() as session:
            newest = select(Job).order_by(Job.created.desc(), Job.id).limit(limit)
            return session.scalars(newest).all()

    def unfinished(self) -> Sequence[str]:
        """Ids of the jobs that have not ended."""
        with self.database.read() as session:
            return session.scalars(select(Job.id).where(Job.state.not_in(ENDED))).all()

    def begin(self, job: str, step: str) -> None:
        """Say that a step of a job has begun, perhaps again."""
        self._change(job, state="running", step=step, progress=0.0)

    def progress(self, job: str, step: str, share: float) -> None:
        """Say what a step is at, and how much of that is done, in [0, 1]."""
        self._change(job, step=step, progress=min(max(share, 0.0), 1.0))

    def succeed(self, job: str, reason: str, result: dict[str, Any]) -> None:
        """End a job that did what it was asked to."""
        self._change(job, state="succeeded", progress=1.0, reason=reason, result=result)

    def fail(self, job: str, reason: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        """End a job that could not."""
        self._change(job, state="failed", reason=reason, errors=list(errors))

    def cancel(self, job: str, reason: str) -> None:
        """End a job that is not wanted any more."""
        self._change(job, state="cancelled", reason=reason)

    def _change(self, job: str, **values: Any) -> None:
        # An end is final: what a stopped step still reports does not open the job again.
        open_job = update(Job).where(Job.id == job, Job.state.not_in(ENDED))
        with self.database.write() as session:
            session.execute(open_job.values(**values, updated=now()))


def add(session: Session, job: str, kind: str, request: dict[str, Any]) -> None:
    """Record a new job in the caller's transaction."""
    session.add(Job(id=job, kind=kind, request=request))


def plain(fault: Fault) -> dict[str, Any]:
    """A fault as JSON."""
    return dict(vars(fault))


class Throttle:
    """Lets a call through once an interval, so that progress does not wear the database out."""

    def __init__(self, seconds: float) -> None:
        """Set the interval."""
        self.seconds, self.last = seconds, -seconds

    def due(self) -> bool:
        """Whether the interval has passed since the last time this was true."""
        if monotonic() - self.last < self.seconds:
            return False
        self.last = monotonic()
        return True
