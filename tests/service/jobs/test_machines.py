"""Two machines with one database and one bucket: what the one has made the other can give."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import httpx2
import obstore
import pytest
from audit_samples import FEW, predictions
from cohort_samples import SCHEMA, form, images, table, zipped
from service_samples import png, tiny
from sqlalchemy import update
from test_processes import environment, wait
from test_shutdown import serving
from workflow_samples import Bench

from service.cohort.ingest import Ingestion
from service.jobs.workflow import Task
from service.jobs.workflows import Workflows
from service.settings import ServiceSettings
from service.storage.object_store import ObjectStore
from service.storage.tables import Job, now

IMAGES = 80


@pytest.fixture
def shared(bucket, s3, tmp_path):
    """What the machines have in common, as variables."""
    return {
        "EVENSCAN_DATABASE_URL": f"sqlite:///{tmp_path / 'evenscan.db'}",
        "EVENSCAN_STORE_URL": f"s3://{bucket}/evenscan",
        "EVENSCAN_STORE_ENDPOINT": s3,
        "EVENSCAN_SECRET": "a secret of both machines, of 32 letters or more",
        "EVENSCAN_POLL_SECONDS": "0.05",
        "EVENSCAN_CHECK_SECONDS": "120",
    }


@contextmanager
def machine(home, shared):
    """A client of an API with a worker beside it, in a home of their own."""
    home.mkdir()
    worker = subprocess.Popen(
        [sys.executable, "-m", "service", "worker"],
        env=environment(home) | shared | {"EVENSCAN_EXECUTOR": home.name},
    )
    try:
        with (
            serving(home, **shared) as (_, address),
            httpx2.Client(base_url=address, timeout=150) as client,
        ):
            yield client
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()


def done(client, answer):
    """The result of the job that was asked for."""
    assert answer.status_code == 202, answer.text
    job = {}

    def over():
        job.update(client.get(answer.headers["location"]).json())
        return job["state"] not in ("queued", "running")

    wait(over, 120)
    assert job["state"] == "succeeded", job
    return job["result"] | {"job": job["id"]}


def predicted(client):
    files = {"images": ("a.png", png())}
    answer = client.post("/v1/predictions", files=files)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.slow
def test_what_one_machine_has_made_another_gives(shared, bucket, s3, tmp_path):
    with machine(tmp_path / "first", shared) as first:
        files = form(manifest=table(IMAGES), pictures=zipped(images(IMAGES)))
        cohort = done(first, first.post("/v1/cohorts", files=files))
        wanted = tiny(cohorts=[cohort["cohort"]])
        del wanted["cohort"]
        trained = done(first, first.post("/v1/retrain", json=wanted))
        assert trained["promoted"]
        sent = {"predictions": ("a.csv", predictions().to_csv(index=False)), "settings": FEW}
        asked = first.post("/v1/audits", files=sent, data={"attributes": "sex"})
        audited = done(first, asked)
        there = predicted(first)
        report = first.get(f"/v1/audits/{trained['audit']}/report").content
        run = first.get("/v1/models/1/run").content

    kept = ObjectStore(f"s3://{bucket}/evenscan", tmp_path / "copies", s3)
    assert kept.names("cohorts") == [f"cohorts/{cohort['job']}"]
    assert kept.names("models") == [f"models/{trained['job']}"]
    assert set(kept.names("audits")) == {
        f"audits/{each['audit']}" for each in (trained, audited)
    }
    assert kept.names("uploads") == []
    keys = [item["path"] for page in obstore.list(kept.bucket) for item in page]
    for name in ("model.onnx", "audit.json", "report.html", "images.zip"):
        assert any(key.endswith(f"/{name}") for key in keys), name
    for folder in ("models", "audits", "cohorts", "uploads", "jobs"):
        place = tmp_path / "first" / folder
        assert not place.exists() or list(place.iterdir()) == [], folder

    with machine(tmp_path / "second", shared) as second:
        assert predicted(second) == there
        assert second.get(f"/v1/audits/{trained['audit']}/report").content == report
        assert second.get("/v1/models/1/run").content == run
        summary = second.get(f"/v1/audits/{audited['audit']}/summary")
        assert summary.status_code == 200, summary.text
        described = second.get(f"/v1/cohorts/{cohort['cohort']}/report").json()
        assert described["samples"] == IMAGES
        # Its worker finds the model and the cohort there, too.
        body = {"model": "champion", "cohort": cohort["cohort"]}
        again = done(second, second.post("/v1/audits", json=body))
        assert again["model"] == 1
        compared = {"challenger": audited["audit"], "champion": audited["audit"]}
        done(second, second.post("/v1/audits/comparisons", json=compared))


@pytest.fixture
def machines(bucket, s3, tmp_path):
    """Makes the parts of a service on a new machine, which has nothing but what all share."""
    opened = []

    def new():
        settings = ServiceSettings.read(
            home=tmp_path / f"machine-{len(opened)}",
            database_url=f"sqlite:///{tmp_path / 'evenscan.db'}",
            store_url=f"s3://{bucket}/evenscan",
            store_endpoint=s3,
            secret="a secret of all machines, of 32 letters or more",
        )
        opened.append(Bench(settings))
        return opened[-1]

    yield new
    for each in opened:
        each.database.close()


def done_elsewhere(steps_of, job):
    """What a job finds whose steps are each done on a machine that has done none before."""
    found = {}
    for number, step in enumerate(steps_of().steps()):
        workflow = steps_of()
        again = workflow.steps()[number]
        assert not workflow.task.directory.exists()
        if again.only_if(found):
            found |= again.work(found)
        assert workflow.task.id == job, step
    return found


def test_each_step_of_a_retraining_may_be_done_on_another_machine(machines, cache):
    found = done_elsewhere(lambda: machines().retraining(tiny()), "job-1")
    assert (found["verdict"], found["promoted"], found["version"]) == ("PASS", True, 1)
    last = machines()
    Workflows(last.place.settings, last.database)._clear("job-1")
    assert last.place.store.names("work") == []
    assert last.place.registry.champion().run == found["run"]
    assert (last.place.registry.directory(last.place.registry.champion())).is_dir()


def test_each_step_of_an_upload_may_be_done_on_another_machine(machines, tmp_path):
    first = machines()
    folder = first.place.layout.uploads / ".sent"
    folder.mkdir()
    (folder / "part-0").write_text(table())
    (folder / "part-1").write_bytes(zipped(images()))
    first.place.store.keep("uploads/job-1", folder)
    request = {
        "cohort": SCHEMA,
        "tables": [{"file": "part-0", "name": "table.csv"}],
        "images": [{"file": "part-1", "name": "images.zip"}],
    }
    with first.database.write() as session:
        session.add(Job(id="job-1", kind="ingest", request=request))
    found = done_elsewhere(lambda: Ingestion(Task("job-1", request, machines().place)), "job-1")
    assert len(machines().place.cohorts.read(found["cohort"]).table) == 12


def test_what_a_job_has_shared_goes_with_it(machines):
    bench = machines()
    work = bench.retraining(tiny())
    work.split(work.ingest({}))
    assert bench.place.store.names("work") == ["work/job-1.split"]
    Workflows(bench.place.settings, bench.database).sweep()
    assert bench.place.store.names("work") == ["work/job-1.split"]
    bench.place.jobs.fail("job-1", "It is over.")
    with bench.database.write() as session:
        long_ago = now() - timedelta(days=100)
        session.execute(update(Job).values(updated=long_ago))
    Workflows(bench.place.settings, bench.database).sweep()
    assert bench.place.store.names("work") == []
