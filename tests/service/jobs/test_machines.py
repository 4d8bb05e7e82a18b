"""Two machines with one database and one bucket: what the one has made the other can give."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import obstore
import pytest
from audit_samples import FEW, predictions
from cohort_samples import form, images, table, zipped
from servers import bucket, s3  # noqa: F401  fixtures
from service_samples import png, tiny
from test_processes import environment, wait
from test_shutdown import serving

from service.storage.object_store import ObjectStore

IMAGES = 80


@pytest.fixture
def shared(bucket, s3, tmp_path):  # noqa: F811
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
def test_what_one_machine_has_made_another_gives(shared, bucket, s3, tmp_path):  # noqa: F811
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
