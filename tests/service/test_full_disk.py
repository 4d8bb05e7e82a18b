"""A disk that is full, for real: requests are refused, jobs end with the reason, and no more.

What was acknowledged is still there, and once there is room the same request is taken.
"""

import os
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager

import pytest
from audit_samples import ended, post, predictions
from cohort_samples import form, zipped
from fastapi.testclient import TestClient
from service_samples import HERE, Running, is_problem, tiny
from test_processes import wait

from service.app import create_app
from service.jobs import takeover
from service.jobs.worker import working
from service.jobs.workflows import Workflows
from service.settings import ServiceSettings

#: Bytes of the disk.
SIZE = 48 * 2**20


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A small disk of its own."""
    place = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if made.returncode:
        pytest.skip(f"no disk can be mounted: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def full(disk, left=0):
    """No more than so many bytes can be written while the block runs."""
    filler = disk / "filler"
    piece = bytes(4096)
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(piece) == len(piece):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - left))
    try:
        yield
    finally:
        filler.unlink()


@pytest.fixture(scope="module")
def worked(disk, cache):
    """A service whose home is on the small disk, with a worker in this process."""
    settings = ServiceSettings.read(home=disk / "home", poll_seconds=0.05, open=True)
    app = create_app(settings)
    with (
        working(settings) as worker,
        TestClient(app, base_url=HERE, raise_server_exceptions=False) as client,
    ):
        running = Running(client, settings, app.state.services)
        # The log of the database grows to its size, and what jobs need is loaded.
        assert ended(running, post(running, predictions()))["state"] == "succeeded"
        with running.services.database.write() as session:
            session.connection().exec_driver_sql("CREATE TABLE room (text TEXT)")
            values = {"text": "x" * 6 * 2**20}
            session.connection().exec_driver_sql("INSERT INTO room VALUES (:text)", values)
        yield running, worker


@pytest.fixture
def service(worked):
    """The service alone."""
    return worked[0]


def folders(service):
    """What lies in the home beside the database."""
    home = service.settings.home
    wanted = ("models", "audits", "cohorts", "uploads", "receiving", "jobs")
    return {path for name in wanted for path in (home / name).glob("*")}


def is_full(response):
    body = is_problem(response, 503)
    assert body["type"] == "urn:evenscan:problem:disk-full"
    assert int(response.headers["retry-after"]) > 0


def jobs(service):
    return len(service.client.get("/v1/jobs", params={"limit": 100}).json()["items"])


def large(count):
    """A table of predictions of so many bytes or more."""
    frame = predictions()
    return frame.assign(note="x" * (count // len(frame))).to_csv(index=False).encode()


def test_an_upload_of_a_table(service, disk):
    before, known = folders(service), jobs(service)
    with full(disk, left=2**20):
        is_full(post(service, large(4 * 2**20)))
        assert folders(service) == before
        assert jobs(service) == known
        assert service.client.get("/health/live").status_code == 200


def test_an_upload_of_a_cohort(service, disk):
    before, known = folders(service), jobs(service)
    pictures = zipped({"a.bin": os.urandom(4 * 2**20)})
    with full(disk, left=2**20):
        is_full(service.client.post("/v1/cohorts", files=form(pictures=pictures)))
        assert folders(service) == before
        assert jobs(service) == known


def test_a_form_that_does_not_fit_where_forms_are_kept(service, disk, monkeypatch):
    """A disk of its own for temporary files is full; the home is not."""
    known = jobs(service)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with full(disk, left=2**20):
        is_full(post(service, large(4 * 2**20)))
    assert jobs(service) == known


def test_a_database_that_cannot_grow(service, disk):
    known = service.client.get("/v1/jobs").json()
    headers = {"Idempotency-Key": "when-there-is-room"}
    with full(disk):
        with service.services.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        with full_too(disk):
            refused = post(service, predictions(), headers=headers)
            is_problem(refused, 503)
            assert int(refused.headers["retry-after"]) > 0
            assert service.client.get("/v1/jobs").json() == known
    job = ended(service, post(service, predictions(), headers=headers))
    assert job["state"] == "succeeded"


@contextmanager
def full_too(disk):
    """What the database gave back is taken as well."""
    other = disk / "more"
    other.mkdir()
    with full(other):
        yield
    other.rmdir()


#: Room for what a job says of itself, and not for what it makes.
LEFT = {"audit": 2**19, "retrain": 2 * 2**20}


@pytest.mark.parametrize("kind", LEFT)
def test_a_job(service, disk, kind):
    before = folders(service)
    with full(disk, left=LEFT[kind]):
        if kind == "audit":
            asked = post(service, predictions())
        else:
            asked = service.client.post("/v1/retrain", json=tiny())
        job = ended(service, asked)
        assert job["state"] == "failed"
        assert "No space left on device" in job["reason"]
        assert str(disk) not in str(job)
        made = {path.parent.name for path in folders(service) - before}
        assert made <= {"jobs", "uploads"}  # for another try
    again = ended(service, service.client.post(f"/v1/jobs/{job['id']}/retry"))
    assert again["state"] == "succeeded", again
    assert service.client.get("/v1/models").status_code == 200


def test_a_job_whose_step_cannot_be_recorded(worked, disk, monkeypatch):
    """It goes on when there is room, although its thread has ended."""
    service, worker = worked
    monkeypatch.setattr(takeover, "LEFT_ALONE", 1.0)
    attempt, blocks = Workflows._attempt, []

    def attempted(self, task, step, found, stands):
        outcome = attempt(self, task, step, found, stands)
        if step.name == "split" and not blocks:
            blocks.append(ExitStack())
            blocks[0].enter_context(full(disk))
            with self.place.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            blocks[0].enter_context(full_too(disk))
        return outcome

    monkeypatch.setattr(Workflows, "_attempt", attempted)
    asked = service.client.post("/v1/retrain", json=tiny())
    assert asked.status_code == 202, asked.text
    place = asked.headers["location"]

    def over():
        worker.look_round()
        return service.client.get(place).json()["state"] not in ("queued", "running")

    wait(lambda: blocks)
    time.sleep(2)
    blocks[0].close()
    wait(over)
    job = service.client.get(place).json()
    assert job["state"] == "succeeded", job
