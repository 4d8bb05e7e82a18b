"""Two models on the same rows: what changes, overall and in each group."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation.audit import Audit, audit
from evaluation.audited_rows import AuditedRows
from evaluation.columns import Columns
from evaluation.compare import Champion
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.table import read_table
from evaluation.threshold import choose_thresholds
from service.audit_files import FINDINGS, PREDICTIONS, Audits
from service.audit_model import Prepared, Version, frozen, frozen_spec, labelled, prepare, score
from service.audit_requests import Comparison
from service.audits import UploadedAudit, keep, outcome, pdf_faults, read_policy, telling
from service.store import Store
from service.tables import AuditRecord
from service.workflow import Found, Step, Workflow, Workplace


class UploadedComparison(UploadedAudit):
    """A comparison of two predictions files that were uploaded.

    Attributes:
        champion: The file of the model that is compared with.
        champion_name: What its sender calls it.
        champion_digest: SHA-256 of it.
    """

    champion: str
    champion_name: str
    champion_digest: str = ""

    def pair(self, store: Store) -> tuple[Predictions, AuditSpec, Policy | None, Champion]:
        """What to audit and to compare with, all of it checked.

        Raises:
            InputError: A table or the policy does not fit, or the rows differ; every fault is
                there.
        """
        faults: list[Fault] = []
        request = self.request()
        try:
            rows, spec, policy = self.read(store)
        except InputError as error:
            faults += error.faults
        try:
            theirs = self.table(store, self.champion, self.champion_name, request)
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*faults)
        check_same(rows, theirs)
        thresholds = choose_thresholds(theirs, spec)
        return rows, spec, policy, Champion(theirs.source, theirs, thresholds)


def check_same(ours: Predictions, theirs: Predictions) -> None:
    """Refuse two tables that are not about the same test rows.

    Raises:
        InputError: Questions, samples, patients or labels differ. Rows are counted, and none is
            named: an id may be a patient's.
    """
    where = theirs.source
    if (ours.task, ours.targets) != (theirs.task, theirs.targets):
        found = "it answers other questions than the audited model"
        raise InputError(Fault(where, found, "Compare models of the same task and targets."))
    mine, other = (each.only("test").table.set_index("sample") for each in (ours, theirs))
    remedy = "Score the same test rows with both models."
    faults = [
        Fault(where, f"{count:,} test rows are {place}", remedy)
        for count, place in (
            (len(mine.index.difference(other.index)), f"in {ours.source} only"),
            (len(other.index.difference(mine.index)), f"not in {ours.source}"),
        )
        if count
    ]
    common = mine.index.intersection(other.index)
    truth = [name for name in mine.columns if name.split("_")[0] == "label"]
    for name in ("patient", *(each for each in truth if each in other.columns)):
        left, right = (each.loc[common, name] for each in (mine, other))
        differs = (left != right) & ~(left.isna() & right.isna())
        if differs.any():
            # The rows as they are counted in the table, whose index was the sample before.
            first = int(np.flatnonzero(theirs.table["sample"] == differs.idxmax())[0]) + 1
            found = f"{int(differs.sum()):,} test rows differ from {ours.source} in '{name}'"
            truth_remedy = "Compare models on one version of the truth."
            faults.append(Fault(where, found, truth_remedy, row=first, column=name))
    if faults:
        raise InputError(*faults)


class ComparingUploads(Workflow):
    """A comparison of two predictions files."""

    def check(self) -> None:
        """Read both tables and the policy.

        Raises:
            InputError: See :meth:`UploadedComparison.pair`.
        """
        self._asked().pair(self.task.place.store)

    def steps(self) -> Sequence[Step]:
        """Audit, and nothing else."""
        return [Step("audit", self.audit)]

    def audit(self, found: Found) -> Found:
        """Audit the challenger against the champion, and keep the report."""
        asked, task = self._asked(), self.task
        rows, spec, policy, champion = asked.pair(task.place.store)
        made = audit(rows, spec, policy, champion=champion, on_progress=telling(self))
        keep(task.place, task.id, made, rows, against=champion.name, pdf=asked.pdf)
        return outcome(task.id, made)

    def _asked(self) -> UploadedComparison:
        return UploadedComparison.parse(self.task.request, "body")


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
        if row is None:
            remedy = "Name two audits, or two models and a cohort."
            faults.append(Fault("body", f"there is no audit '{name}'", remedy, column=role))
            continue
        folder = audits.folder(name)
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
