"""Tells at no cost whether anything in the database has changed."""

import sqlite3
from pathlib import Path

from service.storage.database import Database


class Changes:
    """A number that is another one after every commit to an SQLite file, by any process.

    It is read from memory that SQLite shares between connections, in a few microseconds and
    without waiting for writers, so the event loop may do it. PostgreSQL has no such number.
    """

    def __init__(self, database: Database) -> None:
        """Watch a database; nothing is opened before it is asked."""
        name = None if database.is_postgresql else database.engine.url.database
        self._file = Path(name).absolute() if name and name != ":memory:" else None
        self._connection: sqlite3.Connection | None = None

    def mark(self) -> int | None:
        """The number of this moment; None if it is not known, so that nothing can be told.

        Ask for it before reading what is to be kept: what is committed between counts as new.
        """
        if self._file is None:
            return None
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    f"{self._file.as_uri()}?mode=rw",
                    uri=True,
                    timeout=0,
                    isolation_level=None,
                    check_same_thread=False,
                )
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return int(number)

    def close(self) -> None:
        """Stop watching."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
