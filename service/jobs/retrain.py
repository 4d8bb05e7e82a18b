"""The steps of a retraining, from a cohort to a challenger that is promoted or held."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import pandas as pd
from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from evaluation.policy import Policy
from evaluation.settings import Settings
from service.audit.audits import clause_sentences, keep, pdf_faults, read_policy
from service.jobs.telling import roles, told
from service.jobs.workflow import Found, Step, Workflow
from service.models.champion import SEEN, beside, read_predictions
from service.settings import ServiceSettings
from service.storage.tables import AuditRecord, HeldOutPatient
from training.cohort import Cohort, read_cohort
from training.config import RunConfig
from training.joined import data_set_of
from training.making import Step as Part
from training.run import execute, load_run, read_split, run_id, split_of

#: What is said of a challenger that passed and that anybody may approve who may promote.
HELD: Final = "Held for approval"


class Terms(Settings):
    """What is asked of a retraining beside the configuration of its run.

    Attributes:
        cohorts: Ids of cohorts that the service holds, instead of a cohort's schema.
        promotion: ``automatic``: a challenger that passes the gate becomes the champion.
            ``hold``: it waits until somebody approves it.
        approver: Name of the one who has to approve it, if it is held; None: whoever may.
        pdf: Whether to print the report of the audit to PDF too.
        webhook: Address that is told of the end.
    """

    cohorts: tuple[str, ...] = ()
    promotion: Literal["automatic", "hold"] = "automatic"
    approver: str | None = Field(default=None, min_length=1, max_length=200)
    pdf: bool = False
    webhook: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.approver is not None and self.promotion != "hold":
            raise ValueError("an approver is asked only if promotion is 'hold'")
        return self


def parse(request: dict[str, Any], settings: ServiceSettings) -> RunConfig:
    """The configuration of a run that is asked for, with the service's policy if it has none.

    Raises:
        InputError: It does not fit, or there is no policy for the gate.
    """
    policy = request.get("policy")
    if policy is None and settings.policy is not None:
        policy = Policy.find(str(settings.policy))
    elif isinstance(policy, str):
        policy = read_policy(policy)
    if isinstance(policy, Policy):
        request = request | {"policy": policy.model_dump(mode="json")}
    config = RunConfig.parse(request, "body")
    config.resolved()  # refuses settings that do not fit the method
    if config.policy is None:
        remedy = "Add a policy, or start the service with EVENSCAN_POLICY."
        raise InputError(
            Fault("body", "there is no policy for the gate", remedy, column="policy")
        )
    return config


@dataclass(frozen=True)
class Asked:
    """A request for a retraining, understood.

    Attributes:
        config: Of the run.
        cohort: Of the config.
    """

    config: RunConfig
    cohort: Cohort


class Retraining(Workflow):
    """Trains a challenger, compares it with the champion, promotes or holds it.

    Each step may run again after a crash, and then comes to the same end: a split is drawn
    once, a run resumes from its checkpoint, an audit is kept once, and a version is registered
    once for a job and for those that try it again.
    """

    def steps(self) -> Sequence[Step]:
        """From the cohort to the end."""
        return [
            Step("ingest", self.ingest),
            Step("split", self.split),
            Step("train", self.train),
            Step("audit", self.audit),
            Step("compare", self.compare),
            Step("gate", self.gate),
            Step("register", self.register, lasting=True),
            Step("promote", self.promote, _passes, lasting=True),
            Step("hold", self.hold, lambda found: not _passes(found), lasting=True),
        ]

    def check(self) -> None:
        """Refuse what does not fit, before the cohort is read.

        Raises:
            InputError: See :func:`parse`; or a cohort is not there, or no PDF can be printed.
        """
        self._config()
        if faults := pdf_faults(self._terms()[1].pdf):
            raise InputError(*faults)

    def ingest(self, found: Found) -> Found:
        """Check the request again and read the cohort's table."""
        cohort = self._asked().cohort
        return {
            "cohort": cohort.schema.name,
            "samples": len(cohort.table),
            "patients": int(cohort.table["patient"].nunique()),
            "fingerprint": cohort.fingerprint,
        }

    def split(self, found: Found) -> Found:
        """Draw the split, once, without learning from whoever was in a test split before."""
        asked = self._asked(found)
        cohort = asked.cohort
        path, split = self.task.directory / "split.csv", self._drawn()
        with self.task.place.database.write() as session:
            # Under the write lock: no other job holds out patients while this one draws.
            known = _held_out(session, cohort)
            before = known - _held_out(session, cohort, self.task.origin)
            # A job that tries another again keeps its split, unless the cohort has changed, or
            # others have tested since on patients that it learns from.
            same = split is not None and set(split.index) == set(cohort.table.index)
            if split is None or not same or before & _patients(split, *SEEN):
                split = split_of(asked.config, cohort, known)
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as partial:
                    split.to_csv(partial)
            tested = _patients(split, "test")
            for patient in sorted(tested - known):
                name, own = data_set_of(cohort.schema, patient)
                session.add(HeldOutPatient(cohort=name, patient=own, job=self.task.origin))
        self._share(split)
        split = split.reindex(cohort.table.index)
        counts = split.groupby("split")["patient"].nunique()
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        self.task.log(f"split: patients {said}; {len(before)} were tested on before")
        return {"held_out": len(before), "run": run_id(asked.config, cohort, split)}

    def train(self, found: Found) -> Found:
        """Train, from the checkpoint if there is one, predict, and audit the run."""
        finished, name = self.task.directory / "finished", str(found["run"])
        kept = self.task.kept("run")
        if kept is not None and (kept / name).is_dir():
            return {}
        if not (finished / name).is_dir():
            self._execute(self.task.directory / name, found)
            finished.mkdir(exist_ok=True)
            (self.task.directory / name).rename(finished / name)
        self.task.keep("run", finished)
        return {}

    def _execute(self, directory: Path, found: Found) -> None:
        asked, split = self._asked(found), self._drawn()
        if split is None:
            raise LookupError("the split is not kept any more")
        epochs = ""

        def tell(part: Part) -> None:
            nonlocal epochs
            if "epoch" in part.name and part.name != epochs:
                epochs = part.name
                self.task.log(f"train: {epochs}")
            self.task.tell(f"train: {part.name}", part.done / part.total if part.total else 0)

        split = split.reindex(asked.cohort.table.index)
        execute(asked.config, directory, tell, asked.cohort, split)

    def audit(self, found: Found) -> Found:
        """What the challenger's own audit says."""
        made = load_run(self._run(found)).audit
        return {"verdict": made.verdict, "reason": clause_sentences(made)}

    def compare(self, found: Found) -> Found:
        """Audit against the champion on patients that neither model has learnt from."""
        place, run = self.task.place, load_run(self._run(found))
        champion = place.registry.champion()
        made, rows = run.audit, read_predictions(run)
        if champion is not None:
            try:
                cohort = self._asked(found).cohort
                directory = place.registry.directory(champion)
                made, rows = beside(f"version {champion.id}", directory, run, cohort)
            except InputError as error:
                why = told(str(error), roles(place.settings))
                note = f"It could not be compared with version {champion.id}: {why}"
                held = {"verdict": "INSUFFICIENT", "notes": (*made.notes, note)}
                made = made.model_copy(update=held)
        against = f"version {champion.id}" if champion else None
        pdf = self._terms()[1].pdf
        keep(place, self.task.id, made, rows, against=against, pdf=pdf)
        return {
            "audit": self.task.id,
            "verdict": made.verdict,
            "champion": champion.id if champion else None,
            "reason": " ".join([clause_sentences(made), *made.notes]),
        }

    def gate(self, found: Found) -> Found:
        """Promote on PASS, unless somebody wants to approve it; hold on anything else."""
        against = (
            f"against version {found['champion']}"
            if found["champion"] is not None
            else "with no champion to compare with"
        )
        passed = found["verdict"] == "PASS"
        terms = self._terms()[1]
        waits = terms.promotion == "hold"
        held = f"Held for approval by {terms.approver}" if terms.approver else HELD
        outcome = "Held" if not passed else held if waits else "Promoted"
        gate = "promote" if passed and not waits else "hold"
        return {"gate": gate, "reason": f"{outcome} {against}: {found['reason']}"}

    def register(self, found: Found) -> Found:
        """Make the run the challenger, whatever the gate says: a held one can be looked at."""
        place, job = self.task.place, self.task.id
        version = place.registry.register(self._run(found), self.task.origin).id
        with place.database.write() as session:
            session.get_one(AuditRecord, job).version_id = version
        place.registry.challenge(version, f"job {job}", found["reason"], job)
        return {"version": version}

    def promote(self, found: Found) -> Found:
        """Make the challenger the champion, if the champion is still the one compared with."""
        job, reason = self.task.id, found["reason"]
        promoted = self.task.place.registry.promote_over(
            found["champion"], found["version"], f"job {job}", reason, job
        )
        if not promoted:
            reason = "Held: another model became the champion while this one was compared."
        return {"promoted": promoted, "reason": reason}

    def hold(self, found: Found) -> Found:
        """Leave the champion what it is."""
        return {"promoted": False}

    def _terms(self) -> tuple[dict[str, Any], Terms]:
        """What was asked for: the configuration of the run, and the rest."""
        request = dict(self.task.request)
        own = {name: request.pop(name) for name in Terms.model_fields if name in request}
        return request, Terms.parse(own, "body")

    def _config(self) -> tuple[RunConfig, Cohort | None]:
        """The configuration, and the cohort if it had to be read for that."""
        place = self.task.place
        request, terms = self._terms()
        if not terms.cohorts:
            return parse(request, place.settings), None
        if "cohort" in request:
            found = "both 'cohort' and 'cohorts' are given"
            raise InputError(Fault("body", found, "Give one of them.", column="cohorts"))
        cohort = place.cohorts.read(*terms.cohorts)
        request["cohort"] = cohort.schema.model_dump(mode="json")
        return parse(request, place.settings), cohort

    def _asked(self, found: Found | None = None) -> Asked:
        """What was asked for, with its cohort.

        Args:
            found: What the steps have found, to see that the cohort is as it was when the job
                began; None in the first one.

        Raises:
            InputError: The request does not fit, or the cohort has changed since.
        """
        config, cohort = self._config()
        cohort = cohort or read_cohort(config.cohort)
        if found is not None and cohort.fingerprint != found["fingerprint"]:
            changed = "its data have changed since the job began"
            remedy = "Ask for the retraining again."
            raise InputError(Fault(f"cohort {cohort.schema.name}", changed, remedy))
        return Asked(config, cohort)

    def _run(self, found: Found) -> Path:
        """The finished run, on whichever machine it was trained."""
        kept = self.task.kept("run")
        if kept is None:
            raise LookupError("the run is not kept any more")
        return kept / str(found["run"])

    def _drawn(self) -> pd.DataFrame | None:
        """The split that this job has drawn, here or on another machine; None: not yet."""
        here = self.task.directory
        folder = here if (here / "split.csv").exists() else self.task.kept("split")
        return None if folder is None else read_split(folder)

    def _share(self, split: pd.DataFrame) -> None:
        """Let other machines know the split, for they may have to go on with it."""
        folder = self.task.directory / "shared"
        folder.mkdir(parents=True, exist_ok=True)
        split.to_csv(folder / "split.csv")
        self.task.keep("split", folder)


def _held_out(session: Session, cohort: Cohort, job: str | None = None) -> set[str]:
    """Patients of a cohort who were in a test split.

    Args:
        session: Of the database.
        cohort: The cohort.
        job: The job that drew the split; None: any.
    """
    called = {data_set_of(cohort.schema, each): each for each in set(cohort.table["patient"])}
    query = select(HeldOutPatient).where(
        HeldOutPatient.cohort.in_({name for name, _ in called})
    )
    if job is not None:
        query = query.where(HeldOutPatient.job == job)
    rows = ((row.cohort, row.patient) for row in session.scalars(query))
    return {called[row] for row in rows if row in called}


def _patients(split: pd.DataFrame, *parts: str) -> set[str]:
    return set(split.loc[split["split"].isin(parts), "patient"])


def _passes(found: Found) -> bool:
    return bool(found["gate"] == "promote")
