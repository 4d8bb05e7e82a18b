"""What Prometheus reads is what happened, with few labels whatever requests bring."""

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from service_samples import HERE, png
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.health.metrics import Metrics
from service.security.keys import Keys
from service.storage.tables import Job


def read(client, **more):
    answer = client.get("/metrics", **more)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_template_and_status(empty):
    for number in range(3):
        empty.client.get(f"/v1/jobs/{number}")
    empty.client.get("/v1/models")
    for number in range(3):
        empty.client.get(f"/whatever/{number}")
    empty.client.request("STRANGE", "/v1/models")
    empty.client.head("/v1/models")
    empty.client.post("/v1/audits", content=b"x")
    found = read(empty.client)
    total = "evenscan_requests_total"
    assert found[total, "GET", "/v1/jobs/{job}", "404"] == 3
    assert found[total, "GET", "/v1/models", "200"] == 1
    assert found[total, "HEAD", "/v1/models", "200"] == 1
    assert found[total, "GET", "none", "404"] == 3
    assert found[total, "other", "/v1/models", "405"] == 1
    assert found[total, "POST", "/v1/audits", "415"] == 1
    assert found["evenscan_request_seconds_count", "GET", "/v1/jobs/{job}"] == 3
    assert found["evenscan_requests_in_flight",] == 1  # this one


def test_crashes_are_counted(empty, monkeypatch):
    def crash(name):
        raise RuntimeError("inside")

    monkeypatch.setattr(empty.services.jobs, "get", crash)
    empty.client.get("/v1/jobs/x")
    assert read(empty.client)["evenscan_requests_total", "GET", "/v1/jobs/{job}", "500"] == 1


def test_whoever_is_turned_away_is_counted(settings):
    closed = settings.model_copy(update={"open": False, "rate": "2/minute"})
    app = create_app(closed)
    with TestClient(app, base_url=HERE) as client:
        client.get("/v1/jobs/x")
        _, key = Keys(app.state.services.database).create("someone", "viewer", [], "1d")
        headers = {"X-API-Key": key}
        client.get("/v1/keys", headers=headers)
        client.get("/v1/models", headers=headers)
        client.get("/v1/models", headers=headers)
        _, other = Keys(app.state.services.database).create("other", "viewer", [], "1d")
        found = read(client, headers={"X-API-Key": other})
        assert client.get("/metrics").status_code == 401
    total = "evenscan_requests_total"
    assert found[total, "GET", "/v1/jobs/{job}", "401"] == 1
    assert found[total, "GET", "/v1/keys", "403"] == 1
    assert found[total, "GET", "/v1/models", "429"] == 1


def test_jobs_are_read_from_the_database(empty):
    with empty.services.database.write() as session:
        for number, state in enumerate(("queued", "queued", "failed")):
            session.add(Job(id=str(number), kind="audit", state=state, request={}))
    found = read(empty.client)
    assert found["evenscan_jobs", "queued"] == 2
    assert found["evenscan_jobs", "failed"] == 1
    assert found["evenscan_jobs", "running"] == 0


def test_without_a_database_the_rest_is_told(empty, monkeypatch):
    def gone():
        raise OperationalError("SELECT", {}, Exception("gone"))

    empty.client.get("/health/ready")  # so that nobody is looking any more
    monkeypatch.setattr(empty.services.database, "read", gone)
    monkeypatch.setattr(
        empty.services.readiness, "checks", {"database": gone, "champion": gone}
    )
    monkeypatch.setattr(empty.services.readiness, "_until", 0.0)
    found = read(empty.client)
    assert ("evenscan_jobs", "queued") not in found
    assert found["evenscan_ready", "database"] == 0


def test_what_runs_here(empty):
    found = read(empty.client)
    assert found["process_resident_memory_bytes",] > 2**20
    assert any(name[0] == "evenscan_build_info" for name in found)
    assert found["evenscan_ready", "database"] == 1
    assert found["evenscan_images_waiting",] == 0


def test_models_batches_and_predictions(served):
    before = read(served.client)
    answer = served.client.post("/v1/predictions", files={"images": ("a.png", png())})
    assert answer.status_code == 200, answer.text
    found = read(served.client)
    assert found["evenscan_models_in_memory",] == 1
    assert found["evenscan_batch_images_count",] >= 1
    [said] = answer.json()["predictions"]
    more = {
        set(key[1:]) ^ {"1"} == {said["decision"]}: value - before.get(key, 0)
        for key, value in found.items()
        if key[0] == "evenscan_predictions_total" and value > before.get(key, 0)
    }
    assert more == {True: 1}


def test_open_metrics_on_request(empty):
    kind = "application/openmetrics-text; version=1.0.0"
    answer = empty.client.get("/metrics", headers={"Accept": kind})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    plain = empty.client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")


def test_two_apps_do_not_share_numbers():
    one, two = Metrics(), Metrics()
    one.predicted(3, "ill", 2)
    name, labels = "evenscan_predictions_total", {"version": "3", "decision": "ill"}
    assert one.registry.get_sample_value(name, labels) == 2
    assert two.registry.get_sample_value(name, labels) is None


@pytest.mark.parametrize("path", ["/v1/jobs/" + "x" * 3000, "/%ff%fe", "/v1/jobs/%0a"])
def test_paths_are_no_labels(empty, path):
    empty.client.get(path)
    routes = {key[2] for key in read(empty.client) if key[0] == "evenscan_requests_total"}
    assert routes <= {"none", "/v1/jobs/{job}", "/metrics"}
