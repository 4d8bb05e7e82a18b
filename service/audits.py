"""Audits that the service makes, and where they are kept."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from evaluation.audit import Audit, audit
from evaluation.audited_rows import AuditedRows
from evaluation.errors import Fault, InputError, unknown_name
from evaluation.files import atomic_path
from evaluation.policy import Policy, shipped
from evaluation.predictions import Predictions
from evaluation.report import write
from evaluation.request import AuditRequest
from evaluation.settings import Settings
from evaluation.spec import AuditSpec
from service.database import Database
from service.tables import AuditRecord


class UploadedAudit(Settings):
    """An audit of a predictions file that was uploaded.

    Attributes:
        predictions: The file, a CSV or Parquet table.
        name: What its sender calls it, for the report and for messages.
        attributes: Columns that groups are made of; None: as the settings say.
        settings: Tables ``audit`` and ``columns``, as of ``evenscan audit --settings``.
        policy: The policy, as read from its TOML, or the name of one that comes with the
            program; None for an audit without a verdict.
    """

    predictions: Path
    name: str
    attributes: tuple[str, ...] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    policy: dict[str, Any] | str | None = None

    def read(self) -> tuple[Predictions, AuditSpec, Policy | None]:
        """What to audit, all of it checked.

        Raises:
            InputError: The table or the policy does not fit; every fault is there.
        """
        names = None if self.attributes is None else list(self.attributes)
        request = AuditRequest.gather(self.settings, "settings", names)
        try:
            predictions = request.read(self.predictions)
            predictions = replace(predictions, source=self.name)
        except InputError as error:
            raise InputError(*map(self._named, error.faults)) from None
        AuditedRows.of(predictions, request.audit)  # refuses what cannot be audited
        return predictions, request.audit, self._policy()

    def _policy(self) -> Policy | None:
        if isinstance(self.policy, str):
            # A path would have the service read files of its own to whoever asks.
            if self.policy not in shipped():
                raise unknown_name("policy", self.policy, shipped(), "policy_name")
            return Policy.find(self.policy)
        return Policy.parse(self.policy, "policy") if self.policy is not None else None

    def _named(self, fault: Fault) -> Fault:
        """The fault without the folder, which is no business of who asks."""
        path, kept = str(self.predictions), self.predictions.name
        where, found = (
            text.replace(path, self.name).replace(kept, self.name)
            for text in (fault.where, fault.found)
        )
        return replace(fault, where=where, found=found)

    def make(self) -> tuple[Audit, Predictions]:
        """Audit.

        Raises:
            InputError: See :meth:`read`.
        """
        predictions, spec, policy = self.read()
        return audit(predictions, spec, policy), predictions


def store(
    database: Database,
    folder: Path,
    name: str,
    made: Audit,
    predictions: Predictions,
    version: int | None = None,
) -> None:
    """Keep an audit with its report and predictions; a second call replaces the first.

    Args:
        database: For the row.
        folder: Of all audits.
        name: Id of the audit.
        made: The audit.
        predictions: What was audited.
        version: The model version it judges, if it is one.
    """
    target = folder / name
    with atomic_path(target) as partial:
        partial.mkdir()
        write(made, partial)
        predictions.write(partial / "predictions.parquet")
        shutil.rmtree(target, ignore_errors=True)
    with database.write() as session:
        session.merge(
            AuditRecord(id=name, verdict=made.verdict, directory=name, version_id=version)
        )


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
