"""Connections, transactions and the schema's version."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

BUSY_MILLISECONDS = 30_000


class Database:
    """One SQLite file in WAL mode: readers never wait, writers wait for each other.

    The job store keeps its tables in the same file, so that a job and its workflow are recorded
    in one transaction.
    """

    def __init__(self, url: str) -> None:
        """Prepare connections; none is opened yet."""
        self.engine = _engine(url)
        writing = self.engine.execution_options(write=True)
        self._read = sessionmaker(self.engine, expire_on_commit=False)
        self._write = sessionmaker(writing, expire_on_commit=False)
        self._writing = writing

    @classmethod
    def opened(cls, url: str) -> Self:
        """A database that is there and has the newest schema."""
        database = cls(url)
        if database.engine.url.database:
            Path(database.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        database.upgrade()
        return database

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start, so that what it reads is
        still true when it writes. Committed at the end, rolled back on an error.
        """  # noqa: D205
        with self._write.begin() as session:
            yield session

    def upgrade(self, revision: str = "head") -> None:
        """Migrate up to a revision. Several processes may do so at once; one does the work."""
        with self._writing.begin() as connection:
            command.upgrade(_configuration(connection), revision)

    def downgrade(self, revision: str) -> None:
        """Migrate down to a revision; ``base`` removes everything."""
        with self._writing.begin() as connection:
            command.downgrade(_configuration(connection), revision)

    def at_head(self) -> bool:
        """Whether the schema is the one that this code was written for."""
        script = ScriptDirectory.from_config(_configuration())
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_heads()
        return set(current) == set(script.get_heads())

    def ping(self) -> None:
        """Raise if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        # SQLAlchemy begins the transactions itself, below; the driver would begin them late.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA foreign_keys = ON")
        _use_write_ahead_log(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails if another one wrote between.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Let readers go on while somebody writes. The file remembers it."""
    deadline = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            # While the file is new SQLite does not wait for others that do the same.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _configuration(connection: Connection | None = None) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", "service:migrations")
    configuration.attributes["connection"] = connection
    return configuration
