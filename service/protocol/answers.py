"""Answers to requests with an Idempotency-Key, kept for a day, to be said again."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from service.jobs.jobs import Throttle
from service.storage.database import Database
from service.storage.tables import Answer, now

#: How long an answer is kept.
KEPT: Final = timedelta(days=1)

#: How long a request may be under way on another machine before its key is free again: nobody
#: here can tell whether the process that serves it lives.
UNDER_WAY: Final = timedelta(hours=1)

#: How often old answers are removed, in seconds.
SWEEP_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Said:
    """What a request was answered.

    Attributes:
        digest: Of the request's payload.
        status: HTTP status.
        headers: Those that matter, by name.
        body: JSON, or nothing.
    """

    digest: str
    status: int
    headers: dict[str, str]
    body: str


class Answers:
    """The rows of the answers."""

    def __init__(self, database: Database) -> None:
        """Use a database."""
        self.database = database
        self._sweeping = Throttle(SWEEP_SECONDS)
        self._over: set[str] = set()

    def claim(self, key: str) -> Answer | None:
        """Take a key for a request that begins now.

        Returns:
            None if it is taken; otherwise the row of the request that has it. Its ``status``
            is None while that is under way.
        """
        if self._sweeping.due():
            self.sweep()
        for over in tuple(self._over):
            self.release(over)
        try:
            with self.database.write() as session:
                row = session.get(Answer, key, with_for_update=True)
                if row is not None and _holds(row):
                    return row
                if row is not None:
                    session.delete(row)
                    session.flush()
                session.add(Answer(key=key, headers={"process": this_process()}))
        except IntegrityError:  # another process was faster
            return Answer(key=key, status=None)
        return None

    def keep(self, key: str, said: Said) -> None:
        """Keep the answer to a request whose key was taken.

        If that fails the key is given back later, since the request is over.
        """
        values = {"digest": said.digest, "status": said.status, "headers": said.headers}
        with self._or_later(key), self.database.write() as session:
            session.execute(
                update(Answer).where(Answer.key == key).values(**values, body=said.body)
            )

    def release(self, key: str) -> None:
        """Give a key back whose request has no answer that is worth keeping.

        If that fails it is tried again before the next key is taken.
        """
        with self._or_later(key), self.database.write() as session:
            session.execute(delete(Answer).where(Answer.key == key, Answer.status.is_(None)))
        self._over.discard(key)

    @contextmanager
    def _or_later(self, key: str) -> Iterator[None]:
        """Remember a key that is to be given back if the block cannot be done."""
        try:
            yield
        except SQLAlchemyError:
            self._over.add(key)
            raise

    def sweep(self) -> None:
        """Remove what is older than a day."""
        with self.database.write() as session:
            session.execute(delete(Answer).where(Answer.created < now() - KEPT))


def _holds(row: Answer) -> bool:
    """Whether a row is worth anything: an answer that is kept, or a request under way."""
    age = now() - row.created
    if row.status is not None:
        return age < KEPT
    process = row.headers["process"]
    here = process["host"] == socket.gethostname()
    return _lives(process) if here else age < UNDER_WAY


@cache
def this_process() -> dict[str, Any]:
    """What tells this process from every other one, of before and after it too."""
    number = os.getpid()
    return {"host": socket.gethostname(), "number": number, "began": _began(number)}


def _lives(process: dict[str, Any]) -> bool:
    """Whether a process of this machine lives."""
    return bool(process["began"] == _began(process["number"]))


def _began(number: int) -> str:
    """When a process began, in ticks since the machine did; empty if there is no such process.

    Where there is no ``/proc`` it is always empty, so that every process may live.
    """
    try:
        line = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return ""
    # The name of the program comes before, in brackets, and may itself hold both.
    return line.rpartition(")")[2].split()[19]
