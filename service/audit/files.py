"""Audits that were made: their rows, and the files that are served of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.errors import Fault
from service.jobs.jobs import ENDED
from service.models.conflicts import RefusedError
from service.protocol.pages import Window, newest
from service.storage.database import Database
from service.storage.store import Store
from service.storage.tables import AliasEvent, AuditRecord, Job

#: What the names of audits begin with in the store.
FOLDER: Final = "audits"

#: Folder with the form of an audit that may be shared.
SHAREABLE: Final = "shareable"

#: Files of an audit.
FINDINGS: Final = "audit.json"
REPORT: Final = "report.html"
REPORT_PDF: Final = "report.pdf"
TABLES: Final = "tables.zip"
PREDICTIONS: Final = "predictions.parquet"

#: What each card is called in an address, and its file.
CARDS: Final = {
    "model_card": "model_card.md",
    "chai": "chai_applied_model_card.xml",
    "hti1": "hti1_source_attributes.json",
}


def audit_name(audit: str) -> str:
    """Name of an audit's folder in the store."""
    return f"{FOLDER}/{audit}"


def audit_links(audit: str) -> dict[str, str]:
    """Where the parts of an audit are."""
    place = f"/v1/audits/{audit}"
    return {
        "audit": place,
        "report": f"{place}/report",
        "tables": f"{place}/tables",
        "predictions": f"{place}/predictions",
        **{name: f"{place}/cards/{name}" for name in CARDS},
    }


class Audits:
    """The rows and folders of audits."""

    def __init__(self, database: Database, store: Store) -> None:
        """Use the parts of a service."""
        self.database, self.store = database, store

    def get(self, audit: str) -> AuditRecord | None:
        """One audit, or None."""
        with self.database.read() as session:
            return session.get(AuditRecord, audit)

    def list(
        self, window: Window, verdict: str | None = None, model: int | None = None
    ) -> Sequence[AuditRecord]:
        """Audits of a page, the newest first, and one more.

        Args:
            window: Which page.
            verdict: That they came to; None: any.
            model: Number of the version that they judge; None: any.
        """
        query = select(AuditRecord)
        if verdict is not None:
            query = query.where(AuditRecord.verdict == verdict)
        if model is not None:
            query = query.where(
                (AuditRecord.version_id == model) | (AuditRecord.model == model)
            )
        query = newest(query, AuditRecord.created, AuditRecord.id, window)
        with self.database.read() as session:
            return session.scalars(query).all()

    def folder(self, audit: str) -> Path:
        """Files of an audit, on this machine.

        Raises:
            LookupError: There are none.
        """
        return self.store.folder(audit_name(audit))

    def delete(self, audit: str) -> bool:
        """Remove an audit with its files.

        Returns:
            Whether there was one.

        Raises:
            RefusedError: A promotion, a version or a job that has not ended rests on it.
        """
        with self.database.write() as session:
            row = session.get(AuditRecord, audit, with_for_update=True)
            if row is None:
                return False
            if (user := _user(session, row)) is not None:
                remedy = "What was decided on it has to stay open to be read."
                raise RefusedError(Fault(f"audit {audit}", f"{user} rests on it", remedy))
            session.delete(row)
        # A crash before this line leaves files behind, which the next sweep removes.
        self.store.remove(audit_name(audit))
        return True

    def sweep(self) -> None:
        """Remove files that no row knows and no job is about to record."""
        with self.database.read() as session:
            known = set(session.scalars(select(AuditRecord.id)))
        for name in self.store.names(FOLDER):
            audit = name.rpartition("/")[2]
            if audit in known:
                continue
            with self.database.read() as session:
                job = session.get(Job, audit)
                # A job records its audit before it ends, so its state has to be read first.
                if (job is None or job.state in ENDED) and not session.get(AuditRecord, audit):
                    self.store.remove(name)


def _user(session: Session, row: AuditRecord) -> str | None:
    """What rests on an audit."""
    if row.version_id is not None:
        return f"version {row.version_id}"
    if session.scalars(select(AliasEvent).where(AliasEvent.audit == row.id)).first():
        return "a promotion"
    open_jobs = select(Job.id, Job.request).where(Job.state.not_in(ENDED))
    for job, request in session.execute(open_jobs):
        if job == row.id or row.id in (request.get("challenger"), request.get("champion")):
            return f"job {job}, which has not ended,"
    return None
