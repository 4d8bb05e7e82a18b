"""Durable jobs: after a crash of the worker each goes on with the step it was in."""

import logging
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from importlib import import_module
from typing import Any

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from evaluation.errors import InputError
from service.jobs import webhook
from service.jobs.checks import Answer
from service.jobs.jobs import AWAY, ENDED, Jobs, Throttle, plain
from service.jobs.kinds import KINDS
from service.jobs.queue import WEBHOOKS, WORKFLOWS
from service.jobs.sweeping import Sweeping
from service.jobs.telling import roles, tellable
from service.jobs.workflow import (
    PARTS,
    Cancelled,
    CutOff,
    Found,
    Step,
    Task,
    Workflow,
    Workplace,
)
from service.protocol.context import Context, continued, within
from service.security.secret import secret_of
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import StoreUnavailable, upload_of, work_of

logger = logging.getLogger(__name__)

#: How often a worker may stop during a job before it is given up. Ordinary restarts count too,
#: since to stop a worker is to crash it, so there is room for many of them.
ATTEMPTS = 100

#: How often a step is begun without coming any further before its job is given up. Those whose
#: worker was told to stop do not count: what is left are workers that died, of this job maybe.
STEP_ATTEMPTS = 5

#: How long a step waits for a database that went, in seconds, before each new begin.
DATABASE_PAUSES = (1.0, 5.0, 15.0, 60.0, 120.0, 300.0)

#: States of a workflow that has not ended.
GOING_ON = ("ENQUEUED", "PENDING", "DELAYED")

#: The step that ends every job that did what it was asked to.
FINISH = "finish"

#: How often what nobody needs any more is removed, in seconds.
SWEEP_SECONDS = 600.0


class StepFailed(Exception):
    """A step of a job ended badly; the job's row says why."""


class Workflows:
    """The workflows of a worker. Their argument is the job's id; the row has the rest."""

    def __init__(self, settings: ServiceSettings, database: Database) -> None:
        """Use a service's settings and database."""
        self.place = Workplace.of(settings, database)
        self.settings, self.jobs, self.layout = settings, self.place.jobs, self.place.layout
        self._deliver: Callable[[str, int], None] = self.deliver
        self._roles = roles(settings)
        self._sweeping, self._sweeps = Sweeping(self.place), Throttle(SWEEP_SECONDS)
        self._at_work: set[str] = set()

    def declare(self) -> None:
        """Make the workflows known to the job store under their names."""

        def check(kind: str, request: dict[str, Any]) -> Answer:
            return self.check(kind, request)

        DBOS.workflow(name="check", max_recovery_attempts=ATTEMPTS)(check)
        for kind in KINDS:
            DBOS.workflow(name=kind, max_recovery_attempts=ATTEMPTS)(self._workflow())

        def deliver(job: str, tried: int) -> None:
            try:
                self.deliver(job, tried)
            except (OperationalError, InterfaceError) as error:
                raise CutOff from error

        self._deliver = DBOS.workflow(name="webhook", max_recovery_attempts=ATTEMPTS)(deliver)

    def check(self, kind: str, request: dict[str, Any]) -> Answer:
        """What is to be said of a request for a job.

        Any other error is no answer: the job store logs it and tells who asks that there is
        none.
        """
        try:
            _class_of(kind)(Task("", request, self.place)).check()
        except InputError as error:
            faults = [plain(tellable(fault, self._roles)) for fault in error.faults]
            return {"faults": faults, "away": ""}
        except StoreUnavailable:
            logger.exception("a check of '%s': no store", kind)
            return {"faults": [], "away": "the store of models and cohorts"}
        except (OperationalError, InterfaceError, NoConnection):
            logger.exception("a check of '%s': no database", kind)
            return {"faults": [], "away": "the database"}
        return {"faults": [], "away": ""}

    def _workflow(self) -> Callable[[str], None]:
        def run(job: str) -> None:
            with within(self._context(job)):
                self._at_work.add(job)
                try:
                    self._run_to_its_end(job)
                except (OperationalError, InterfaceError) as error:
                    raise CutOff from error
                finally:
                    self._at_work.discard(job)

        return run

    def _run_to_its_end(self, job: str) -> None:
        try:
            self.run(job)
        except StepFailed:
            logger.warning("job %s stopped", job)
        self._announce(job)

    def interrupt(self, jobs: Jobs) -> None:
        """Say of the jobs that are at work that their worker was told to stop.

        Args:
            jobs: Where to say it.
        """
        for job in tuple(self._at_work):
            jobs.interrupt(job)

    def _context(self, job: str) -> Context:
        """What its lines in the log say: the trace of the request that asked for it, too."""
        row = self.jobs.get(job)
        return Context(job=job, traceparent=continued(row.traceparent if row else None))

    def _announce(self, job: str) -> None:
        """Tell the job's webhook of its end, if it has one."""
        row = self.jobs.get(job)
        if row is not None and row.webhook is not None:
            with SetWorkflowID(webhook.delivery_of(row)):
                DBOS.enqueue_workflow(WEBHOOKS, self._deliver, job, 0)

    def deliver(self, job: str, tried: int) -> None:
        """Send a job's message; if it does not arrive, a later workflow tries again.

        Args:
            job: Id of the job, which has ended or is about to.
            tried: How often this was tried before.
        """
        if DBOS.run_step({"name": "deliver"}, lambda: self._is_delivered(job, tried)):
            return
        later = SetEnqueueOptions(delay_seconds=webhook.PAUSES[tried])
        with SetWorkflowID(f"{job}-end-{tried + 1}"), later:
            DBOS.enqueue_workflow(WEBHOOKS, self._deliver, job, tried + 1)

    def _is_delivered(self, job: str, tried: int) -> bool:
        """Whether nothing is left to do: the message arrived, or it never will."""
        row = self.jobs.get(job)
        if row is None or row.webhook is None:
            return True
        try:
            if row.state not in ENDED:
                raise webhook.NotDelivered("the job has not ended")
            status = webhook.deliver(row, secret_of(self.settings), self.settings)
        except webhook.NotDelivered as error:
            last = tried == len(webhook.PAUSES)
            after = "given up" if last else f"tried again in {webhook.PAUSES[tried]:g} s"
            self.jobs.log(job, f"webhook: {error}; {after}")
            return last
        self.jobs.log(job, f"webhook: delivered, answered {status}")
        return True

    def run(self, job: str) -> None:
        """Do the steps of a job, or those that are left of them.

        Raises:
            StepFailed: One ended badly, now or before; the job's row says why.
        """
        task, workflow = self._taken(job)
        found: Found = {}
        stands = False
        for step in workflow.steps():
            if step.only_if(found):
                found |= self._done(task, step, found, stands)
                stands = stands or step.lasting
        finish = Step(FINISH, lambda found: self._finish(task, found))
        self._done(task, finish, found, stands=True)  # too late to cancel: all of it is done

    def _taken(self, job: str) -> tuple[Task, Workflow]:
        # What is read here never changes, so reading it needs no step.
        row = self.jobs.get(job)
        if row is None:
            raise LookupError(f"job {job} has no row")
        task = Task(job, row.request, self.place, self.jobs.origin(job), row.who)
        return task, _class_of(row.kind)(task)

    def _finish(self, task: Task, found: Found) -> Found:
        """End a job that did what it was asked to."""
        result = {name: value for name, value in found.items() if name != "reason"}
        self._clear(task.origin)
        self.jobs.succeed(task.id, str(found.get("reason", "")), result)
        return {}

    def _done(self, task: Task, step: Step, found: Found, stands: bool) -> Found:
        """Do a step once: its outcome is kept, good or bad, and found when the job is repeated.

        Args:
            task: The job.
            step: The step.
            found: What the steps before have found.
            stands: Whether one of them was lasting, so that nobody may cancel any more.

        Raises:
            StepFailed: It ended badly, now or before; the job's row says why.
        """
        outcome: Found | None = DBOS.run_step(
            {"name": step.name},
            lambda: self._attempt_with_a_database(task, step, found, stands),
        )
        if outcome is None:
            raise StepFailed(step.name)
        return outcome

    def _attempt_with_a_database(
        self, task: Task, step: Step, found: Found, stands: bool
    ) -> Found | None:
        """Do a step; if the database goes, do it anew later, as after a crash."""
        for pause in DATABASE_PAUSES:
            try:
                return self._attempt(task, step, found, stands)
            except (OperationalError, InterfaceError):
                logger.exception("job %s, step %s: no database", task.id, step.name)
                time.sleep(pause)
                with suppress(OperationalError, InterfaceError):
                    self.jobs.log(task.id, AWAY)
        return self._attempt(task, step, found, stands)

    def _attempt(self, task: Task, step: Step, found: Found, stands: bool) -> Found | None:
        job, began = task.id, time.monotonic()
        try:
            if not self.jobs.begin(job, step.name, again=step.lasting, whatever=stands):
                self.jobs.cancel(job, f"It was cancelled before the step '{step.name}'.")
                return None
            if self.jobs.begun_in_vain(job) > STEP_ATTEMPTS:
                self.jobs.fail(
                    job,
                    f"The worker died {STEP_ATTEMPTS} times in the step '{step.name}', which "
                    "came no further. See its log, and whether it ran out of memory.",
                )
                return None
            outcome = step.work(found)
        except Cancelled:
            self.jobs.cancel(job, f"It was cancelled in the step '{step.name}'.")
        except InputError as error:
            faults = [tellable(fault, self._roles) for fault in error.faults]
            self.jobs.fail(job, str(InputError(*faults)), [plain(each) for each in faults])
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("job %s, step %s", job, step.name)
            why = type(error).__name__
            if isinstance(error, OSError) and error.strerror:  # such as a full disk
                why += f" ({error.strerror})"
            crash = f"The step '{step.name}' stopped with {why}."
            self.jobs.fail(job, f"{crash} The worker's log has the details.")
        else:
            if step.name != FINISH:
                self.jobs.log(job, f"{step.name}: done in {time.monotonic() - began:.1f} s")
            return outcome
        return None

    def reconcile(self, living: Collection[str] | None = None) -> None:
        """End the jobs whose workflow has ended without them: given up, cancelled or broken.

        Args:
            living: The ids of the workers that live; None: that is not known, and no job is
                taken for stranded.
        """
        for job in self.jobs.unfinished():
            status = DBOS.get_workflow_status(job)
            if status is None:
                continue
            stranded = living is not None and _is_stranded(status, living)
            if status.status in GOING_ON and not stranded:
                continue
            self._announce(job)  # before its end: if this dies between, it is done again
            if stranded:
                self.jobs.fail(
                    job, "A worker of another version began it and is gone. Try it again."
                )
                DBOS.cancel_workflow(job)
            elif status.status == "CANCELLED":
                self.jobs.cancel(job, "It was cancelled.")
            elif status.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
                self.jobs.fail(
                    job, f"The worker stopped {ATTEMPTS} times while it did this job."
                )
            else:
                self.jobs.fail(job, "The job broke off. The worker's log has the details.")
        if self._sweeps.due():
            self.sweep()

    def sweep(self) -> None:
        """Remove what nobody needs any more."""
        self._sweeping.sweep()

    def _clear(self, origin: str) -> None:
        """Remove what a job was given and what it worked with; what it made is elsewhere."""
        shutil.rmtree(self.layout.jobs / origin, ignore_errors=True)
        try:
            for name in (upload_of(origin), *(work_of(origin, part) for part in PARTS)):
                self.place.store.remove(name)
        except StoreUnavailable:
            logger.exception("what job %s was given is removed later", origin)


def _is_stranded(status: WorkflowStatus, living: Collection[str]) -> bool:
    """Whether a workflow was begun with other steps than those here, and nobody is left."""
    foreign = status.app_version not in (None, WORKFLOWS)
    return foreign and status.status in GOING_ON and status.executor_id not in living


def _class_of(kind: str) -> type[Workflow]:
    module, _, name = KINDS[kind].workflow.partition(":")
    found: type[Workflow] = getattr(import_module(module), name)
    return found
