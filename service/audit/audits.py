"""Audits of predictions that were uploaded, and how every audit is kept."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pydantic import Field

from evaluation.audit import Audit, audit
from evaluation.audited_rows import AuditedRows
from evaluation.errors import Fault, InputError, unknown_name
from evaluation.pdf import weasyprint_module
from evaluation.policy import Policy, shipped
from evaluation.predictions import Predictions
from evaluation.report import write
from evaluation.request import AuditRequest
from evaluation.settings import Settings
from evaluation.shareable import shareable
from evaluation.spec import AuditSpec
from service.audit.files import PREDICTIONS, REPORT_PDF, SHAREABLE, TABLES, audit_name
from service.jobs.workflow import Found, Step, Workflow, Workplace
from service.storage.store import Store
from service.storage.table_bounds import check_bounds
from service.storage.tables import AuditRecord

#: Files in an archive have this time, so that the same tables are the same bytes.
TIME: Final = (1980, 1, 1, 0, 0, 0)


class UploadedAudit(Settings):
    """An audit of a predictions file that was uploaded.

    Attributes:
        upload: Name of the folder in the store that holds what was uploaded.
        predictions: The file in it, a CSV or Parquet table.
        name: What its sender calls it, for the report and for messages.
        digest: SHA-256 of the file, which makes it another request than the same with another.
        attributes: Columns that groups are made of; None: as the settings say.
        settings: Tables ``audit`` and ``columns``, as of ``evenscan audit --settings``.
        policy: The policy, as read from its TOML, or the name of one that comes with the
            program; None for an audit without a verdict.
        pdf: Whether to print the report to PDF too.
    """

    upload: str
    predictions: str
    name: str
    digest: str = ""
    attributes: tuple[str, ...] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    policy: dict[str, Any] | str | None = None
    pdf: bool = False

    def read(self, store: Store) -> tuple[Predictions, AuditSpec, Policy | None]:
        """What to audit, all of it checked.

        Args:
            store: Where the upload is.

        Raises:
            InputError: The table or the policy does not fit, or no PDF can be made; every
                fault is there.
        """
        request = self.request()
        faults: list[Fault] = []
        policy = None
        try:
            policy = read_policy(self.policy)
        except InputError as error:
            faults += error.faults
        faults += pdf_faults(self.pdf)
        try:
            predictions = self.table(store, self.predictions, self.name, request)
            AuditedRows.of(predictions, request.audit)  # refuses what cannot be audited
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*faults)
        return predictions, request.audit, policy

    def request(self) -> AuditRequest:
        """Settings and columns.

        Raises:
            InputError: They do not fit.
        """
        names = None if self.attributes is None else list(self.attributes)
        return AuditRequest.gather(self.settings, "settings", names)

    def table(self, store: Store, file: str, name: str, request: AuditRequest) -> Predictions:
        """A table of the upload, under the name that its sender gave it.

        Raises:
            InputError: It cannot be read, is too large, or does not fit.
        """
        try:
            path = store.folder(self.upload) / file
        except LookupError:
            remedy = "Send the request again."
            raise InputError(Fault(name, "the upload is not kept any more", remedy)) from None
        check_bounds(path, name)
        try:
            return replace(request.read(path), source=name)
        except InputError as error:
            raise InputError(*(_named(fault, path, name) for fault in error.faults)) from None


class Auditing(Workflow):
    """An audit of a predictions file that was uploaded."""

    def check(self) -> None:
        """Read the table and the policy.

        Raises:
            InputError: See :meth:`UploadedAudit.read`.
        """
        UploadedAudit.parse(self.task.request, "body").read(self.task.place.store)

    def steps(self) -> Sequence[Step]:
        """Audit, and nothing else."""
        return [Step("audit", self.audit)]

    def audit(self, found: Found) -> Found:
        """Audit, and keep the report."""
        asked = UploadedAudit.parse(self.task.request, "body")
        predictions, spec, policy = asked.read(self.task.place.store)
        made = audit(predictions, spec, policy, on_progress=telling(self))
        keep(self.task.place, self.task.id, made, predictions, pdf=asked.pdf)
        return outcome(self.task.id, made)


def telling(workflow: Workflow) -> Any:
    """Tells a job's row what its audit is at, and stops it if it is cancelled."""
    return lambda step, done, total: workflow.task.tell(
        f"audit: {step}", done / total if total else 0.0
    )


def keep(
    place: Workplace,
    name: str,
    made: Audit,
    predictions: Predictions,
    *,
    model: int | None = None,
    against: str | None = None,
    pdf: bool = False,
) -> None:
    """Keep an audit with all files that are served of it; a second call replaces the first.

    Args:
        place: Of the worker.
        name: Id of the audit.
        made: The audit.
        predictions: What was audited.
        model: The model version whose predictions they are, if the service has it.
        against: What it compares with, if it does.
        pdf: Whether to print the report to PDF too.
    """
    folder = place.layout.audits / f".{name}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for each, target in ((made, folder), (shareable(made), folder / SHAREABLE)):
            write(each, target, pdf=pdf)
            _pack(target)
        predictions.write(folder / PREDICTIONS)
        place.store.keep(audit_name(name), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    row = AuditRecord(id=name, verdict=made.verdict, directory=name)
    row.model, row.against = model, against
    with place.database.write() as session:
        session.merge(row)


def _pack(folder: Path) -> None:
    """Put the tables of an audit into one file, the same bytes for the same tables."""
    with ZipFile(folder / TABLES, "w", ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("tables/*.csv")):
            entry = ZipInfo(path.name, TIME)
            archive.writestr(entry, path.read_bytes(), ZIP_DEFLATED)


def outcome(job: str, made: Audit) -> Found:
    """What a job's result says of the audit that it made."""
    reason = " ".join([clause_sentences(made), *made.notes])
    return {"audit": job, "verdict": made.verdict, "reason": reason}


def clause_sentences(made: Audit) -> str:
    """The verdict, and what decided each clause that did not pass."""
    if made.verdict is None:
        return "No policy was given, so there is no verdict."
    open_clauses = [
        f"{clause.clause}: {clause.verdict}. {clause.reason}"
        for clause in made.clauses
        if clause.verdict not in ("PASS", None)
    ]
    return " ".join([f"{made.verdict}.", *open_clauses])


def read_policy(given: dict[str, Any] | str | None) -> Policy | None:
    """The policy of a request: an object, or the name of one that comes with the program.

    Raises:
        InputError: It does not fit, or there is none of the name.
    """
    if isinstance(given, str):
        # A path would have the service read files of its own to whoever asks.
        if given not in shipped():
            raise unknown_name("policy", given, shipped(), "policy_name")
        return Policy.find(given)
    return Policy.parse(given, "policy") if given is not None else None


def pdf_faults(wanted: bool) -> list[Fault]:
    """Why no PDF can be made, if one is wanted."""
    if not wanted:
        return []
    try:
        weasyprint_module()
    except ModuleNotFoundError as error:
        remedy = "Leave the PDF out, or install evenscan[pdf] where the workers run."
        return [Fault("body", str(error).partition(".")[0], remedy, column=REPORT_PDF)]
    except InputError as error:
        return list(error.faults)
    return []


def _named(fault: Fault, path: Path, name: str) -> Fault:
    """The fault without the folder, which is no business of who asks."""
    where, found = (
        text.replace(str(path), name).replace(path.name, name)
        for text in (fault.where, fault.found)
    )
    return replace(fault, where=where, found=found)
