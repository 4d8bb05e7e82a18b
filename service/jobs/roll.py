"""The roll of living workers: each says that it lives, and is struck off when it does not."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from evaluation.errors import Fault, InputError
from service.jobs.workflow import CutOff
from service.layout import Layout
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import WorkerRow

logger = logging.getLogger(__name__)

#: Exit status of a worker that stopped because others may have its jobs: try again later.
GIVEN_UP: Final = 75


class Roll:
    """One worker's entry, from when it enters until it leaves or is struck off.

    Times are the database's, so that machines need not agree on theirs.

    Attributes:
        id: Its name to the job store: new each time it starts, so that what a former life left
            behind is told apart from what this one does.
        heard: When it last said that it lives, in seconds of the monotonic clock.
        left: Whether it has left.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Draw a token; nothing is entered yet."""
        self.settings, self.layout = settings, Layout(settings)
        self.token = uuid4().hex
        self.id = _id(settings.executor, self.token)
        # Its own, and without patience: a worker that cannot be heard has to know it in time.
        self.database = Database(settings.database)
        self.heard, self.left = monotonic(), False

    def enter(self) -> None:
        """Enter this worker, in the place of a dead one of its name.

        The caller holds the lock of this name in this home, so a row from here is of a worker
        that died.

        Raises:
            InputError: A living worker elsewhere has this name.
        """
        name, here = self.settings.executor, f"{socket.gethostname()}:{self.settings.home}"
        with self.database.write() as session:
            moment = self.database.clock(session)
            row = session.get(WorkerRow, name)
            if row is not None and row.host != here and row.heartbeat > moment - self._silence:
                found = f"a worker of this name is at work on {row.host}"
                remedy = "Stop it first, or give this one another EVENSCAN_EXECUTOR."
                raise InputError(Fault(f"worker {name}", found, remedy))
            values = {"token": self.token, "host": here, "started": moment}
            session.merge(WorkerRow(executor=name, heartbeat=moment, **values))
        self._is_heard()

    def leave(self) -> None:
        """Take this worker off, so that others need not wait to take up its jobs."""
        self.left = True
        try:
            with self.database.write() as session:
                session.execute(delete(WorkerRow).where(*self._own()))
        except SQLAlchemyError as error:  # they will notice its silence
            logger.warning("the worker could not sign off: %s", type(error).__name__)
        finally:
            self.database.close()

    def beat(self) -> bool:
        """Say that this worker lives.

        Returns:
            Whether it still counts as living; False: others have its jobs.
        """
        asked = monotonic()
        with self.database.write() as session:
            mine = update(WorkerRow).where(*self._own())
            moment = self.database.clock(session)
            result: Any = session.execute(mine.values(heartbeat=moment))
            if not result.rowcount:
                return False
        self._is_heard(asked)
        return True

    def check(self, session: Session) -> None:
        """Stop this process, before it writes, if others have its jobs.

        Raises:
            CutOff: This worker has left, which is no reason to stop a process, nor for the job
                to fail that it was at.
        """
        if self.left:
            raise CutOff("the worker has left")
        if session.scalar(select(WorkerRow.token).where(*self._own())) is None:
            stop_at_once(f"worker {self.settings.executor} was given up while it was silent")

    def strike(self) -> None:
        """Take off the workers that have been silent for too long."""
        with self.database.write() as session:
            last = self.database.clock(session) - self._silence
            silent = (WorkerRow.heartbeat < last) & (WorkerRow.token != self.token)
            for row in session.scalars(select(WorkerRow).where(silent)):
                logger.warning("worker %s on %s is silent; given up", row.executor, row.host)
                session.delete(row)

    def living(self) -> Sequence[str]:
        """The ids of the workers that count as living."""
        with self.database.read() as session:
            rows = session.execute(select(WorkerRow.executor, WorkerRow.token))
            return [_id(row.executor, row.token) for row in rows]

    @property
    def unheard(self) -> float:
        """Seconds since this worker could last say that it lives."""
        return monotonic() - self.heard

    @property
    def _silence(self) -> timedelta:
        return timedelta(seconds=self.settings.takeover_seconds)

    def _is_heard(self, asked: float | None = None) -> None:
        self.heard = monotonic() if asked is None else asked
        os.utime(self.layout.lock)  # for the probe

    def _own(self) -> tuple[Any, ...]:
        return WorkerRow.executor == self.settings.executor, WorkerRow.token == self.token


def _id(executor: str, token: str) -> str:
    return f"{executor}/{token}"


@contextmanager
def beating(roll: Roll) -> Iterator[None]:
    """Say that a worker lives while the block runs; stop the process if that fails too long."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=work, args=[roll, stop], daemon=True)
        for work in (_beat, _watch)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _beat(roll: Roll, stop: threading.Event) -> None:
    while not stop.wait(roll.settings.heartbeat_seconds):
        try:
            lives = roll.beat()
        except SQLAlchemyError as error:
            logger.warning("the worker cannot say that it lives: %s", type(error).__name__)
        else:
            if not lives and not stop.is_set():
                stop_at_once("the worker was given up while it was silent")


def _watch(roll: Roll, stop: threading.Event) -> None:
    """Stop in time before others take this worker for dead.

    It has a thread of its own: one that asks the database may hang.
    """
    settings = roll.settings
    longest = settings.takeover_seconds - settings.heartbeat_seconds
    while not stop.wait(settings.heartbeat_seconds / 4):
        if roll.unheard > longest:
            stop_at_once(f"the worker could not be heard for {longest:g} s")


def stop_at_once(why: str) -> None:
    """End the process: others may be doing what it does. Its keeper starts it again."""
    logger.critical("%s; it stops", why)
    logging.shutdown()
    os._exit(GIVEN_UP)
