"""Durable jobs: after a crash of the worker each goes on with the step it was in."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbos import DBOS

from evaluation.errors import InputError
from service.audits import UploadedAudit, clause_sentences, store
from service.database import Database
from service.jobs import Jobs, Throttle, plain
from service.layout import Layout
from service.registry import ModelRegistry
from service.retrain import Retraining, parse
from service.settings import ServiceSettings
from training.making import Step as Part

logger = logging.getLogger(__name__)

#: How often a worker may stop during a job before it is given up. Ordinary restarts count too,
#: since to stop a worker is to crash it, so there is room for many of them.
ATTEMPTS = 100

#: A copy into the folder of models may still be under way until it is so old, in seconds.
LEFT_ALONE = 3600.0

Step = Callable[[], dict[str, Any]]


class StepFailed(Exception):
    """A step of a job ended badly; the job's row says why."""


class Workflows:
    """The workflows of a worker. Their argument is the job's id; the row has the rest."""

    def __init__(self, settings: ServiceSettings, database: Database) -> None:
        """Use a service's settings and database."""
        self.settings, self.database = settings, database
        self.layout = Layout(settings)
        self.jobs = Jobs(database)
        self.registry = ModelRegistry(database, self.layout.models)

    def declare(self) -> None:
        """Make the workflows known to the job store under their names."""

        def check(kind: str, request: dict[str, Any]) -> list[dict[str, Any]]:
            return self.check(kind, request)

        DBOS.workflow(name="check", max_recovery_attempts=ATTEMPTS)(check)
        for name, workflow in {"audit": self.audit, "retrain": self.retrain}.items():
            DBOS.workflow(name=name, max_recovery_attempts=ATTEMPTS)(self.ended(workflow))

    def check(self, kind: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Faults of a request for a job; none if it can be done."""
        try:
            if kind == "audit":
                UploadedAudit.parse(request, "body").read()
            else:
                parse(request, self.settings)
        except InputError as error:
            return [plain(fault) for fault in error.faults]
        return []

    def ended(self, workflow: Callable[[str], None]) -> Callable[[str], None]:
        """The workflow, which stops quietly when a step has failed and said so."""

        def run(job: str) -> None:
            try:
                workflow(job)
            except StepFailed:
                logger.warning("job %s failed", job)

        return run

    def audit(self, job: str) -> None:
        """Audit an uploaded predictions file."""

        def made() -> dict[str, Any]:
            found, predictions = UploadedAudit.parse(self.request(job), "body").make()
            store(self.database, self.layout.audits, job, found, predictions)
            return {"audit": job, "verdict": found.verdict, "reason": clause_sentences(found)}

        result = self.step(job, "audit", made)
        self.step(job, "finish", lambda: self.finish(job, result))

    def retrain(self, job: str) -> None:
        """Train a challenger, compare it with the champion, promote or hold it."""
        work = Retraining(
            job, self.request(job), self.settings, self.database, self.registry, self.layout
        )
        throttle = Throttle(self.settings.progress_seconds)

        def progress(part: Part) -> None:
            if throttle.due():
                share = part.done / part.total if part.total else 0.0
                self.jobs.progress(job, f"train: {part.name}", share)

        ingested = self.step(job, "ingest", work.ingest)
        trained = self.step(job, "train", lambda: work.train(ingested, progress))
        compared = self.step(job, "compare", lambda: work.compare(ingested, trained))
        gate = self.step(job, "gate", lambda: work.gate(compared))
        registered = self.step(job, "register", lambda: work.register(trained))
        end = "promote" if gate["promote"] else "hold"
        concluded = self.step(job, end, lambda: work.conclude(registered, compared, gate))
        result = ingested | compared | registered | {"run": trained["run"]} | concluded
        self.step(job, "finish", lambda: self.finish(job, result))

    def request(self, job: str) -> dict[str, Any]:
        """What a job was asked to do. It never changes, so reading it needs no step."""
        row = self.jobs.get(job)
        if row is None:
            raise LookupError(f"job {job} has no row")
        return row.request

    def finish(self, job: str, result: dict[str, Any]) -> dict[str, Any]:
        """End a job that did what it was asked to."""
        self.clear(job)
        self.jobs.succeed(job, result.pop("reason"), result)
        return {}

    def sweep(self) -> None:
        """Remove what processes left that died: uploads without a job, copies half made."""
        open_jobs = set(self.jobs.unfinished())
        layout = self.layout
        strays = [
            folder
            for parent in (layout.uploads, layout.jobs)
            for folder in parent.iterdir()
            # A young upload may belong to a request that is still being checked.
            if folder.name not in open_jobs and _age(folder) > 2 * self.settings.check_seconds
        ]
        strays += [folder for folder in layout.models.glob(".*") if _age(folder) > LEFT_ALONE]
        strays += layout.audits.glob(".*")  # only this worker writes audits
        for folder in strays:
            logger.info("removing %s, which a process that died has left", folder)
            shutil.rmtree(folder, ignore_errors=True)

    def clear(self, job: str) -> None:
        """Remove what a job was given and what it worked with; what it made is elsewhere."""
        for folder in (self.layout.uploads, self.layout.jobs):
            shutil.rmtree(folder / job, ignore_errors=True)

    def step(self, job: str, name: str, work: Step) -> dict[str, Any]:
        """Do a step once: its outcome is kept, good or bad, and found when the job is repeated.

        Raises:
            StepFailed: It ended badly, now or before; the job's row says why.
        """

        def attempt() -> dict[str, Any] | None:
            if name != "finish":
                self.jobs.begin(job, name)
            try:
                return work()
            except InputError as error:
                self.clear(job)
                self.jobs.fail(job, str(error), [plain(fault) for fault in error.faults])
            except Exception as error:
                logger.exception("job %s, step %s", job, name)
                self.clear(job)
                crash = f"The step '{name}' stopped with {type(error).__name__}."
                self.jobs.fail(job, f"{crash} The worker's log has the details.")
            return None

        outcome = DBOS.run_step({"name": name}, attempt)
        if outcome is None:
            raise StepFailed(name)
        return outcome

    def reconcile(self) -> None:
        """End the jobs whose workflow has ended without them: given up, cancelled or broken."""
        for job in self.jobs.unfinished():
            status = DBOS.get_workflow_status(job)
            if status is None or status.status in ("ENQUEUED", "PENDING", "DELAYED"):
                continue
            self.clear(job)
            if status.status == "CANCELLED":
                self.jobs.cancel(job, "It was cancelled.")
            elif status.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
                self.jobs.fail(
                    job, f"The worker stopped {ATTEMPTS} times while it did this job."
                )
            else:
                self.jobs.fail(job, "The job broke off. The worker's log has the details.")


def _age(path: Path) -> float:
    """Seconds since the last change."""
    return time.time() - path.stat().st_mtime
