"""The process that does the jobs: one for a home, and the only one that trains."""

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dbos import DBOS, DBOSConfig

from evaluation.errors import Fault, InputError
from service.database import Database
from service.layout import Layout
from service.queue import APPLICATION, CHECKS, JOBS, SERIALIZER, WORKFLOWS
from service.settings import ServiceSettings
from service.workflows import Workflows

logger = logging.getLogger(__name__)

#: How often jobs are compared with their workflows, in seconds.
RECONCILE_SECONDS = 5.0


@contextmanager
def working(settings: ServiceSettings) -> Iterator[Workflows]:
    """Work on jobs in the background while the block runs.

    Jobs that a former worker left unfinished are taken up first.

    Raises:
        InputError: Another worker is at work in this home.
    """
    layout = Layout(settings)
    with layout.lock.open("w") as lock:
        _hold(lock.fileno(), settings)
        database = Database.opened(settings.database)
        workflows = Workflows(settings, database)
        configuration: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": settings.database,
            "application_version": WORKFLOWS,
            "executor_id": settings.executor,
            "serializer": SERIALIZER,
            "log_level": "WARNING",
        }
        DBOS(config=configuration)
        try:
            workflows.sweep()
            workflows.declare()
            DBOS.listen_queues([JOBS, CHECKS])
            DBOS.launch()
            # Two trainings at once would take each other's cores.
            DBOS.register_queue(
                JOBS, worker_concurrency=1, polling_interval_sec=settings.poll_seconds
            )
            DBOS.register_queue(CHECKS, polling_interval_sec=settings.poll_seconds)
            yield workflows
        finally:
            DBOS.destroy(destroy_registry=True)
            database.close()


def run(settings: ServiceSettings, *, while_stdin_is_open: bool = False) -> None:
    """Work until SIGINT or SIGTERM.

    Args:
        settings: Of the service.
        while_stdin_is_open: Stop too when standard input ends, which is how a worker notices
            that the process which started it is gone, whatever the way.

    Raises:
        InputError: Another worker is at work in this home.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if while_stdin_is_open:
        threading.Thread(target=_wait_for_the_end_of_stdin, args=[stop], daemon=True).start()
    # Decoded cohorts are kept where everything else is, unless somebody chose another place.
    os.environ.setdefault("EVENSCAN_CACHE", str(settings.home / "cache"))
    with working(settings) as workflows:
        logger.info("worker %s takes jobs from %s", settings.executor, settings.database)
        while not stop.wait(RECONCILE_SECONDS):
            try:
                workflows.reconcile()
            except Exception:  # the next round tries again; the training goes on meanwhile
                logger.exception("jobs could not be compared with their workflows")
        logging.shutdown()
        # A training thread cannot be stopped, and need not be: its checkpoint lets it go on
        # later. To stop is to crash, so that there is one way of coming back.
        os._exit(0)


def _hold(file: int, settings: ServiceSettings) -> None:
    """Lock the home; two workers of one name would take up each other's jobs."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        remedy = "Stop it first, or give this one another EVENSCAN_HOME."
        raise InputError(
            Fault(str(settings.home), "another worker is at work here", remedy)
        ) from None


def _wait_for_the_end_of_stdin(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()
