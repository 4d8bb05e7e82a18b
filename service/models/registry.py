"""Model versions, and which of them is the champion."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.errors import Fault, InputError
from service.models.aliases import (
    ALIASES,
    CHALLENGER,
    CHAMPION,
    move,
    moved_by,
    pointed,
    standing,
)
from service.models.conflicts import RefusedError
from service.models.finished_run import read_finished
from service.models.versions import Versions, existing, job_using
from service.storage.database import Database
from service.storage.store import Store
from service.storage.tables import AliasEvent, ModelVersion, now

#: What the names of versions begin with in the store.
FOLDER: Final = "models"

#: What a served model has no use for: checkpoints are as large as several models.
LEFT_OUT: Final = ("checkpoint*", "*.log", ".*")

#: How an alias is taken off a version.
LET_GO: Final = {
    CHAMPION: "Promote another version first, or roll back.",
    CHALLENGER: "It is until another version is registered.",
}


class ModelRegistry(Versions):
    """The versions in a store, with their states in the database.

    A version's folder is kept whole before its row is committed, and never changed after.
    """

    def __init__(self, database: Database, store: Store, folder: Path) -> None:
        """As :class:`Versions`, with a folder where a run waits for the store to take it."""
        super().__init__(database, store)
        self.folder = folder

    def register(self, run: Path, job: str | None = None) -> ModelVersion:
        """Copy a run directory and make it a version.

        Args:
            run: A finished run directory, called by the run's id.
            job: The job that asks. A second call for the same job finds the version of the
                first; without a job, a second call for the same run does.

        Raises:
            InputError: The folder is not a finished run directory, or another run of its name
                is a version already.
        """
        config = read_finished(run)
        name = run.resolve().name
        with self.database.read() as session:
            if (found := self._registered(session, job, name, config)) is not None:
                return found
        token = job or uuid4().hex
        incoming = self.folder / f".incoming-{token}"
        shutil.rmtree(incoming, ignore_errors=True)
        try:
            shutil.copytree(run, incoming, ignore=shutil.ignore_patterns(*LEFT_OUT))
            os.utime(incoming)  # it has the run's time, and what is old here is swept
            # Before the row, and outside of its transaction, which would hold up all others
            # while a store far away takes its time. A crash between the two leaves a folder
            # that a job finds again, and that nobody else sees.
            self.store.keep(f"{FOLDER}/{token}", incoming)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return self._record(f"{FOLDER}/{token}", job, name, config)

    def _record(
        self, directory: str, job: str | None, name: str, config: dict[str, Any]
    ) -> ModelVersion:
        with self.database.write() as session:
            # Asked again under the write lock: another process may have been faster.
            found = self._registered(session, job, name, config)
            if found is None:
                found = ModelVersion(
                    run=name, method=config["method"]["name"], directory=directory, job=job
                )
                session.add(found)
                session.flush()
        if found.directory != directory:
            self.store.remove(directory)
        return found

    def _registered(
        self, session: Session, job: str | None, run: str, config: dict[str, Any]
    ) -> ModelVersion | None:
        by_run = (ModelVersion.run == run) & ModelVersion.deleted.is_(None)
        same = by_run if job is None else ModelVersion.job == job
        found = session.scalars(select(ModelVersion).where(same)).first()
        if found is not None and job is None:
            kept = self.directory(found) / "config.json"
            if json.loads(kept.read_text(encoding="utf-8")) != config:
                where = f"version {found.id} came from another run called '{run}'"
                raise InputError(Fault(run, where, "Rename the folder, and register it again."))
        return found

    def promote(
        self,
        version: int,
        who: str,
        why: str,
        audit: str | None = None,
        request: str | None = None,
    ) -> AliasEvent:
        """Make a version the champion, and record it.

        Promoting the champion again adds no event, so that a repeated step changes nothing.

        Args:
            version: Number of the version.
            who: Person or job that decides.
            why: The reason, as a sentence.
            audit: Id of the audit that allows it, if one does.
            request: Id of the request that asks for it; the same one again changes nothing,
                even if others have moved the alias since.

        Raises:
            InputError: There is no such version, or nobody or no reason is named.
        """
        _check_named(who, why)
        with self.database.write() as session:
            if (known := moved_by(session, request)) is not None:
                return known
            existing(session, version)
            return move(session, CHAMPION, version, who, why, audit, request=request)

    def promote_over(
        self, champion: int | None, version: int, who: str, why: str, audit: str
    ) -> bool:
        """Promote as :meth:`promote` does, if the champion is still the one compared with.

        Args:
            champion: Number of the champion that the audit compared with; None if there was
                none.
            version: Number of the version.
            who: Person or job that decides.
            why: The reason, as a sentence.
            audit: Id of the audit that allows it.

        Returns:
            Whether the version is the champion now.

        Raises:
            InputError: There is no such version.
        """
        with self.database.write() as session:
            if pointed(session, CHAMPION) not in (champion, version):
                return False
            existing(session, version)
            move(session, CHAMPION, version, who, why, audit)
        return True

    def challenge(self, version: int, who: str, why: str, audit: str | None) -> AliasEvent:
        """Make a version the challenger; again changes nothing.

        Raises:
            InputError: There is no such version.
        """
        with self.database.write() as session:
            existing(session, version)
            return move(session, CHALLENGER, version, who, why, audit)

    def rollback(self, who: str, why: str, request: str | None = None) -> AliasEvent:
        """Take back the last promotion that stands: the champion before it answers again.

        Several in a row walk back through the history. What was rolled back from can be
        promoted again.

        Args:
            who: Person that decides.
            why: The reason, as a sentence.
            request: Id of the request that asks for it; the same one again changes nothing.

        Raises:
            InputError: Nobody or no reason is named.
            RefusedError: There is no champion before this one, or it was deleted.
        """
        _check_named(who, why)
        with self.database.write() as session:
            if (known := moved_by(session, request)) is not None:
                return known
            stand = standing(session, CHAMPION)
            if len(stand) < 2:
                found = "there is no champion before this one"
                raise RefusedError(Fault("rollback", found, "Promote a version instead."))
            before = stand[-2].version_id
            if session.get_one(ModelVersion, before).deleted:
                found = f"the champion before this one, version {before}, was deleted"
                raise RefusedError(Fault("rollback", found, "Promote another version."))
            undoes = stand[-1].id
            return move(session, CHAMPION, before, who, why, None, undoes, request)

    def delete(self, version: int) -> ModelVersion:
        """Remove the files of a version. Its row, its number and its audits stay.

        Deleting it again changes nothing.

        Returns:
            Its row.

        Raises:
            InputError: There is no such version.
            RefusedError: An alias points to it, or a job that has not ended uses it.
        """
        with self.database.write() as session:
            row = existing(session, version, deleted=True)
            for alias in ALIASES:
                if pointed(session, alias) == version:
                    found = f"version {version} is the {alias}"
                    raise RefusedError(Fault("model", found, LET_GO[alias]))
            if (job := job_using(session, version)) is not None:
                found = f"job {job} uses version {version}"
                raise RefusedError(Fault("model", found, "Wait for its end, or cancel it."))
            row.deleted = row.deleted or now()
        # A crash before this line leaves files behind, which the next sweep removes.
        self.store.remove(row.directory)
        return row

    def sweep(self) -> None:
        """Remove the files of deleted versions that a crash has left."""
        kept = set(self.store.names(FOLDER))
        gone = select(ModelVersion.directory).where(ModelVersion.deleted.is_not(None))
        with self.database.read() as session:
            for directory in kept.intersection(session.scalars(gone)):
                self.store.remove(directory)


def _check_named(who: str, why: str) -> None:
    blank = [name for name, text in (("who", who), ("why", why)) if not text.strip()]
    if blank:
        remedy = "A move cannot be erased: say who decides, and why."
        raise InputError(*(Fault("promotion", f"'{name}' is empty", remedy) for name in blank))
