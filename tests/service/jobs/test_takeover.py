"""Workers that die or fall silent: another does their jobs, and nothing is done twice."""

import re
import signal
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem, tiny
from sqlalchemy import select
from test_processes import environment, wait

from service.app import create_app
from service.jobs.roll import GIVEN_UP, Roll
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import AliasEvent, ModelVersion, WorkerRow

EPOCHS = 5
BEAT, TAKEOVER = 0.3, 2.0


class Site:
    """A home and a database, with an API in this process and workers in others."""

    def __init__(self, home, url, cache):
        self.home, self.url, self.cache, self.started = home, url, cache, []
        Database.opened(url).close()
        self.settings = ServiceSettings.read(
            home=home, database_url=url, poll_seconds=0.05, open=True, check_seconds=120
        )

    def worker(self, name, home=None, takeover=TAKEOVER, before=None, code=None):
        variables = environment(home or self.home) | {
            "EVENSCAN_DATABASE_URL": self.url,
            "EVENSCAN_EXECUTOR": name,
            "EVENSCAN_HEARTBEAT_SECONDS": str(BEAT),
            "EVENSCAN_TAKEOVER_SECONDS": str(takeover),
            "EVENSCAN_POLL_SECONDS": "0.05",
            "EVENSCAN_PROGRESS_SECONDS": "0",
            "EVENSCAN_CACHE": str(self.cache),
        }
        log = (self.home / f"{name}-{len(self.started)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, *(["-c", code] if code else ["-m", "service", "worker"])],
            env=variables,
            stderr=log,
            preexec_fn=before,
        )
        log.close()
        self.started.append(process)
        return process

    def rows(self):
        database = Database(self.url)
        try:
            with database.read() as session:
                return {row.executor: row for row in session.scalars(select(WorkerRow))}
        finally:
            database.close()

    def log(self, number):
        [path] = self.home.glob(f"*-{number}.log")
        return path.read_text()

    def close(self):
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
)
def site(request, tmp_path, cache):
    home = tmp_path / "home"
    home.mkdir()
    url = f"sqlite:///{home / 'evenscan.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    site = Site(home, url, cache)
    yield site
    site.close()


@pytest.fixture
def served(site):
    with TestClient(create_app(site.settings), base_url=HERE) as client:
        yield client


def state_of(client, location):
    return client.get(location).json()["state"]


def training(client, site):
    """A job that is being trained and has a checkpoint, and the name of its worker."""
    method = {"name": "erm", "epochs": EPOCHS, "batch_size": 2}
    accepted = client.post("/v1/retrain", json=tiny(method=method))
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()["job"]
    wait(lambda: list((site.home / "jobs" / job).glob(".*/checkpoint.safetensors")))
    status = client.app.state.services.queue.client.retrieve_workflow(job).get_status()
    return job, status.executor_id.partition("/")[0]


def check_done_once(client, job):
    wait(lambda: state_of(client, f"/v1/jobs/{job}") not in ("queued", "running"), 240)
    assert state_of(client, f"/v1/jobs/{job}") == "succeeded", client.get(
        f"/v1/jobs/{job}"
    ).text
    with client.app.state.services.database.read() as session:
        assert [version.job for version in session.scalars(select(ModelVersion))] == [job]
        moves = session.scalars(select(AliasEvent).where(AliasEvent.alias == "champion")).all()
    assert [move.who for move in moves] == [f"job {job}"]


def test_a_living_worker_does_the_job_of_a_dead_one(site, served):
    workers = {name: site.worker(name) for name in ("a", "b")}
    wait(lambda: set(site.rows()) == {"a", "b"})
    job, busy = training(served, site)
    workers.pop(busy).send_signal(signal.SIGKILL)
    check_done_once(served, job)
    assert set(site.rows()) == set(workers)
    events = served.app.state.services.jobs.events(job)
    begun = [int(n) for e in events for n in re.findall(r"epoch (\d+) of", e.text)]
    assert begun == sorted(begun)


@pytest.mark.slow
def test_a_worker_that_was_given_up_stops_when_it_wakes(site, served):
    workers = {name: site.worker(name) for name in ("a", "b")}
    wait(lambda: set(site.rows()) == {"a", "b"})
    job, busy = training(served, site)
    asleep = workers.pop(busy)
    asleep.send_signal(signal.SIGSTOP)
    wait(lambda: set(site.rows()) == set(workers))
    asleep.send_signal(signal.SIGCONT)
    assert asleep.wait(timeout=10) == GIVEN_UP
    check_done_once(served, job)


@pytest.mark.slow
def test_who_comes_back_takes_up_its_jobs_at_once(site, served):
    """Long before its silence is noticed: whoever holds its lock knows that it died."""
    first = site.worker("a", takeover=600)
    job, _ = training(served, site)
    first.send_signal(signal.SIGKILL)
    first.wait()
    site.worker("a", takeover=600)
    check_done_once(served, job)


def test_a_stopped_worker_leaves_the_roll(site):
    worker = site.worker("a")
    wait(lambda: set(site.rows()) == {"a"})
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert site.rows() == {}


def test_two_workers_of_one_name_are_refused(site, tmp_path):
    site.worker("a")
    wait(lambda: set(site.rows()) == {"a"})
    token = site.rows()["a"].token
    for number, home in enumerate([site.home, tmp_path / "elsewhere"], start=1):
        refused = site.worker("a", home)
        assert refused.wait(timeout=30) == 1
        said = " ".join(site.log(number).split())
        assert "Stop it first, or give this one another EVENSCAN_EXECUTOR." in said
    assert site.rows()["a"].token == token


DEADLY = """
import os, signal
from service.jobs import workflows
from service.settings import ServiceSettings
from service.jobs.worker import run
workflows.ATTEMPTS = 2
workflows.Workflows.run = lambda self, job: os.kill(os.getpid(), signal.SIGKILL)
run(ServiceSettings.read())
"""


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_given_up(site, served):
    """A take-over counts as an attempt, or it would go on for ever."""
    helper = site.worker("helper")
    accepted = served.post("/v1/retrain", json=tiny())
    assert accepted.status_code == 202, accepted.text
    location = accepted.headers["location"]
    helper.kill()
    helper.wait()
    deaths = 0
    while state_of(served, location) in ("queued", "running"):
        worker = site.worker("deadly", code=DEADLY)
        wait(lambda worker=worker: worker.poll() or state_of(served, location) == "failed")
        deaths += worker.poll() == -signal.SIGKILL
        assert deaths < 6
    assert "times while it did this job" in served.get(location).json()["reason"]


OTHER = """
from service.jobs import queue
queue.WORKFLOWS = "evenscan-workflows-0"
from service.settings import ServiceSettings
from service.jobs.worker import run
run(ServiceSettings.read())
"""


@pytest.mark.slow
def test_what_a_worker_of_another_version_has_left_ends_and_may_be_tried_again(site, served):
    """Its steps are others, so nobody here can go on with them."""
    old = site.worker("old", code=OTHER)
    job, _ = training(served, site)
    new = site.worker("new")
    wait(lambda: set(site.rows()) == {"old", "new"})
    assert state_of(served, f"/v1/jobs/{job}") == "running"
    old.kill()
    old.wait()
    wait(lambda: state_of(served, f"/v1/jobs/{job}") == "failed")
    assert "another version" in served.get(f"/v1/jobs/{job}").json()["reason"]
    again = served.post(f"/v1/jobs/{job}/retry")
    assert again.status_code == 202, again.text
    wait(lambda: state_of(served, again.headers["location"]) == "succeeded", 90)
    assert new.poll() is None


def roll(site, **changes):
    values = site.settings.model_dump() | changes
    found = Roll(ServiceSettings.read(**values))
    found.layout.lock.touch()
    return found


def test_the_roll(site):
    brief = {"heartbeat_seconds": 0.01, "takeover_seconds": 0.5}
    first = roll(site, executor="a", **brief)
    second = roll(site, executor="b", **brief)
    first.enter()
    second.enter()
    assert sorted(first.living()) == sorted([first.id, second.id])

    def struck():
        assert second.beat()
        second.strike()
        return second.living() == [second.id]

    assert not struck()
    wait(struck, 5)
    assert not first.beat()
    again = roll(site, executor="a", **brief)
    again.enter()
    assert again.id != first.id
    assert not first.beat()
    assert again.beat()
    for each in (first, second, again):
        each.leave()
    assert site.rows() == {}


def test_what_is_refused_meanwhile_says_when_to_come_back(site, served, monkeypatch):
    database = served.app.state.services.database
    away = Database("postgresql+psycopg://nobody@127.0.0.1:9/nowhere")
    monkeypatch.setattr(database, "_read", away._read)
    refused = served.get("/v1/jobs")
    is_problem(refused, 503)
    assert int(refused.headers["Retry-After"]) > 0
    away.close()
