"""Cohorts that the service holds: a row each, and a folder that is kept or stays in place.

What was uploaded is kept without identifiers, see :mod:`service.cohort.ingest`. A folder that
was registered is not changed and not copied: whenever it is read its patients are hashed, and
it is refused once its content is another one.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from sqlalchemy import select

from evaluation.errors import Fault, InputError, unknown_name
from service.cohort.registered_folder import registered
from service.jobs.jobs import ENDED
from service.protocol.pages import Window, newest
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import Store
from service.storage.tables import Cohort, Job, now

if TYPE_CHECKING:
    from training.cohort import Cohort as Samples
    from training.cohort import CohortSchema

#: What the names of kept cohorts begin with; the rest is the id of the job that kept it.
FOLDER: Final = "cohorts"

#: Digits of the content's hash in the id of a version.
DIGITS: Final = 12


class Cohorts:
    """The rows and folders of cohorts."""

    def __init__(self, database: Database, store: Store, settings: ServiceSettings) -> None:
        """Use the parts of a service."""
        self.database, self.store, self.settings = database, store, settings

    def get(self, cohort: str) -> Cohort | None:
        """One cohort; None if there is none, or none any more."""
        with self.database.read() as session:
            row = session.get(Cohort, cohort)
        return None if row is None or row.deleted else row

    def list(self, window: Window, name: str | None = None) -> Sequence[Cohort]:
        """Cohorts of a page, the newest first, and one more.

        Args:
            window: Which page.
            name: Of the data set; None: any.
        """
        query = select(Cohort).where(Cohort.deleted.is_(None))
        if name:
            query = query.where(Cohort.name == name)
        query = newest(query, Cohort.created, Cohort.id, window)
        with self.database.read() as session:
            return session.scalars(query).all()

    def read(self, *cohorts: str) -> "Samples":
        """A cohort by its id, or several as one, see :func:`training.joined.joined`.

        Patients are hashes, and so are samples that were made of patients.

        Raises:
            InputError: There is none of an id, a registered folder has changed since, or they
                do not belong together. No message names a patient or a folder.
        """
        from training.joined import joined

        faults: list[Fault] = []
        found = []
        for cohort in dict.fromkeys(cohorts):
            try:
                found.append(self._read(cohort))
            except InputError as error:
                faults += error.faults
        if faults:
            raise InputError(*faults)
        return found[0] if len(found) == 1 else joined(found)

    def add(self, row: Cohort, folder: Path | None) -> str:
        """Record a cohort, unless one of the same content is there already.

        May be repeated after a crash. Of two that come at once one is kept.

        Args:
            row: With its id.
            folder: What is kept of it, under the row's ``directory``; it is gone afterwards.
                None: it stays where it is.

        Returns:
            Its id.
        """
        if folder is not None and folder.is_dir():
            assert row.directory is not None
            self.store.keep(row.directory, folder)
        with self.database.write() as session:
            known = session.get(Cohort, row.id)
            if known is not None and known.deleted is None:
                spare = row.directory if row.directory != known.directory else None
            else:
                spare = None
                row.created, row.deleted = now(), None
                session.merge(row)
        if spare is not None:
            self.store.remove(spare)
        return row.id

    def remove(self, cohort: str) -> bool:
        """Remove a cohort: its folder goes, its row stays. What was registered is not touched.

        A model version needs no cohort any more: its run holds its split and its predictions.

        Returns:
            Whether there was one.

        Raises:
            HTTPException: 409, a job that has not ended names it.
        """
        with self.database.write() as session:
            row = session.get(Cohort, cohort, with_for_update=True)
            if row is None or row.deleted:
                return False
            for job in session.scalars(select(Job).where(Job.state.not_in(ENDED))):
                if f'"{cohort}"' in json.dumps(job.request):
                    detail = f"Job '{job.id}' needs cohort '{cohort}'. Cancel it, or wait."
                    raise HTTPException(409, detail)
            row.deleted, kept = now(), row.directory
        if kept is not None:
            self.store.remove(kept)
        return True

    def sweep(self) -> None:
        """Remove folders that no cohort has and no job is about to record.

        Jobs leave them that died between keeping a folder and recording it, and then were
        given up; so does a removal that was broken off.
        """
        for name in self.store.names(FOLDER):
            with self.database.read() as session:
                job = session.get(Job, name.rpartition("/")[2])
                # A job records its cohort before it ends, so its state has to be read first.
                if job is None or job.state in ENDED:
                    own = select(Cohort.id).where(Cohort.directory == name)
                    if session.scalars(own.where(Cohort.deleted.is_(None))).first() is None:
                        self.store.remove(name)

    def _read(self, cohort: str) -> "Samples":
        from service.cohort.faults import discreet, told
        from service.cohort.identities import Identities
        from service.security.secret import secret_of
        from training.cohort import CohortSchema, read_cohort

        if (row := self.get(cohort)) is None:
            raise unknown_name("cohort", cohort, self._ids(), "cohorts")
        schema = CohortSchema.parse(row.schema, f"cohort {cohort}")
        if row.source is None:
            return read_cohort(schema, self._folder(row))
        folder = registered(row.source, self.settings)
        try:
            found = read_cohort(schema, folder)
        except InputError as error:
            raise told(error, schema, folder) from None
        if version_of(schema, found.fingerprint) != row.fingerprint:
            remedy = "Register the folder again."
            raise InputError(Fault(f"cohort {cohort}", "its files have changed", remedy))
        hidden = Identities(secret_of(self.settings), schema).hidden(found)
        return replace(hidden, load=discreet(hidden.load, schema, folder))

    def _folder(self, row: Cohort) -> Path:
        try:
            return self.store.folder(str(row.directory))
        except LookupError:  # it was removed after its row was read
            raise unknown_name("cohort", row.id, self._ids(), "cohorts") from None

    def _ids(self) -> Sequence[str]:
        with self.database.read() as session:
            return session.scalars(select(Cohort.id).where(Cohort.deleted.is_(None))).all()


def version_of(schema: "CohortSchema", content: str) -> str:
    """Hash of a cohort: of its content, and of what its schema makes of that.

    Args:
        schema: Of the cohort.
        content: Hash of its files and table.

    Returns:
        64 hexadecimal digits.
    """
    from hashlib import sha256

    shown: dict[str, Any] = schema.model_dump(
        mode="json", include={"name", "label", "attributes", "missing"}
    )
    return sha256(f"{json.dumps(shown)}\n{content}".encode()).hexdigest()
