"""Jobs as their owners see them: a row each, from queued to an end, and what happened.

Whatever is written changes the job's row first and adds an event after, in one transaction: so
the events of a job are numbered in the order in which they can be read.
"""

from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from evaluation.errors import Fault
from service.protocol.pages import Window, newest
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import Job, JobEvent, now

#: States that a job does not leave again.
ENDED: Final = ("succeeded", "failed", "cancelled")

#: What is said of a job when it is cut off by what is no fault of its own.
STOPPED: Final = "The worker was told to stop. The job goes on when there is one again."
AWAY: Final = "The database was away. The step is begun anew."


class Jobs:
    """The rows of the job table, and of the table of their events."""

    def __init__(self, database: Database) -> None:
        """Use a database."""
        self.database = database

    def get(self, job: str) -> Job | None:
        """One job, or None."""
        with self.database.read() as session:
            return session.get(Job, job)

    def list(self, window: Window, **equal: str | None) -> Sequence[Job]:
        """Jobs of a page, the newest first, and one more.

        Args:
            window: Which page.
            equal: ``kind``, ``state`` and ``who`` that they have; None: any.
        """
        wanted = [getattr(Job, name) == value for name, value in equal.items() if value]
        rows = newest(select(Job).where(*wanted), Job.created, Job.id, window)
        with self.database.read() as session:
            return session.scalars(rows).all()

    def unfinished(self) -> Sequence[str]:
        """Ids of the jobs that have not ended."""
        with self.database.read() as session:
            return session.scalars(select(Job.id).where(Job.state.not_in(ENDED))).all()

    def is_cancelling(self, job: str) -> bool:
        """Whether a job shall stop, or has been stopped."""
        with self.database.read() as session:
            row = session.execute(select(Job.cancelling, Job.state).where(Job.id == job)).one()
        return row.cancelling or row.state in ENDED

    def begin(self, job: str, step: str, again: bool = False, whatever: bool = False) -> bool:
        """Say that a step of a job has begun, perhaps again.

        Args:
            job: Id of the job.
            step: Name of the step.
            again: Let it begin again if it had begun, even if the job shall stop.
            whatever: Let it begin even if the job shall stop.

        Returns:
            Whether it has: False if the job shall stop, or has ended.
        """
        with self.database.write() as session:
            row = session.get_one(Job, job, with_for_update=True)
            begun = again and row.step.partition(":")[0] == step
            if row.state in ENDED or (row.cancelling and not (whatever or begun)):
                return False
            if row.state == "queued":
                session.add(JobEvent(job=job, kind="state", text="running"))
            row.state, row.step, row.progress, row.updated = "running", step, 0.0, now()
            session.flush()
            session.add(JobEvent(job=job, kind="step", text=step))
        return True

    def begun_in_vain(self, job: str) -> int:
        """How often a job has begun a step since something was said that had not been before.

        A step that is cut off and begun anew says what it has said already, until it comes
        further. What is no fault of the job's does not count.
        """
        count, known = 0, set[str]()
        for event in self.events(job):
            if event.kind == "step":
                count += 1
            elif event.kind == "log" and event.text not in known:
                count = 0
                known |= {event.text} - {STOPPED, AWAY}
        return count

    def progress(self, job: str, step: str, share: float) -> None:
        """Say what a step is at, and how much of that is done, in [0, 1]."""
        self._change(job, step=step, progress=min(max(share, 0.0), 1.0))

    def log(self, job: str, text: str) -> None:
        """Add a line to what people who follow a job read, also after its end."""
        with self.database.write() as session:
            if _changed(session, update(Job).where(Job.id == job).values(updated=now())):
                session.add(JobEvent(job=job, kind="log", text=text))

    def interrupt(self, job: str) -> None:
        """Say of a running job that its worker was told to stop."""
        with self.database.write() as session:
            running = update(Job).where(Job.id == job, Job.state == "running")
            if _changed(session, running.values(updated=now())):
                session.add(JobEvent(job=job, kind="log", text=STOPPED))

    def succeed(self, job: str, reason: str, result: dict[str, Any]) -> None:
        """End a job that did what it was asked to."""
        self._end(job, "succeeded", reason, progress=1.0, result=result)

    def fail(self, job: str, reason: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        """End a job that could not."""
        self._end(job, "failed", reason, errors=list(errors))

    def cancel(self, job: str, reason: str) -> None:
        """End a job that is not wanted any more."""
        self._end(job, "cancelled", reason)

    def ask_to_cancel(self, job: str, who: str) -> bool:
        """Want a job to stop: a queued one does at once, a running one where it can.

        Args:
            job: Id of the job.
            who: Who wants it, for its events.

        Returns:
            Whether it will or did stop: False if it has ended otherwise.
        """
        with self.database.write() as session:
            waiting = update(Job).where(Job.id == job, Job.state == "queued")
            reason = f"It was cancelled by {who} before it began."
            values = {"state": "cancelled", "cancelling": True, "reason": reason}
            if _changed(session, waiting.values(**values, updated=now())):
                session.add(JobEvent(job=job, kind="log", text=reason))
                session.add(JobEvent(job=job, kind="state", text="cancelled"))
                return True
            running = update(Job).where(Job.id == job, Job.state == "running", ~Job.cancelling)
            if _changed(session, running.values(cancelling=True, updated=now())):
                text = f"{who} wants it to be cancelled."
                session.add(JobEvent(job=job, kind="log", text=text))
                return True
            row = session.get_one(Job, job)
            return row.state == "cancelled" or (row.cancelling and row.state == "running")

    def events(self, job: str, after: int = 0, limit: int | None = None) -> Sequence[JobEvent]:
        """What happened to a job, the oldest first.

        Args:
            job: Id of the job.
            after: Id of the last event that is known; 0 for all.
            limit: Most events; None: all.
        """
        later = select(JobEvent).where(JobEvent.job == job, JobEvent.id > after)
        with self.database.read() as session:
            return session.scalars(later.order_by(JobEvent.id).limit(limit)).all()

    def marks(self, jobs: Sequence[str]) -> dict[str, datetime]:
        """When each of some jobs was changed last."""
        some = select(Job.id, Job.updated).where(Job.id.in_(jobs))
        with self.database.read() as session:
            return {row.id: row.updated for row in session.execute(some)}

    def origin(self, job: str) -> str:
        """The first job of the chain in which each tries the one before again."""
        with self.database.read() as session:
            return origin(session, job)

    def last_of(self, job: str) -> Job | None:
        """The last job of the chain that a job began; None if there is no such job."""
        with self.database.read() as session:
            row = session.get(Job, job)
            while row is not None and (later := _child(session, row.id)) is not None:
                row = later
            return row

    def _end(self, job: str, state: str, reason: str, **values: Any) -> None:
        with self.database.write() as session:
            if _changed(session, _open(job).values(state=state, reason=reason, **values)):
                session.add(JobEvent(job=job, kind="log", text=reason))
                session.add(JobEvent(job=job, kind="state", text=state))

    def _change(self, job: str, **values: Any) -> None:
        with self.database.write() as session:
            session.execute(_open(job).values(**values))


def add(session: Session, job: Job) -> None:
    """Record a new job in the caller's transaction."""
    session.add(job)
    session.flush()
    session.add(JobEvent(job=job.id, kind="state", text="queued"))


def kept(job: Job, settings: ServiceSettings) -> bool:
    """Whether what a job was given is still there: while it goes on, or for another try."""
    if job.state not in ENDED:
        return True
    days = (now() - job.updated).total_seconds() / 86400
    return job.state != "succeeded" and days < settings.keep_days


def origin(session: Session, job: str) -> str:
    """The first job of a chain, see :meth:`Jobs.origin`."""
    parent = session.scalar(select(Job.parent).where(Job.id == job))
    return job if parent is None else origin(session, parent)


def _child(session: Session, job: str) -> Job | None:
    return session.scalars(select(Job).where(Job.parent == job)).first()


def _open(job: str) -> Any:
    # An end is final: what a stopped step still reports does not open the job again.
    return update(Job).where(Job.id == job, Job.state.not_in(ENDED)).values(updated=now())


def _changed(session: Session, statement: Any) -> bool:
    result: Any = session.execute(statement)
    return bool(result.rowcount)


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
