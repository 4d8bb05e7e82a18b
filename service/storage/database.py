"""Connections, transactions and the schema's version."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from evaluation.errors import Fault, InputError
from service.migrations import HEAD
from service.storage.engines import engine_of, readers_of, writers_of

#: Pause between two tries to reach a database that does not answer, in seconds.
PAUSE: Final = 0.5


class Database:
    """An SQLite file in WAL mode, or a PostgreSQL database.

    In both, readers never wait and writers wait for each other, so that what a writer has read
    is still true when it writes. The job store keeps its tables in the same database, so that a
    job and its workflow are recorded in one transaction.

    Attributes:
        engine: Its connections. One that broke is replaced when it is used next.
        patience: How long a transaction waits for a database that cannot be reached before it
            begins, in seconds.
        on_write: Called with the session of every writing transaction before anything else is
            done in it.
    """

    def __init__(self, url: str, *, patience: float = 0.0) -> None:
        """Prepare connections; none is opened yet."""
        self.engine = engine_of(url)
        self.patience = patience
        self.on_write: Callable[[Session], None] = lambda session: None
        self._writers = writers_of(self.engine)
        self._read = sessionmaker(readers_of(self.engine), expire_on_commit=False)
        self._write = sessionmaker(self._writers, expire_on_commit=False)

    @classmethod
    def opened(cls, url: str, *, patience: float = 0.0) -> Self:
        """A database that is there and has the newest schema.

        Raises:
            InputError: It cannot be reached, or not be written to.
        """
        database = cls(url, patience=patience)
        if not database.is_postgresql and database.engine.url.database:
            folder = Path(database.engine.url.database).parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            if not database.at_head():
                database.upgrade()
        except OperationalError as error:
            database.close()
            found = f"it cannot be opened: {str(error.orig).partition(chr(10))[0]}"
            remedy = "Start it, or correct EVENSCAN_DATABASE_URL or EVENSCAN_HOME."
            # The address without its password.
            raise InputError(Fault(str(database.engine.url), found, remedy)) from error
        return database

    @property
    def is_postgresql(self) -> bool:
        """Whether it is served by PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with self._begun(self._read) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start, so that what it reads is
        still true when it writes. Committed at the end, rolled back on an error.
        """  # noqa: D205
        with self._begun(self._write) as session:
            self.on_write(session)
            yield session
            session.commit()

    @contextmanager
    def _begun(self, sessions: sessionmaker[Session]) -> Iterator[Session]:
        """A session whose transaction has begun, as soon as the database can be reached."""
        deadline = time.monotonic() + self.patience
        while True:
            with sessions() as session:
                try:
                    session.connection()
                except OperationalError:
                    if time.monotonic() >= deadline:
                        raise
                else:
                    yield session
                    return
            time.sleep(PAUSE)

    def clock(self, session: Session) -> datetime:
        """What time it is for the database: processes of several machines agree on it."""
        if not self.is_postgresql:
            return datetime.now(UTC)
        moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        return moment.astimezone(UTC)

    def upgrade(self, revision: str = "head") -> None:
        """Migrate up to a revision. Several processes may do so at once; one does the work."""
        from service.storage.migrating import up

        with self._writers.begin() as connection:
            up(connection, revision)

    def downgrade(self, revision: str) -> None:
        """Migrate down to a revision; ``base`` removes everything."""
        from service.storage.migrating import down

        with self._writers.begin() as connection:
            down(connection, revision)

    def at_head(self) -> bool:
        """Whether the schema is the one that this code was written for."""
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            found = connection.execute(text("SELECT version_num FROM alembic_version"))
            return found.scalars().all() == [HEAD]

    def ping(self) -> None:
        """Raise if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
