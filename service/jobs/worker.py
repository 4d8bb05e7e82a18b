"""The process that does the jobs. There may be several for a database, each of another name."""

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dbos import DBOS, DBOSConfig
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from evaluation.errors import Fault, InputError
from service.jobs.checks import CHECKS
from service.jobs.jobs import Jobs
from service.jobs.queue import APPLICATION, JOBS, SERIALIZER, WEBHOOKS, WORKFLOWS
from service.jobs.roll import Roll, beating
from service.jobs.takeover import Takeover
from service.jobs.workflows import Workflows
from service.layout import Layout
from service.settings import ServiceSettings
from service.storage.database import Database

logger = logging.getLogger(__name__)

#: How often jobs are compared with their workflows, and workers with the roll, in seconds.
RECONCILE_SECONDS = 5.0

#: Checks that a worker does at one time. Each may read whole tables, which take 1 GiB and more
#: of the memory, beside a training that needs it too.
CHECKS_AT_ONCE = 2


@dataclass(frozen=True)
class Worker:
    """A worker at work.

    Attributes:
        workflows: What it can do.
        roll: Its entry among the others.
        takeover: Its eye on what nobody does any more.
    """

    workflows: Workflows
    roll: Roll
    takeover: Takeover

    def look_round(self) -> None:
        """Take up what dead workers have left, and end jobs whose workflow has ended."""
        self.takeover.look()
        self.workflows.reconcile(self.roll.living())

    def interrupt(self) -> None:
        """Say of the jobs that are at work that this worker was told to stop."""
        try:
            # The roll's database has no patience: a keeper does not wait for long.
            self.workflows.interrupt(Jobs(self.roll.database))
        except SQLAlchemyError as error:
            logger.warning("the worker could not say that it stops: %s", type(error).__name__)


@contextmanager
def working(settings: ServiceSettings) -> Iterator[Worker]:
    """Work on jobs in the background while the block runs.

    Jobs that workers left unfinished who are gone are taken up first, and when others fall
    silent theirs. A worker that is silent for too long itself stops its process.

    Raises:
        InputError: A living worker has this name.
    """
    layout = Layout(settings)
    with layout.lock.open("a") as lock:
        _hold(lock.fileno(), settings)
        database = Database.opened(settings.database, patience=settings.takeover_seconds)
        roll = Roll(settings)
        database.on_write = roll.check
        workflows = Workflows(settings, database)
        configuration: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": settings.database,
            "application_version": WORKFLOWS,
            "executor_id": roll.id,
            "serializer": SERIALIZER,
            "log_level": "WARNING",
        }
        try:
            roll.enter()
            DBOS(config=configuration)
            with beating(roll):
                workflows.sweep()
                workflows.declare()
                DBOS.listen_queues([JOBS, CHECKS, WEBHOOKS])
                DBOS.launch()
                # Two trainings at once would take each other's cores.
                DBOS.register_queue(
                    JOBS, worker_concurrency=1, polling_interval_sec=settings.poll_seconds
                )
                DBOS.register_queue(
                    CHECKS,
                    worker_concurrency=CHECKS_AT_ONCE,
                    polling_interval_sec=settings.poll_seconds,
                )
                DBOS.register_queue(WEBHOOKS, polling_interval_sec=settings.poll_seconds)
                takeover = Takeover(roll)
                takeover.look()
                yield Worker(workflows, roll, takeover)
        finally:
            DBOS.destroy(destroy_registry=True)
            roll.leave()
            database.close()


def run(settings: ServiceSettings, *, while_stdin_is_open: bool = False) -> None:
    """Work until SIGINT or SIGTERM.

    Args:
        settings: Of the service.
        while_stdin_is_open: Stop too when standard input ends, which is how a worker notices
            that the process which started it is gone, whatever the way.

    Raises:
        InputError: A living worker has this name.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if while_stdin_is_open:
        threading.Thread(target=_wait_for_the_end_of_stdin, args=[stop], daemon=True).start()
    # Decoded cohorts are kept where everything else is, unless somebody chose another place.
    os.environ.setdefault("EVENSCAN_CACHE", str(settings.home / "cache"))
    with working(settings) as worker:
        place = make_url(settings.database)  # which shows no password
        logger.info("worker %s takes jobs from %s", settings.executor, place)
        while not stop.wait(min(RECONCILE_SECONDS, settings.takeover_seconds / 3)):
            try:
                worker.look_round()
            except Exception:  # the next round tries again; the training goes on meanwhile
                logger.exception("jobs could not be compared with their workflows")
        worker.interrupt()
        logging.shutdown()
        worker.roll.leave()
        # A training thread cannot be stopped, and need not be: its checkpoint lets it go on
        # later. To stop is to crash, so that there is one way of coming back.
        os._exit(0)


def _hold(file: int, settings: ServiceSettings) -> None:
    """Lock the name; who holds it knows that no other of this home and name lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        found = f"another worker is at work here under the name '{settings.executor}'"
        remedy = "Stop it first, or give this one another EVENSCAN_EXECUTOR."
        raise InputError(Fault(str(settings.home), found, remedy)) from None


def _wait_for_the_end_of_stdin(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()
