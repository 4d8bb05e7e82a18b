"""The tables: states and pointers. Results stay in files."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, MetaData, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: Fixed names of constraints, so that a migration can address them.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """A point in time: kept in UTC, and known to be UTC when it is read."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC without a zone, which every database can hold."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Say again that it is UTC."""
        return value.replace(tzinfo=UTC) if value else None


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)


class ModelVersion(Table):
    """A trained model that can be served.

    Attributes:
        id: Number of the version, counted from 1.
        run: Id of the run that trained it.
        method: Name of the training method.
        directory: Name of its run directory in the store.
        job: The job that registered it; unique, so that a job registers once.
        created: When it was registered.
        deleted: When its folder was removed; None while it is there.
    """

    __tablename__ = "model_versions"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(index=True)
    method: Mapped[str]
    directory: Mapped[str]
    job: Mapped[str | None] = mapped_column(unique=True)
    created: Mapped[datetime] = mapped_column(Moment, default=now)
    deleted: Mapped[datetime | None] = mapped_column(Moment)


class AliasEvent(Table):
    """One move of an alias. Rows are added, never changed: the latest says where it points.

    Attributes:
        alias: Such as ``champion``.
        version_id: Where it points from now on.
        previous_id: Where it pointed before; None for the first move.
        who: Person or job that moved it.
        why: The reason, as a sentence.
        audit: Id of the audit that allowed it, if one did.
        undoes: The move that this one takes back; None if it goes forward.
        request: Id of the request that asked for it, unique, so that one that comes again is
            not done again; None if it came by no request.
    """

    __tablename__ = "alias_events"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    who: Mapped[str]
    why: Mapped[str]
    audit: Mapped[str | None]
    undoes: Mapped[int | None]
    request: Mapped[str | None] = mapped_column(index=True, unique=True)
    created: Mapped[datetime] = mapped_column(Moment, default=now)


class Job(Table):
    """Long work, as its owner sees it.

    Attributes:
        id: Also the id of the workflow.
        kind: Such as ``audit`` or ``retrain``.
        state: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        who: Who asked for it.
        digest: SHA-256 of what was asked for, to know the same request when it comes again.
        parent: The job that this one tries again.
        webhook: Address that is told of the end.
        traceparent: W3C trace context of the request that asked for it.
        cancelling: Whether somebody wants it to stop.
        step: What it is doing now, or did last.
        progress: Share of the step that is done, in [0, 1].
        reason: Why it ended as it did, as sentences.
        request: What was asked for.
        result: Pointers to what it made.
        errors: Faults of the input, if it failed for them.
    """

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(index=True, default="queued")
    who: Mapped[str] = mapped_column(default="")
    digest: Mapped[str] = mapped_column(default="")
    parent: Mapped[str | None]
    webhook: Mapped[str | None]
    traceparent: Mapped[str] = mapped_column(default="")
    cancelling: Mapped[bool] = mapped_column(default=False)
    step: Mapped[str] = mapped_column(default="")
    progress: Mapped[float] = mapped_column(default=0.0)
    reason: Mapped[str] = mapped_column(default="")
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    errors: Mapped[list[Any]] = mapped_column(JSON, default=list)
    created: Mapped[datetime] = mapped_column(Moment, default=now)
    updated: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)


class AuditRecord(Table):
    """An audit that was made; its files are in a folder.

    Attributes:
        id: Id of the job that made it.
        verdict: ``PASS``, ``FAIL``, ``INSUFFICIENT``, or None without a policy.
        directory: Folder, relative to the folder of audits.
        version_id: The model version that rests on it: it was made for its gate.
        model: The model version whose predictions it is of, if somebody asked for it.
        against: The version or audit it compares with; None without a comparison.
    """

    __tablename__ = "audits"

    id: Mapped[str] = mapped_column(primary_key=True)
    verdict: Mapped[str | None]
    directory: Mapped[str]
    version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    model: Mapped[int | None]
    against: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(Moment, default=now)


class JobEvent(Table):
    """What happened to a job, for people who follow it. Rows are added, never changed.

    Attributes:
        id: Grows with time; a reader who saw one asks for those after it.
        job: Id of the job.
        kind: ``state``, ``step`` or ``log``.
        text: The new state, the step's name, or what was said.
    """

    __tablename__ = "job_events"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    kind: Mapped[str]
    text: Mapped[str]
    created: Mapped[datetime] = mapped_column(Moment, default=now)


class Cohort(Table):
    """Images of patients that models can be trained on and audited with.

    Attributes:
        id: Name and version, such as ``ham10000-3f9a0c12ab34``.
        name: Of the data set.
        fingerprint: Of its content: the same images, labels and attributes have the same.
        schema: How its table is read: the cohort's TOML as an object.
        directory: Name of its folder in the store, if it was uploaded.
        source: Folder it stays in, if it was registered in place.
        report: What was found in it: counts, and what was left out.
        who: Who brought it.
        job: The job that took it in.
        deleted: When it was removed; None while it is there.
    """

    __tablename__ = "cohorts"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    fingerprint: Mapped[str]
    schema: Mapped[dict[str, Any]] = mapped_column(JSON)
    directory: Mapped[str | None]
    source: Mapped[str | None]
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    who: Mapped[str]
    job: Mapped[str]
    created: Mapped[datetime] = mapped_column(Moment, default=now)
    deleted: Mapped[datetime | None] = mapped_column(Moment)


class HeldOutPatient(Table):
    """A patient who was in a test split, and is never learnt from again.

    Attributes:
        cohort: Name of the data set.
        patient: The patient, as the data set calls them (a hash, if it was uploaded).
        job: The job that drew the split.
    """

    __tablename__ = "held_out_patients"

    cohort: Mapped[str] = mapped_column(primary_key=True)
    patient: Mapped[str] = mapped_column(primary_key=True)
    job: Mapped[str]


class ApiKey(Table):
    """A key that requests carry. What is stored does not open anything.

    Attributes:
        id: The public part of the key, by which it is found and named.
        digest: SHA-256 of the secret part, which has 256 random bits.
        name: Of whoever holds it.
        role: What its holder is.
        scopes: What it may be used for.
        expires: When it ends; None: never.
        revoked: When it was taken back; None while it is good.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    scopes: Mapped[list[Any]] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(Moment, default=now)
    expires: Mapped[datetime | None] = mapped_column(Moment)
    revoked: Mapped[datetime | None] = mapped_column(Moment)


class Answer(Table):
    """What a request with an Idempotency-Key was answered, to be said again.

    Attributes:
        key: SHA-256 of who asked, for what, and their key.
        digest: SHA-256 of the body; None while the first request is under way.
        status: HTTP status; None while the first request is under way.
        headers: Those of the answer that matter, such as Location.
        body: The answer.
    """

    __tablename__ = "answers"

    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str | None]
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    body: Mapped[str] = mapped_column(default="")
    created: Mapped[datetime] = mapped_column(Moment, default=now, index=True)


class WorkerRow(Table):
    """A worker that lives, or did until lately.

    Attributes:
        executor: Its name to the job store.
        token: Drawn when it started; a worker that finds another one here was given up.
        host: Machine it runs on, and its home there.
        heartbeat: When it last said that it lives.
    """

    __tablename__ = "workers"

    executor: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str]
    host: Mapped[str]
    started: Mapped[datetime] = mapped_column(Moment, default=now)
    heartbeat: Mapped[datetime] = mapped_column(Moment, default=now)
