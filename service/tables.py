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
        directory: Its run directory, relative to the folder of models.
        job: The job that registered it; unique, so that a job registers once.
        created: When it was registered.
    """

    __tablename__ = "model_versions"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(index=True)
    method: Mapped[str]
    directory: Mapped[str]
    job: Mapped[str | None] = mapped_column(unique=True)
    created: Mapped[datetime] = mapped_column(Moment, default=now)


class AliasEvent(Table):
    """One move of an alias. Rows are added, never changed: the latest says where it points.

    Attributes:
        alias: Such as ``champion``.
        version_id: Where it points from now on.
        previous_id: Where it pointed before; None for the first move.
        who: Person or job that moved it.
        why: The reason, as a sentence.
        audit: Id of the audit that allowed it, if one did.
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
    created: Mapped[datetime] = mapped_column(Moment, default=now)


class Job(Table):
    """Long work, as its owner sees it.

    Attributes:
        id: Also the id of the workflow.
        kind: ``audit`` or ``retrain``.
        state: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.
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
        version_id: The model version it judges; None for somebody else's predictions.
    """

    __tablename__ = "audits"

    id: Mapped[str] = mapped_column(primary_key=True)
    verdict: Mapped[str | None]
    directory: Mapped[str]
    version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    created: Mapped[datetime] = mapped_column(Moment, default=now)
