"""An API that is killed before its answer is sent: whoever asks again gets one job, done once.

Two API processes that are asked the same at the same moment do it once, too.
"""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pandas as pd
import pytest
from audit_samples import FEW, predictions
from cohort_samples import SCHEMA, form
from service_samples import tiny
from sqlalchemy import func, select, text
from test_processes import environment, start, stop, wait
from test_recovery import KILLED as KILLED_WORKER
from test_recovery import STEPS
from test_shutdown import serving

from service.jobs.worker import working
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import AuditRecord, Cohort, Job, ModelVersion


def retrain(number):
    return {"url": "/v1/retrain", "json": tiny(seed=number)}


def cohort(number):
    return {"url": "/v1/cohorts", "files": form(schema=SCHEMA | {"name": f"skin{number}"})}


def table(number):
    return predictions(seed=number).to_csv(index=False)


def audit(number):
    files = {"predictions": ("a.csv", table(number)), "settings": FEW}
    return {"url": "/v1/audits", "files": files, "data": {"attributes": "sex"}}


def comparison(number):
    asked = audit(number)
    files = asked["files"] | {"champion": ("b.csv", table(number + 1))}
    return asked | {"url": "/v1/audits/comparisons", "files": files}


#: By the kind of job: what is asked, and what is there once it is done.
ASKED = {
    "retrain": (retrain, ModelVersion),
    "ingest": (cohort, Cohort),
    "audit": (audit, AuditRecord),
    "upload_comparison": (comparison, AuditRecord),
}
#: Whoever waits for the worker waits for its libraries, too.
QUICK = {"EVENSCAN_POLL_SECONDS": "0.05", "EVENSCAN_CHECK_SECONDS": "120"}
MOMENTS = ("recorded", "checked", "kept")


def counts(database, kind):
    """Jobs of a kind, their workflows, and what they have made."""
    with database.read() as session:
        jobs = select(func.count()).select_from(Job).where(Job.kind == kind)
        flows = text("SELECT count(*) FROM dbos.workflow_status WHERE name = :kind")
        if not database.is_postgresql:
            flows = text(str(flows).replace("dbos.", ""))
        made = select(func.count()).select_from(ASKED[kind][1])
        return (
            session.scalar(jobs),
            session.scalar(flows, {"kind": kind}),
            session.scalar(made),
        )


@pytest.fixture
def home(tmp_path, cache):
    """Home of a service whose worker is in this process."""
    with working(ServiceSettings.read(home=tmp_path, poll_seconds=0.05)):
        yield tmp_path


@contextmanager
def killed(home, marks, *places):
    """Address of an API that is killed at places, and comes back."""
    marks.mkdir(exist_ok=True)
    port = free_port()
    code = str(Path(__file__).parents[1].joinpath("killed_api.py"))
    process = subprocess.Popen(
        [sys.executable, code, str(marks), port, *places],
        env=environment(home) | QUICK,
        stdout=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: listens(address))
        yield address
    finally:
        process.terminate()
        process.wait(10)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def listens(address):
    try:
        return httpx2.get(f"{address}/health/live").status_code == 200
    except httpx2.TransportError:
        return False


def ended(address, job):
    def over():
        found.update(httpx2.get(f"{address}/v1/jobs/{job}").json())
        return found["state"] not in ("queued", "running")

    found = {}
    wait(over, 120)
    return found


@pytest.mark.parametrize(
    "moment",
    [MOMENTS[0], *(pytest.param(late, marks=pytest.mark.slow) for late in MOMENTS[1:])],
)
def test_what_is_asked_again_is_done_once(home, tmp_path, moment):
    database = Database(ServiceSettings.read(home=home).database)
    places = [f"{moment}:{kind}" for kind in ASKED]
    with killed(home, tmp_path / "marks", *places) as address:
        for kind, (asked, _) in ASKED.items():
            before = counts(database, kind)
            request = asked(10 * MOMENTS.index(moment))
            request["url"] = address + request["url"]
            request |= {"headers": {"Idempotency-Key": f"{moment}-{kind}"}, "timeout": 150}
            with pytest.raises(httpx2.TransportError):
                httpx2.post(**request)
            assert (tmp_path / "marks" / f"{moment}:{kind}").exists()
            wait(lambda: listens(address))
            answer = httpx2.post(**request)
            assert answer.status_code == 202, answer.text
            replayed = answer.headers.get("idempotency-replayed")
            assert replayed == ("true" if moment == "kept" else None)
            again = httpx2.post(**request)
            assert (again.status_code, again.json()) == (202, answer.json())
            job = ended(address, answer.json()["job"])
            assert job["state"] == "succeeded", job
            assert counts(database, kind) == tuple(count + 1 for count in before)
            last = httpx2.post(**request)
            assert (last.status_code, last.json()) == (202, answer.json())
    database.close()


@pytest.mark.slow
def test_a_job_goes_on_whatever_step_it_is_in_when_the_api_is_killed(tmp_path, cache):
    home, marks = tmp_path / "home", tmp_path / "marks"
    marks.mkdir()
    worker = subprocess.Popen(
        [sys.executable, str(KILLED_WORKER), str(marks), *(f"held:{step}" for step in STEPS)],
        env=environment(home) | QUICK | {"EVENSCAN_CACHE": str(cache)},
    )
    asked, seen = {"headers": {"Idempotency-Key": "once"}, "json": tiny(), "timeout": 150}, []
    try:
        for step in STEPS:
            with serving(home, **QUICK) as (process, address):
                # Whoever asks again, not knowing what became of the first request:
                answer = httpx2.post(f"{address}/v1/retrain", **asked)
                seen.append(answer.json()["job"])
                wait((marks / f"held:{step}").exists, 120)
                job = httpx2.get(f"{address}/v1/jobs/{seen[0]}").json()
                assert (job["state"], job["step"]) == ("running", step)
                process.kill()
                process.wait()
            (marks / f"on:{step}").touch()
        with serving(home, **QUICK) as (_, address):
            job = ended(address, seen[0])
            assert job["state"] == "succeeded", job
            again = httpx2.post(f"{address}/v1/retrain", **asked)
            assert again.json()["job"] == job["id"]
            moves = httpx2.get(f"{address}/v1/aliases/moves?alias=champion").json()["items"]
    finally:
        worker.terminate()
        worker.wait(10)
    assert set(seen) == {job["id"]}
    assert [move["who"] for move in moves] == [f"job {job['id']}"]
    database = Database(ServiceSettings.read(home=home).database)
    assert counts(database, "retrain") == (1, 1, 1)
    database.close()
    assert [path.name for path in (home / "audits").iterdir()] == [job["id"]]


@pytest.mark.slow
def test_a_service_that_is_killed_with_its_worker_goes_on_when_it_is_started_again(tmp_path):
    """The way of the README: one command that answers and works."""
    config = tiny(method={"name": "erm", "epochs": 8, "batch_size": 2})
    process, address = start(tmp_path, "--open")
    answer = httpx2.post(f"{address}/v1/retrain", json=config, timeout=60)
    assert answer.status_code == 202, answer.text
    place = tmp_path / "jobs" / answer.json()["job"]
    wait(lambda: list(place.glob(".*/checkpoint.safetensors")), 90)
    process.kill()
    process.wait()
    process.stdout.close()
    process, address = start(tmp_path, "--open")
    try:
        job = ended(address, answer.json()["job"])
        assert job["state"] == "succeeded", job
        [version] = httpx2.get(f"{address}/v1/models").json()["items"]
        assert version["aliases"] == ["champion", "challenger"]
    finally:
        stop(process)
    history = pd.read_csv(tmp_path / "models" / job["id"] / "history.csv")
    assert history["epoch"].tolist() == list(range(1, 9))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """Address of an empty database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path / 'evenscan.db'}"


#: Senders at once; half of them ask one API, half the other.
SENDERS = 8


def test_two_processes_that_are_asked_at_once_do_it_once(url, tmp_path):
    settings = ServiceSettings.read(home=tmp_path, database_url=url, poll_seconds=0.05)
    together = threading.Barrier(SENDERS)
    requests = {kind: make(1) for kind, (make, _) in ASKED.items()}

    def ask(sender, kind, alone=False):
        request = requests[kind] | {"url": addresses[sender % 2] + requests[kind]["url"]}
        request |= {"headers": {"Idempotency-Key": "the-same"}, "timeout": 150}
        if not alone:
            together.wait(60)
        return httpx2.post(**request)

    with (
        working(settings),
        serving(tmp_path, EVENSCAN_DATABASE_URL=url, **QUICK) as (_, one),
        serving(tmp_path, EVENSCAN_DATABASE_URL=url, **QUICK) as (_, other),
        ThreadPoolExecutor(SENDERS) as pool,
    ):
        addresses = [one, other]
        database = Database(url)
        for kind in ASKED:
            made = counts(database, kind)[2]
            answers = list(pool.map(ask, range(SENDERS), [kind] * SENDERS))
            assert {answer.status_code for answer in answers} <= {202, 409}
            [job] = {a.json()["job"] for a in answers if a.status_code == 202}
            assert ended(one, job)["state"] == "succeeded"
            assert counts(database, kind) == (1, 1, made + 1)
            late = [ask(sender, kind, alone=True) for sender in range(2)]
            assert [answer.json().get("job", answer.text) for answer in late] == [job] * 2
        database.close()
