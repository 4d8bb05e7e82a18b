"""What a request is told while, and after, a worker looks at it."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from audit_samples import post, predictions
from fastapi.testclient import TestClient
from service_samples import HERE, Running, is_problem
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from service.app import create_app
from service.audit.audits import UploadedAudit
from service.health import readiness
from service.jobs import checks
from service.jobs.worker import CHECKS_AT_ONCE
from service.storage.store import StoreUnavailable


def left(running):
    """What the job store still holds of checks."""
    return running.services.queue.client.list_workflows(name="check")


def failing(monkeypatch, error):
    def read(*arguments):
        raise error

    monkeypatch.setattr(UploadedAudit, "read", read)


def wait(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreUnavailable("s3://bucket of Jane Doe"), "the store"),
        (OperationalError("SELECT", {}, Exception("gone")), "the database"),
        (InterfaceError("SELECT", {}, Exception("gone")), "the database"),
        (NoConnection("all are taken"), "the database"),
    ],
)
def test_what_a_worker_cannot_reach_now_is_for_later(worked, monkeypatch, error, said):
    failing(monkeypatch, error)
    response = post(worked, predictions())
    assert said in is_problem(response, 503)["detail"]
    assert response.headers["retry-after"] == "10"
    assert "Jane Doe" not in response.text
    assert left(worked) == []
    assert not [path for path in worked.services.layout.uploads.iterdir() if path.is_dir()]


@pytest.fixture
def log_of_the_job_store(caplog):
    jobs = logging.getLogger("dbos")
    jobs.addHandler(caplog.handler)
    yield caplog
    jobs.removeHandler(caplog.handler)


def test_a_check_that_breaks_off_is_in_the_log_with_its_place(
    worked, monkeypatch, log_of_the_job_store
):
    failing(monkeypatch, ZeroDivisionError("a bug"))
    is_problem(post(worked, predictions()), 500)
    assert left(worked) == []
    wait(lambda: "in read" in log_of_the_job_store.text)
    assert "ZeroDivisionError: a bug" in log_of_the_job_store.text


def test_a_check_that_nobody_does_is_not_kept(empty):
    is_problem(post(empty, predictions()), 503)
    assert left(empty) == []


def test_refused_and_accepted_requests_leave_no_check_behind(worked):
    is_problem(post(worked, predictions().drop(columns="label")), 422)
    assert post(worked, predictions()).status_code == 202
    assert left(worked) == []


def test_an_audit_that_was_removed_meanwhile_is_a_fault_of_the_request(worked, monkeypatch):
    def gone(audits, name):
        raise LookupError(name)

    monkeypatch.setattr("service.audit.files.Audits.get", lambda audits, name: Row(name))
    monkeypatch.setattr("service.audit.files.Audits.folder", gone)
    body = {"challenger": "one", "champion": "other"}
    response = worked.client.post("/v1/audits/comparisons", json=body)
    faults = is_problem(response, 422)["errors"]
    assert [fault["column"] for fault in faults] == ["challenger", "champion"]


class Row:
    """The row of an audit, read before it was removed."""

    def __init__(self, name):
        self.id = name


def test_a_worker_reads_few_tables_at_one_time(worked, monkeypatch):
    lock, read = threading.Lock(), UploadedAudit.read
    at_once, most = 0, 0

    def counted(*arguments):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.3)
        with lock:
            at_once -= 1
        return read(*arguments)

    monkeypatch.setattr(UploadedAudit, "read", counted)
    with ThreadPoolExecutor(6) as pool:
        frames = [predictions(seed=seed).drop(columns="label") for seed in range(6)]
        answers = list(pool.map(lambda frame: post(worked, frame), frames))
    assert {each.status_code for each in answers} == {422}
    assert most == CHECKS_AT_ONCE


def test_requests_that_wait_for_a_worker_leave_room_for_others(settings, monkeypatch):
    """As many as a process has threads to answer with, and nobody works."""
    monkeypatch.setattr(readiness, "GOOD_FOR", 0.0)
    app = create_app(settings.model_copy(update={"check_seconds": 5.0}))
    with (
        TestClient(app, base_url=HERE, raise_server_exceptions=False) as client,
        ThreadPoolExecutor(2 * checks.MOST_WAITING) as pool,
    ):
        running = Running(client, settings, app.state.services)
        asked = [
            pool.submit(post, running, predictions()) for _ in range(2 * checks.MOST_WAITING)
        ]
        wait(lambda: sum(each.done() for each in asked) >= checks.MOST_WAITING)
        began = time.monotonic()
        assert client.get("/health/ready").status_code == 200
        assert client.get("/v1/models").status_code == 200
        assert time.monotonic() - began < 3
        assert not all(each.done() for each in asked)
        answers = [each.result() for each in asked]
        assert left(running) == []
    said = [is_problem(each, 503)["detail"] for each in answers]
    assert sum("No worker answered" in each for each in said) == checks.MOST_WAITING
    assert sum("other requests wait" in each for each in said) == checks.MOST_WAITING
    assert {each.headers["retry-after"] for each in answers} == {"10"}
