"""Migrations lead to the tables and back; transactions see what is true. On both databases."""

import subprocess
import sys
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from evaluation.errors import InputError
from service.jobs.queue import JobQueue
from service.migrations import HEAD
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.engines import BUSY_MILLISECONDS
from service.storage.tables import AliasEvent, Job, JobEvent, ModelVersion, Table, now


def add_version(database, run="run"):
    with database.write() as session:
        version = ModelVersion(run=run, method="erm", directory="1")
        session.add(version)
    return version


def test_migrations_and_models_agree(database):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


@pytest.mark.parametrize("revision", ["base", "0001"])
def test_down_and_up_again(database, revision):
    database.downgrade(revision)
    if revision == "base":
        assert inspect(database.engine).get_table_names() == ["alembic_version"]
    assert not database.at_head()
    database.upgrade()
    assert database.at_head()
    add_version(database)


def test_the_head_is_the_last_step(database):
    configuration = Config()
    configuration.set_main_option("script_location", "service:migrations")
    assert ScriptDirectory.from_config(configuration).get_heads() == [HEAD]
    assert database.at_head()


def test_upgrade_keeps_what_is_there(database):
    version = add_version(database)
    with database.write() as session:
        request = {"seed": 3, "cohort": {"name": "Größe"}}
        session.add(
            Job(id="a", kind="retrain", state="succeeded", request=request, step="hold")
        )
        move = {"alias": "champion", "version_id": version.id, "who": "me", "why": "first"}
        session.add(AliasEvent(**move))
    database.downgrade("0001")
    database.upgrade()
    with database.read() as session:
        assert session.get(ModelVersion, 1).run == "run"
        job = session.get(Job, "a")
        assert (job.request, job.state, job.step) == (request, "succeeded", "hold")
        assert (job.who, job.cancelling, job.parent) == ("", False, None)
        [event] = session.scalars(select(AliasEvent)).all()
        assert (event.why, event.undoes, event.request) == ("first", None, None)


def test_processes_may_migrate_at_once(database_url, tmp_path):
    code = (
        "import sys; from service.storage.database import Database;"
        "from service.jobs.queue import JobQueue;"
        "from service.settings import ServiceSettings; sys.stdin.readline();"
        "database = Database.opened(sys.argv[1]); settings = ServiceSettings.read("
        "home=sys.argv[2], database_url=sys.argv[1]); JobQueue(settings, database).close();"
        "database.close()"
    )
    command = [sys.executable, "-c", code, database_url, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]


def test_a_job_and_its_workflow_are_recorded_together(database, database_url, tmp_path):
    settings = ServiceSettings.read(home=tmp_path, database_url=database_url)
    queue = JobQueue(settings, database)
    queue.submit(Job(id="a", kind="retrain", request={}))
    assert queue.client.retrieve_workflow("a").get_status().status == "ENQUEUED"

    def fail(*_):
        raise RuntimeError

    queue.client.enqueue_in_transaction = fail
    with pytest.raises(RuntimeError):
        queue.submit(Job(id="b", kind="retrain", request={}))
    with database.read() as session:
        assert session.get(Job, "a").state == "queued"
        assert session.get(Job, "b") is None
    queue.close()


def test_write_ahead_log(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()


@pytest.fixture
def events(database):
    version = add_version(database)
    with database.write() as session:
        session.add(AliasEvent(alias="champion", version_id=version.id, who="a", why="b"))
        session.add(Job(id="a", kind="retrain", request={}))
        session.flush()
        session.add(JobEvent(job="a", kind="log", text="b"))


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("table", ["alias_events", "job_events"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = 7", "DELETE FROM {}", "TRUNCATE {}"])
def test_events_cannot_be_changed(database, table, change):
    if change.startswith("TRUNCATE") and not database.is_postgresql:
        change = "DELETE FROM {} WHERE true"
    with pytest.raises(DBAPIError, match="never changed"), database.write() as session:
        session.execute(text(change.format(table)))


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


def test_what_a_writer_has_read_stays_true(database):
    """Four at once read a number and write the next one; none is lost."""

    def count() -> None:
        for _ in range(10):
            with database.write() as session:
                last = session.execute(text("SELECT max(id) FROM model_versions")).scalar() or 0
                session.add(ModelVersion(id=last + 1, run="r", method="erm", directory="1"))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM model_versions")).scalar() == 40


def test_a_reader_sees_one_state_and_does_not_wait(database):
    add_version(database)
    count = text("SELECT count(*) FROM model_versions")
    with database.read() as reading:
        assert reading.execute(count).scalar() == 1
        with database.write() as session:
            session.add(ModelVersion(run="r", method="erm", directory="2"))
            session.flush()
            assert reading.execute(count).scalar() == 1
        assert reading.execute(count).scalar() == 1
    with database.read() as reading:
        assert reading.execute(count).scalar() == 2


def test_times_are_utc(database):
    add_version(database)
    with database.read() as session:
        assert session.get(ModelVersion, 1).created.utcoffset().total_seconds() == 0
        assert abs((database.clock(session) - now()).total_seconds()) < 60


def test_a_database_that_was_away_is_used_again(postgresql, postgresql_url):
    database = Database.opened(postgresql_url)
    add_version(database)
    postgresql.stop()
    try:
        with pytest.raises(OperationalError):
            database.ping()
        with pytest.raises(OperationalError), database.write():
            pass
        patient = Database(postgresql_url, patience=30)
        threading.Timer(1, postgresql.start).start()
        assert add_version(patient).id == 2
    finally:
        postgresql.start()
    database.ping()
    assert add_version(database).id == 3
    database.close()
    patient.close()


def test_a_writer_that_hangs_is_not_waited_for_for_ever(database, monkeypatch):
    """The wait is bounded; here it is made short."""
    assert BUSY_MILLISECONDS <= 60_000
    short = "SET lock_timeout = 100" if database.is_postgresql else "PRAGMA busy_timeout = 100"
    impatient = Database(database.engine.url.render_as_string(hide_password=False))
    with impatient.engine.connect() as connection:
        connection.execute(text(short))
        connection.commit()
    with database.write(), pytest.raises(OperationalError), impatient.write():
        pass
    impatient.close()


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:secret@127.0.0.1:9/name", "folder"])
def test_a_database_that_cannot_be_opened(tmp_path, url):
    address = f"sqlite:///{tmp_path}" if url == "folder" else url
    with pytest.raises(InputError, match="it cannot be opened: ") as refused:
        Database.opened(address)
    assert "secret" not in str(refused.value)
