"""How each kind of database is connected to, and how a transaction begins in it."""

import sqlite3
import time
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

#: How long a writer waits for the others, in milliseconds.
BUSY_MILLISECONDS: Final = 30_000

#: After how long a PostgreSQL server breaks off a transaction in which nothing happens, so that
#: a process that hangs does not keep all others from writing; in milliseconds.
IDLE_MILLISECONDS: Final = 300_000

#: The advisory lock of all who write to a PostgreSQL database: ``evenscan`` in ASCII.
WRITERS: Final = int.from_bytes(b"evenscan", "big")


def engine_of(url: str) -> Engine:
    """Connections to a database; none is opened yet.

    A transaction that begins with the execution option ``write=True`` holds a lock, from its
    start, that all others of its kind wait for.
    """
    address = make_url(url)
    return _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)


def readers_of(engine: Engine) -> Engine:
    """The same connections, for transactions that only read and see one state."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


def writers_of(engine: Engine) -> Engine:
    """The same connections, for transactions that hold the lock from their start."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(write=True)
    # Every statement sees the newest state, and nobody changes it while the lock is held.
    return engine.execution_options(isolation_level="READ COMMITTED", write=True)


def _postgresql(address: URL) -> Engine:
    server = f"-c lock_timeout={BUSY_MILLISECONDS} "
    server += f"-c idle_in_transaction_session_timeout={IDLE_MILLISECONDS}"
    # Connections that died are found before they are used, also those to a lost machine.
    engine = create_engine(
        address,
        hide_parameters=True,  # an error that quotes values may name a patient
        pool_pre_ping=True,
        connect_args={
            "options": server,
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("write", False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")

    return engine


def _sqlite(address: URL) -> Engine:
    engine = create_engine(address, hide_parameters=True)

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
