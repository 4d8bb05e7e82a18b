"""Two models on the same rows: what changes, overall and in each group."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.audit import Audit, audit
from evaluation.audited_rows import AuditedRows
from evaluation.columns import Columns
from evaluation.compare import Champion
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.table import read_table
from service.audit.audited_version import Version
from service.audit.audits import keep, outcome, pdf_faults, read_policy, telling
from service.audit.files import FINDINGS, PREDICTIONS, Audits
from service.audit.frozen_spec import frozen, frozen_spec
from service.audit.model import labelled, score
from service.audit.preparation import Prepared, prepare
from service.audit.requests import Comparison
from service.audit.same_rows import check_same
from service.jobs.workflow import Found, Step, Workflow, Workplace
from service.storage.tables import AuditRecord


class Comparing(Workflow):
    """A comparison of two model versions on a cohort, or of two audits."""

    def check(self) -> None:
        """Read what is compared.

        Raises:
            InputError: It does not fit; every fault is there.
        """
        if (asked := self._asked()).cohort is None:
            _of_audits(self.task.place, asked)
        else:
            self._versions(asked)

    def steps(self) -> Sequence[Step]:
        """Score if need be, and audit."""
        return [Step("audit", self.audit)]

    def audit(self, found: Found) -> Found:
        """Audit the challenger against the champion, and keep the report."""
        asked, task = self._asked(), self.task
        if asked.cohort is None:
            rows, spec, policy, champion, model = _of_audits(task.place, asked)
            made = audit(rows, spec, policy, champion=champion, on_progress=telling(self))
        else:
            made, rows, champion, model = self._scored(asked)
        keep(task.place, task.id, made, rows, model=model, against=champion.name, pdf=asked.pdf)
        return outcome(task.id, made)

    def _scored(self, asked: Comparison) -> tuple[Audit, Predictions, Champion, int]:
        tell = telling(self)
        challenger, champion, ready = self._versions(asked)
        data, name = ready.cohort, champion.name
        rows, embeddings = score(
            challenger.predictor, data, ready.rows, ready.rows.source, tell
        )
        theirs, _ = score(
            champion.predictor, data, ready.rows, f"{name} on {asked.cohort}", tell
        )
        named = Champion(name, theirs, champion.frozen)
        about = challenger.run.audit.about
        made = audit(rows, ready.spec, ready.policy, embeddings, named, about, tell)
        return labelled(made, ready), rows, named, challenger.row.id

    def _versions(self, asked: Comparison) -> tuple[Version, Version, Prepared]:
        place = self.task.place
        found: list[Version] = []
        faults: list[Fault] = []
        for name in (asked.challenger, asked.champion):
            try:
                found.append(Version.read(place, name))
            except InputError as error:
                faults += error.faults
        if faults:
            raise InputError(*faults)
        challenger, champion = found
        ready = prepare(place, asked, str(asked.cohort), [challenger, champion])
        return challenger, champion, ready

    def _asked(self) -> Comparison:
        return Comparison.parse(self.task.request, "body")


def _of_audits(
    place: Workplace, asked: Comparison
) -> tuple[Predictions, AuditSpec, Policy | None, Champion, int | None]:
    """The predictions of two audits, each decided at its own threshold.

    Raises:
        InputError: An audit is not there, their rows differ, or the request does not fit; every
            fault is there.
    """
    audits = Audits(place.database, place.store)
    faults = pdf_faults(asked.pdf)
    found: list[tuple[AuditRecord, Audit, Predictions]] = []
    policy = None
    try:
        policy = read_policy(asked.policy_name if asked.policy is None else asked.policy)
    except InputError as error:
        faults += error.faults
    for role in ("challenger", "champion"):
        name = str(getattr(asked, role))
        row = audits.get(name)
        folder = None if row is None else _folder(audits, row.id)
        if row is None or folder is None:
            remedy = "Name two audits, or two models and a cohort."
            faults.append(Fault("body", f"there is no audit '{name}'", remedy, column=role))
            continue
        made = Audit.from_json((folder / FINDINGS).read_text(encoding="utf-8"))
        found.append((row, made, _kept(folder / PREDICTIONS, made)))
    if faults:
        raise InputError(*faults)
    (row, made, ours), (_, their_audit, theirs) = found
    spec = frozen_spec(made, asked.audit)
    check_same(ours, theirs)
    AuditedRows.of(ours, spec)  # refuses what cannot be audited
    champion = Champion(f"audit {asked.champion}", theirs, frozen(their_audit))
    return ours, spec, policy, champion, row.model or row.version_id


def _folder(audits: Audits, name: str) -> Path | None:
    """Files of an audit; None if there are none, or none any more."""
    try:
        return audits.folder(name)
    except LookupError:
        return None


def _kept(path: Path, made: Audit) -> Predictions:
    """The predictions of an audit, as it read them."""
    attributes = [each.name for each in made.spec.attributes]
    there = set(read_table(path).columns) - set(attributes)
    decided = any(each.rule == "decisions" for each in made.thresholds)
    columns = Columns(
        decision="decision" if decided else None,
        weight="weight" if "weight" in there else None,
        hash="hash" if "hash" in there else None,
        targets=() if made.task == "binary" else made.targets,
        task=made.task,
    )
    return replace(Predictions.read(path, attributes, columns), source=made.source)
