"""Migrations lead to the tables and back; transactions see what is true."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from service.database import Database
from service.tables import AliasEvent, ModelVersion, Table


@pytest.fixture
def database(tmp_path):
    database = Database.opened(f"sqlite:///{tmp_path / 'new' / 'test.db'}")
    yield database
    database.close()


def add_version(database, run="run"):
    with database.write() as session:
        version = ModelVersion(run=run, method="erm", directory="1")
        session.add(version)
    return version


def test_migrations_and_models_agree(database):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_down_and_up_again(database):
    database.downgrade("base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    assert not database.at_head()
    database.upgrade()
    assert database.at_head()
    add_version(database)


def test_upgrade_keeps_what_is_there(database):
    add_version(database)
    database.upgrade()
    with database.read() as session:
        assert session.get(ModelVersion, 1).run == "run"


def test_two_processes_may_migrate_at_once(tmp_path):
    code = (
        "import sys; from service.database import Database; sys.stdin.readline(); "
        "Database.opened(sys.argv[1]).close()"
    )
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'test.db'}"]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]


def test_write_ahead_log(database):
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


@pytest.mark.parametrize(
    "change", ["UPDATE alias_events SET why = 'x'", "DELETE FROM alias_events"]
)
def test_alias_events_cannot_be_changed(database, change):
    version = add_version(database)
    with database.write() as session:
        session.add(AliasEvent(alias="champion", version_id=version.id, who="a", why="b"))
    with pytest.raises(DBAPIError, match="never changed"), database.write() as session:
        session.execute(text(change))


def test_an_error_takes_the_transaction_back(database):
    def half() -> None:
        with database.write() as session:
            session.add(ModelVersion(run="r", method="erm", directory="1"))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    with database.read() as session:
        assert session.get(ModelVersion, 1) is None


def test_times_are_utc(database):
    add_version(database)
    with database.read() as session:
        assert session.get(ModelVersion, 1).created.utcoffset().total_seconds() == 0
