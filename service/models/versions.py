"""Model versions as they are read: by number, by alias, and page by page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.errors import Fault, InputError
from service.jobs.jobs import ENDED
from service.models.aliases import ALIASES, CHAMPION, pointed
from service.models.conflicts import DeletedError
from service.protocol.pages import Window, number_before
from service.storage.database import Database
from service.storage.store import Store
from service.storage.tables import AliasEvent, Job, ModelVersion


class Versions:
    """The versions in a store and the moves of their aliases, to be read."""

    def __init__(self, database: Database, store: Store) -> None:
        """Use a database, for the rows, and a store, for the run directories."""
        self.database, self.store = database, store

    def champion(self) -> ModelVersion | None:
        """The version that answers unless another is asked for; None before the first."""
        return self.alias(CHAMPION)

    def alias(self, name: str) -> ModelVersion | None:
        """The version that an alias points to; None before its first move."""
        with self.database.read() as session:
            version = pointed(session, name)
            return session.get(ModelVersion, version) if version is not None else None

    def get(self, name: str) -> ModelVersion:
        """The version of an alias or of a number.

        Raises:
            InputError: There is none.
            DeletedError: It was deleted.
        """
        if name in ALIASES:
            if (version := self.alias(name)) is None:
                remedy = "Register and promote a model first."
                raise InputError(Fault("model", f"there is no {name} yet", remedy))
            return version
        with self.database.read() as session:
            number = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else 0
            found = session.get(ModelVersion, number)
        if found is None:
            raise unknown_version(name)
        if found.deleted:
            raise deleted_version(found)
        return found

    def page(self, window: Window) -> Sequence[ModelVersion]:
        """Versions, the newest first, and one more than the window takes if there are more."""
        rows = select(ModelVersion).order_by(ModelVersion.id.desc())
        rows = rows.where(ModelVersion.id < number_before(window))
        with self.database.read() as session:
            return session.scalars(rows.limit(window.limit + 1)).all()

    def list(self) -> Sequence[ModelVersion]:
        """All versions, the newest first."""
        with self.database.read() as session:
            return session.scalars(select(ModelVersion).order_by(ModelVersion.id.desc())).all()

    def moves(self, window: Window, alias: str | None = None) -> Sequence[AliasEvent]:
        """Moves of one alias or of all, the newest first, as :meth:`page` does."""
        rows = select(AliasEvent).order_by(AliasEvent.id.desc())
        if alias is not None:
            rows = rows.where(AliasEvent.alias == alias)
        rows = rows.where(AliasEvent.id < number_before(window))
        with self.database.read() as session:
            return session.scalars(rows.limit(window.limit + 1)).all()

    def history(self) -> Sequence[AliasEvent]:
        """Every move of the aliases, the newest first."""
        with self.database.read() as session:
            return session.scalars(select(AliasEvent).order_by(AliasEvent.id.desc())).all()

    def events(self, version: int) -> Sequence[AliasEvent]:
        """The moves of aliases to or from a version, the oldest first."""
        moves = (AliasEvent.version_id == version) | (AliasEvent.previous_id == version)
        with self.database.read() as session:
            return session.scalars(
                select(AliasEvent).where(moves).order_by(AliasEvent.id)
            ).all()

    def directory(self, version: ModelVersion) -> Path:
        """Run directory of a version on this machine.

        Raises:
            DeletedError: It was deleted.
        """
        try:
            return self.store.folder(version.directory)
        except LookupError:
            raise deleted_version(version) from None


def unknown_version(name: object) -> InputError:
    """The error for a version that does not exist."""
    remedy = "Name an alias, or the number of a version that is listed."
    return InputError(Fault("model", f"there is no model version '{name}'", remedy))


def deleted_version(version: ModelVersion) -> DeletedError:
    """The error for a version whose files were removed."""
    remedy = "Its row and its audits stay; choose another version."
    return DeletedError(Fault("model", f"model version {version.id} was deleted", remedy))


def existing(session: Session, version: int, *, deleted: bool = False) -> ModelVersion:
    """The row of a version, also of a deleted one if those are wanted."""
    row = session.get(ModelVersion, version)
    if row is None:
        raise unknown_version(version)
    if row.deleted and not deleted:
        raise deleted_version(row)
    return row


def job_using(session: Session, version: int) -> str | None:
    """A job that has not ended and names the version in its request."""
    rows = session.execute(select(Job.id, Job.request).where(Job.state.not_in(ENDED)))
    named = {version, str(version)}
    return next((job for job, request in rows if named & _scalars(request)), None)


def _scalars(request: dict[str, Any]) -> set[Any]:
    """The values of the keys of a request that name models."""
    values = (request.get(key) for key in ("model", "champion", "challenger"))
    return {value for value in values if isinstance(value, int | str)}
