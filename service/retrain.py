"""The steps of a retraining: what each does, apart from how they are kept going."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.audit import Audit, audit
from evaluation.compare import Champion
from evaluation.embeddings import Embeddings
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.predictions import COLUMNS, Predictions
from evaluation.threshold import Threshold
from service.audits import clause_sentences, store
from service.database import Database
from service.layout import Layout
from service.registry import ModelRegistry
from service.runtime import frozen_threshold
from service.settings import ServiceSettings
from service.tables import AuditRecord, ModelVersion
from training.cohort import Cohort, read_cohort
from training.config import RunConfig
from training.making import OnStep
from training.predictor import Predictor
from training.run import Run, execute, load_run, read_split, run_id

#: Images that are scored at once.
BATCH = 64

#: Splits whose patients a model has learnt from, or was chosen on.
SEEN = ("train", "validation")


def parse(request: dict[str, Any], settings: ServiceSettings) -> RunConfig:
    """The configuration of a run that is asked for, with the service's policy if it has none.

    Raises:
        InputError: It does not fit, or there is no policy for the gate.
    """
    if request.get("policy") is None and settings.policy is not None:
        policy = Policy.find(str(settings.policy))
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
class Retraining:
    """One retraining, by its job.

    Each step may run again after a crash, and then comes to the same end: a run resumes from
    its checkpoint, an audit is kept once, a version is registered once for a job.

    Attributes:
        job: Id of the job.
        request: What was asked for.
        settings: Of the service.
        database: Of the service.
        registry: Of the service.
        layout: Of the service.
    """

    job: str
    request: dict[str, Any]
    settings: ServiceSettings
    database: Database
    registry: ModelRegistry
    layout: Layout

    @property
    def directory(self) -> Path:
        """Place of work: the run's directory is made in it."""
        return self.layout.jobs / self.job

    def ingest(self) -> dict[str, Any]:
        """Check the request and read the cohort's table."""
        cohort = read_cohort(parse(self.request, self.settings).cohort)
        return {
            "cohort": cohort.schema.name,
            "samples": len(cohort.table),
            "patients": int(cohort.table["patient"].nunique()),
            "fingerprint": cohort.fingerprint,
        }

    def train(self, ingested: dict[str, Any], on_progress: OnStep) -> dict[str, Any]:
        """Train, from the checkpoint if there is one, and audit the run."""
        config = parse(self.request, self.settings)
        cohort = self._cohort(config, ingested)
        name = run_id(config, cohort)
        run = execute(config, self.directory / name, on_progress, cohort)
        return {"run": name, "directory": str(run.directory)}

    def compare(self, ingested: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
        """Audit against the champion on patients that neither model has learnt from."""
        run = load_run(Path(trained["directory"]))
        champion = self.registry.champion()
        made, predictions = run.audit, read_predictions(run)
        if champion is not None:
            try:
                cohort = self._cohort(run.config, ingested)
                made, predictions = self._against(champion, run, cohort, predictions)
            except InputError as error:
                note = f"It could not be compared with version {champion.id}: {error}"
                held = {"verdict": "INSUFFICIENT", "notes": (*made.notes, note)}
                made = made.model_copy(update=held)
        store(self.database, self.layout.audits, self.job, made, predictions)
        return {
            "audit": self.job,
            "verdict": made.verdict,
            "champion": champion.id if champion else None,
            "reason": " ".join([clause_sentences(made), *made.notes]),
        }

    def _cohort(self, config: RunConfig, ingested: dict[str, Any]) -> Cohort:
        """The cohort, as it was when the job began.

        Raises:
            InputError: It has changed since.
        """
        cohort = read_cohort(config.cohort)
        if cohort.fingerprint != ingested["fingerprint"]:
            found = "its data have changed since the job began"
            remedy = "Ask for the retraining again."
            raise InputError(Fault(f"cohort {cohort.schema.name}", found, remedy))
        return cohort

    def _against(
        self, champion: ModelVersion, run: Run, cohort: Cohort, predictions: Predictions
    ) -> tuple[Audit, Predictions]:
        directory = self.registry.directory(champion)
        predictions = unseen(predictions, directory)
        theirs = score(Predictor(directory), cohort, predictions.only("test"))
        frozen = Threshold(value=frozen_threshold(directory), rule="fixed")
        named = Champion(f"version {champion.id}", theirs, (frozen,))
        embeddings = Embeddings.read(run.directory / "embeddings.parquet")
        made = audit(predictions, run.audit.spec, run.config.policy, embeddings, named)
        return made, predictions

    def gate(self, compared: dict[str, Any]) -> dict[str, Any]:
        """Promote on PASS, hold on anything else."""
        promote = compared["verdict"] == "PASS"
        against = (
            f"against version {compared['champion']}"
            if compared["champion"] is not None
            else "with no champion to compare with"
        )
        outcome = "Promoted" if promote else "Held"
        return {"promote": promote, "reason": f"{outcome} {against}: {compared['reason']}"}

    def register(self, trained: dict[str, Any]) -> dict[str, Any]:
        """Make the run a model version, whatever the gate says: a held one can be looked at."""
        version = self.registry.register(Path(trained["directory"]), self.job)
        return {"version": version.id}

    def conclude(
        self, registered: dict[str, Any], compared: dict[str, Any], gate: dict[str, Any]
    ) -> dict[str, Any]:
        """Promote or hold."""
        version, promoted, reason = registered["version"], gate["promote"], gate["reason"]
        with self.database.write() as session:
            session.get_one(AuditRecord, self.job).version_id = version
        if promoted:
            promoted = self.registry.promote_over(
                compared["champion"], version, f"job {self.job}", reason, self.job
            )
            if not promoted:
                reason = "Held: another model became the champion while this one was compared."
        return {"promoted": promoted, "reason": reason}


def read_predictions(run: Run) -> Predictions:
    """The predictions of a finished run, with the attributes of its audit."""
    attributes = [attribute.name for attribute in run.audit.spec.attributes]
    return Predictions.read(run.directory / "predictions.parquet", attributes)


def unseen(predictions: Predictions, champion: Path) -> Predictions:
    """The predictions without test rows of patients that the champion has learnt from.

    Args:
        predictions: Of the challenger, whose own test patients are in no other split.
        champion: Run directory of the champion.

    Raises:
        InputError: No test row is left.
    """
    split = read_split(champion)
    known = set(split["patient"][split["split"].isin(SEEN)])
    table = predictions.table
    keep = (table["split"] != "test") | ~table["patient"].isin(known)
    if not (keep & (table["split"] == "test")).any():
        found = "the champion has learnt from every test patient"
        remedy = "Retrain on a cohort with new patients, or with the champion's split."
        raise InputError(Fault("test rows", found, remedy))
    attributes = [name for name in table.columns if name not in COLUMNS]
    return Predictions.from_table(table[keep], attributes, source=predictions.source)


def score(predictor: Predictor, cohort: Cohort, rows: Predictions) -> Predictions:
    """The same rows with another model's scores.

    Raises:
        InputError: The model decides between other classes than the cohort has.
    """
    if predictor.classes != cohort.schema.classes:
        found = f"the champion decides between {', '.join(predictor.classes)}"
        remedy = f"The cohort has {', '.join(cohort.schema.classes)}; they cannot be compared."
        raise InputError(Fault("champion", found, remedy))
    samples = rows.table["sample"].tolist()
    scores = []
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        pixels = np.stack([cohort.pixels(sample, predictor.contract) for sample in batch])
        scores.append(predictor.predict(pixels).probability[:, 1])
    table = rows.table.assign(score=np.concatenate(scores).astype(float))
    return replace(rows, table=table, source=f"champion on {rows.source}")
