"""A worker when what it stands on gives way: its database goes away, its disk is full."""

import resource
import time
from functools import partial

import pytest
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem, tiny
from test_processes import wait
from test_takeover import TAKEOVER, Site, check_done_once, state_of, training

from service.app import create_app
from service.jobs.probe import at_work, lock_of
from service.jobs.roll import GIVEN_UP


@pytest.fixture
def site(tmp_path, cache, postgresql_url):
    home = tmp_path / "home"
    home.mkdir()
    site = Site(home, postgresql_url, cache)
    yield site
    site.close()


@pytest.fixture
def served(site):
    app = create_app(site.settings)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def is_refused(response):
    is_problem(response, 503)
    assert int(response.headers["Retry-After"]) > 0


def test_a_database_that_goes_away_and_comes_back(site, served, postgresql):
    """The service says so meanwhile and goes on after; nothing is started anew."""
    worker = site.worker("a", takeover=60)
    job, _ = training(served, site)
    postgresql.stop()
    try:
        wait(lambda: served.get("/health/ready").status_code == 503)
        began = time.monotonic()
        is_refused(served.get("/v1/jobs"))
        is_refused(served.post("/v1/retrain", json=tiny()))
        assert time.monotonic() - began < 10
        time.sleep(2)  # the training goes on meanwhile, and wants to say so
    finally:
        postgresql.start()
    wait(lambda: served.get("/health/ready").status_code == 200)
    check_done_once(served, job)
    assert worker.poll() is None


@pytest.mark.slow
def test_a_worker_without_a_database_stops_before_others_take_its_jobs(
    site,
    served,
    postgresql,
):
    worker = site.worker("a")
    job, _ = training(served, site)
    postgresql.stop()
    try:
        assert worker.wait(timeout=10 * TAKEOVER) == GIVEN_UP
    finally:
        postgresql.start()
    site.worker("a")
    check_done_once(served, job)


def test_a_full_disk_fails_a_job_and_leaves_nothing_half(site, served):
    """A limit on the size of files stands in for the disk; the error comes the same way."""
    site.worker("a", before=partial(limit, 20_000))
    accepted = served.post("/v1/retrain", json=tiny())
    assert accepted.status_code == 202, accepted.text
    location = accepted.headers["location"]
    wait(lambda: state_of(served, location) not in ("queued", "running"), 60)
    job = served.get(location).json()
    assert job["state"] == "failed"
    assert "File too large" in job["reason"]
    assert str(site.home) not in str(job)
    for folder in ("models", "audits"):
        assert list((site.home / folder).iterdir()) == []
    models = served.get("/v1/models")
    assert models.status_code == 200, models.text
    assert models.json()["items"] == []


def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_probe_sees_who_lives(tmp_path, site):
    lock = lock_of(site.home, "a")
    assert not at_work(lock)
    worker = site.worker("a")
    wait(lambda: set(site.rows()) == {"a"})
    assert at_work(lock)
    assert not at_work(lock, seconds=-1)  # it has been silent for longer
    assert not at_work(lock_of(site.home, "b"))
    worker.kill()
    worker.wait()
    assert not at_work(lock)
