"""Processes are killed while a job goes on. It ends once, and what it makes is made once."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pandas as pd
import pytest
from audit_samples import post, predictions, succeeded
from cohort_samples import form, images, table, zipped
from fastapi.testclient import TestClient
from service_samples import HERE, NOTHING, promoted, tiny
from test_processes import environment, start, stop, wait
from webhook_samples import Receiver
from workflow_samples import Bench

from service.app import create_app
from service.jobs.jobs import AWAY, STOPPED
from service.jobs.webhook import DELIVERY, SIGNATURE, verify
from service.jobs.workflows import STEP_ATTEMPTS
from service.security.secret import secret_of
from service.settings import ServiceSettings

EPOCHS = 8

STEPS = (
    "ingest",
    "split",
    "train",
    "audit",
    "compare",
    "gate",
    "register",
    "promote",
    "finish",
)

KILLED = Path(__file__).parents[1].joinpath("killed_worker.py")


@pytest.fixture
def receiver():
    """Takes messages."""
    with Receiver() as found:
        yield found


@pytest.fixture
def worker(tmp_path, cache):
    """Starts a worker, and stops what was started."""
    started = []

    def launch(*command):
        variables = environment(tmp_path) | {
            "EVENSCAN_POLL_SECONDS": "0.05",
            "EVENSCAN_CACHE": str(cache),
            "EVENSCAN_PROGRESS_SECONDS": "0",
            "EVENSCAN_WEBHOOK_HOSTS": "127.0.0.1",
        }
        log = (tmp_path / f"worker-{len(started)}.log").open("w")
        command = command or ("-m", "service", "worker")
        process = subprocess.Popen([sys.executable, *command], env=variables, stderr=log)
        log.close()
        started.append(process)
        return process

    yield launch
    for process in started:
        process.terminate()  # the one that starts others takes them along
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def client(tmp_path):
    """An API in this process, in the home of the worker."""
    settings = ServiceSettings.read(
        home=tmp_path,
        poll_seconds=0.05,
        open=True,
        webhook_hosts="127.0.0.1",
        check_seconds=120,  # a worker has to start and load its libraries
    )
    with TestClient(create_app(settings), base_url=HERE) as found:
        yield found


def ended(client, location, seconds=90):
    """The job at a place, once it has ended."""
    wait(lambda: client.get(location).json()["state"] not in ("queued", "running"), seconds)
    return client.get(location).json()


def lines(client, location):
    """All that was said of a job, as kind and text."""
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{location}/logs?limit=100{cursor}").json()
        found += [(line["kind"], line["text"]) for line in page["items"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    return found


def epochs(said):
    """Numbers of the epochs that were begun."""
    return [int(n) for _, text in said for n in re.findall(r"epoch (\d+) of", text)]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["begun", "done"])
def test_a_worker_that_is_killed_at_every_step_does_everything_once(
    worker, client, receiver, tmp_path, moment
):
    marks = tmp_path / "marks"
    marks.mkdir()
    places = [f"{moment}:{step}" for step in (*STEPS, "webhook")]
    worker(str(KILLED), str(marks), *places)
    response = client.post("/v1/retrain", json=tiny(webhook=receiver.address))
    assert response.status_code == 202, response.text
    location = response.headers["location"]
    job = ended(client, location)
    assert job["state"] == "succeeded", job
    wait(lambda: ("log", "webhook: delivered, answered 204") in lines(client, location))
    wait(lambda: len(receiver.messages) == (2 if moment == "done" else 1))
    assert {path.name for path in marks.iterdir()} == set(places)

    assert [path.name for path in (tmp_path / "models").iterdir()] == [job["id"]]
    assert [path.name for path in (tmp_path / "audits").iterdir()] == [job["id"]]
    [move] = [m for m in client.get("/v1/models/1").json()["moves"] if m["alias"] == "champion"]
    assert (move["who"], move["audit"]) == (f"job {job['id']}", job["id"])
    assert list((tmp_path / "jobs").iterdir()) == []

    secret = secret_of(ServiceSettings.read(home=tmp_path))
    assert {headers[DELIVERY] for _, headers, _ in receiver.messages} == {f"{job['id']}-end"}
    for _, headers, body in receiver.messages:
        assert verify(secret, headers[SIGNATURE], body)


def test_a_worker_that_is_killed_between_a_folder_and_its_row_keeps_both_once(
    worker, client, trained, tmp_path
):
    """The comparison with a champion has been kept, and the version, and nobody knows it."""
    promoted(client.app.state.services.registry, trained)
    marks = tmp_path / "marks"
    marks.mkdir()
    places = ["kept:compare", "kept:register"]
    worker(str(KILLED), str(marks), *places)
    response = client.post("/v1/retrain", json=tiny(seed=1))
    assert response.status_code == 202, response.text
    job = ended(client, response.headers["location"])
    assert job["state"] == "succeeded", job
    assert {path.name for path in marks.iterdir()} == set(places)
    assert "against version 1" in job["reason"]
    assert [path.name for path in (tmp_path / "audits").iterdir()] == [job["id"]]
    assert [each["id"] for each in client.get("/v1/models").json()["items"]] == [2, 1]
    assert len(list((tmp_path / "models").iterdir())) == 2
    moves = client.get("/v1/models/2").json()["moves"]
    assert [m["who"] for m in moves if m["alias"] == "challenger"] == [f"job {job['id']}"]
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.slow
def test_other_workflows_of_a_worker_that_is_killed_are_done_once(worker, client, tmp_path):
    """A retraining that is held, an audit of its model, and comparisons."""
    marks = tmp_path / "marks"
    marks.mkdir()
    steps = ("audit", "hold", "finish")
    places = [f"{moment}:{step}" for step in steps for moment in ("begun", "done")]
    worker(str(KILLED), str(marks), *places)

    def done(answer, *killed):
        assert answer.status_code == 202, answer.text
        job = ended(client, answer.headers["location"])
        assert job["state"] == "succeeded", job
        assert {path.name.partition(":")[2] for path in marks.iterdir()} == {*killed, "finish"}
        for path in marks.iterdir():
            path.unlink()
        return job

    def audits():
        return {each["id"] for each in client.get("/v1/audits").json()["items"]}

    files = form(manifest=table(80), pictures=zipped(images(80)))
    cohort = done(client.post("/v1/cohorts", files=files))["result"]["cohort"]
    asked = tiny(cohorts=[cohort], policy=NOTHING)
    del asked["cohort"]
    held = done(client.post("/v1/retrain", json=asked), "audit", "hold")
    assert held["result"]["promoted"] is False
    assert [each["id"] for each in client.get("/v1/models").json()["items"]] == [1]
    body = {"model": "challenger", "cohort": cohort}
    own = done(client.post("/v1/audits", json=body), "audit")
    body = {"challenger": own["id"], "champion": own["id"]}
    compared = done(client.post("/v1/audits/comparisons", json=body), "audit")
    sent = {
        role: (f"{role}.csv", predictions().to_csv(index=False))
        for role in ("predictions", "champion")
    }
    uploaded = done(
        client.post("/v1/audits/comparisons", files=sent, data={"attributes": "sex"}), "audit"
    )
    jobs = (held, own, compared, uploaded)
    assert audits() == {each["id"] for each in jobs}
    assert {path.name for path in (tmp_path / "audits").iterdir()} == audits()
    for folder in ("uploads", "jobs"):
        assert list((tmp_path / folder).iterdir()) == []


def test_a_killed_worker_goes_on_from_its_checkpoint(worker, client, tmp_path):
    killed = worker()
    config = tiny(method={"name": "erm", "epochs": EPOCHS, "batch_size": 2})
    accepted = client.post("/v1/retrain", json=config)
    assert accepted.status_code == 202, accepted.text
    location = accepted.json()["location"]
    place = tmp_path / "jobs" / accepted.json()["job"]

    wait(lambda: list(place.glob(".*/checkpoint.safetensors")))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = client.get(location).json()
    assert before["state"] == "running"
    first = epochs(lines(client, location))
    assert first[-1] < EPOCHS

    worker()
    job = ended(client, location)
    assert job["state"] == "succeeded", job
    assert job["reason"] == "Promoted with no champion to compare with: PASS."
    # No epoch was trained again but the one that was cut off.
    history = pd.read_csv(tmp_path / "models" / job["id"] / "history.csv")
    assert history["epoch"].tolist() == list(range(1, EPOCHS + 1))
    again = epochs(lines(client, location))[len(first) :]
    assert again[0] in (first[-1], first[-1] + 1)
    assert again == list(range(again[0], EPOCHS + 1))


def test_a_job_that_kills_its_workers_in_a_step_is_given_up(worker, client, receiver, tmp_path):
    worker(str(KILLED), str(tmp_path), "always:split")
    location = client.post("/v1/retrain", json=tiny(webhook=receiver.address)).headers[
        "location"
    ]
    job = ended(client, location)
    assert (job["state"], job["step"]) == ("failed", "split")
    assert job["reason"].startswith("The worker died 5 times in the step 'split'")
    assert lines(client, location).count(("step", "split")) == STEP_ATTEMPTS + 1
    wait(lambda: len(receiver.messages) == 1)
    # Others are not in its way, and it may be tried again.
    running = type("Running", (), {"client": client})
    succeeded(running, post(running, predictions()))
    again = client.post(f"{location}/retry")
    assert again.status_code == 202, again.text
    assert client.post(f"{again.headers['location']}/cancel").status_code == 202


def test_what_counts_as_an_attempt_of_a_step(tmp_path):
    bench = Bench(ServiceSettings.read(home=tmp_path))
    bench.retraining({})
    jobs = bench.place.jobs

    def begun(*said):
        assert jobs.begin("job-1", "train")
        for text in said:
            jobs.log("job-1", text)
        return jobs.begun_in_vain("job-1")

    assert begun("train: epoch 1 of 8") == 0
    assert [begun("train: epoch 1 of 8") for _ in range(3)] == [1, 2, 3]
    assert begun("train: epoch 1 of 8", "train: epoch 2 of 8") == 0  # it came further
    assert [begun() for _ in range(2)] == [1, 2]
    for _ in range(2):
        jobs.interrupt("job-1")
        assert jobs.begun_in_vain("job-1") == 0
        assert begun() == 1
    jobs.log("job-1", AWAY)
    assert begun() == 1
    jobs.fail("job-1", "It is over.")
    jobs.interrupt("job-1")
    assert [event.text for event in jobs.events("job-1")].count(STOPPED) == 2
    bench.database.close()


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_says_so(worker, client, tmp_path):
    stopped = worker()
    method = {"name": "erm", "epochs": EPOCHS, "batch_size": 2}
    location = client.post("/v1/retrain", json=tiny(method=method)).headers["location"]
    place = tmp_path / "jobs" / location.rpartition("/")[2]
    wait(lambda: list(place.glob(".*/checkpoint.safetensors")))
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(20) == 0
    assert lines(client, location)[-1] == ("log", STOPPED)
    worker()
    assert ended(client, location)["state"] == "succeeded"


def test_a_job_outlives_the_api_that_took_it_on(worker, tmp_path):
    server, address = start(tmp_path, "--no-worker", "--open")
    worker()
    keyed = {"Idempotency-Key": "once"}
    asked = {"json": tiny(policy=NOTHING), "headers": keyed, "timeout": 60}
    accepted = httpx2.post(f"{address}/v1/retrain", **asked)
    server.kill()
    server.wait()
    server.stdout.close()
    assert accepted.status_code == 202, accepted.text
    server, address = start(tmp_path, "--no-worker", "--open")
    try:
        # Whoever did not get the answer asks again, and is told of the same job.
        again = httpx2.post(f"{address}/v1/retrain", **asked)
        assert (again.status_code, again.json()) == (202, accepted.json())
        with httpx2.Client(base_url=address) as client:
            job = ended(client, again.headers["location"])
            assert job["state"] == "succeeded", job
            assert len(client.get("/v1/jobs").json()["items"]) == 1
            assert [path.name for path in (tmp_path / "models").iterdir()] == [job["id"]]
    finally:
        stop(server)
