"""Jobs are cancelled wherever they are, and tried again from where they were."""

import re
import time
from datetime import timedelta

import pytest
from service_samples import is_problem, tiny
from sqlalchemy import select
from test_jobs import ended, post, table

from service.jobs.jobs import Jobs
from service.storage.tables import AliasEvent, Job, now

LONG = {"name": "erm", "epochs": 8, "batch_size": 2}


def lines(running, job):
    """What was said of a job, as kind and text."""
    page = running.client.get(f"/v1/jobs/{job}/logs?limit=100").json()
    return [(line["kind"], line["text"]) for line in page["items"]]


def epochs(said):
    return [int(n) for _, text in said for n in re.findall(r"epoch (\d+) of", text)]


def retrain(running, **changes):
    return running.client.post("/v1/retrain", json=tiny(**changes))


@pytest.fixture
def at(monkeypatch):
    """Cancels every job while it is in a step."""

    def cancel_in(name):
        begin = Jobs.begin

        def begun(jobs, job, step, **options):
            answer = begin(jobs, job, step, **options)
            if step == name:
                assert jobs.ask_to_cancel(job, "a test")
            return answer

        monkeypatch.setattr(Jobs, "begin", begun)

    return cancel_in


def champions(running):
    """Numbers of the versions that were ever promoted."""
    events = select(AliasEvent.version_id).where(AliasEvent.alias == "champion")
    with running.services.database.read() as session:
        return session.scalars(events.order_by(AliasEvent.id)).all()


STEPS = ["ingest", "split", "train", "audit of a table"]
LATE = [pytest.param(step, marks=pytest.mark.slow) for step in ("audit", "compare", "gate")]


@pytest.mark.parametrize("step", [*STEPS, *LATE])
def test_a_job_is_cancelled_in_any_step(worked, at, step):
    at(step.partition(" ")[0])
    response = post(worked, table()) if " of " in step else retrain(worked)
    before = champions(worked)
    job = ended(worked, response)
    assert (job["state"], job["cancelling"]) == ("cancelled", True)
    assert job["reason"].startswith("It was cancelled ")
    said = lines(worked, job["id"])
    assert said[0] == ("state", "queued")
    assert said[-1] == ("state", "cancelled")
    assert ("log", "a test wants it to be cancelled.") in said
    assert job["result"] == {}
    assert champions(worked) == before
    assert worked.client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202


def test_what_lasts_is_not_cancelled(worked, at):
    """From the moment on in which the version is the challenger, which others see."""
    at("register")
    job = ended(worked, retrain(worked))
    assert (job["state"], job["cancelling"]) == ("succeeded", True)
    assert "promoted" in job["result"]
    is_problem(worked.client.post(f"/v1/jobs/{job['id']}/cancel"), 409)


def test_a_queued_job_is_cancelled_at_once_and_never_begins(worked):
    running = retrain(worked, method=LONG, seed=3).headers["location"]
    waiting = retrain(worked).headers["location"]
    assert worked.client.post(f"{waiting}/cancel").status_code == 202
    job = worked.client.get(waiting).json()
    assert (job["state"], job["step"]) == ("cancelled", "")
    assert job["reason"] == "It was cancelled by somebody at this machine before it began."
    assert worked.client.post(f"{running}/cancel").status_code == 202
    done(worked, running)
    # Its workflow is begun later, and finds that there is nothing to do.
    last = ended(worked, post(worked, table()))
    assert last["state"] == "succeeded"
    assert [kind for kind, _ in lines(worked, job["id"])] == ["state", "log", "state"]


def done(running, location, seconds=60):
    deadline = time.monotonic() + seconds
    while (job := running.client.get(location).json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


def test_a_training_stops_within_an_epoch_and_another_try_goes_on_from_its_checkpoint(worked):
    location = retrain(worked, method=LONG, seed=11).headers["location"]
    name = location.rpartition("/")[2]
    deadline = time.monotonic() + 60
    while max(epochs(lines(worked, name)), default=0) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert worked.client.post(f"{location}/cancel").status_code == 202
    job = done(worked, location)
    assert (job["state"], job["reason"]) == (
        "cancelled",
        "It was cancelled in the step 'train'.",
    )
    first = epochs(lines(worked, name))
    assert first == list(range(1, len(first) + 1))
    assert len(first) < LONG["epochs"]

    again = ended(worked, worked.client.post(f"{location}/retry"))
    assert (again["state"], again["parent"]) == ("succeeded", name)
    later = epochs(lines(worked, again["id"]))
    # The epoch that was cut off is the only one that is trained again.
    assert later[0] in (len(first), len(first) + 1)
    assert later == list(range(later[0], LONG["epochs"] + 1))
    assert list(worked.services.layout.jobs.glob(f"{name}*")) == []


def test_another_try_of_a_key_is_one_job(worked, at):
    at("ingest")
    job = ended(worked, retrain(worked))
    keyed = {"Idempotency-Key": "retry-once"}
    answers = [
        worked.client.post(f"/v1/jobs/{job['id']}/retry", headers=keyed) for _ in range(2)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert answers[0].json() == answers[1].json()
    is_problem(worked.client.post(f"/v1/jobs/{job['id']}/retry"), 409)
    done(worked, answers[0].headers["location"])


def test_what_is_not_kept_cannot_be_tried_again(worked):
    days = worked.settings.keep_days
    row = Job(id="long-ago", kind="audit", state="failed", request={})
    with worked.services.database.write() as session:
        row.updated = row.created = now() - timedelta(days=days + 1)
        session.add(row)
    body = is_problem(worked.client.post("/v1/jobs/long-ago/retry"), 409)
    assert "not kept any more" in body["detail"]


def test_the_same_request_is_taken_on_once(worked):
    keyed = {"Idempotency-Key": "the-same"}
    before = len(worked.client.get("/v1/jobs?limit=100").json()["items"])
    first, second = (
        worked.client.post("/v1/retrain", json=tiny(seed=5), headers=keyed) for _ in range(2)
    )
    assert first.json() == second.json()
    other = worked.client.post("/v1/retrain", json=tiny(seed=6), headers=keyed)
    is_problem(other, 422)
    assert len(worked.client.get("/v1/jobs?limit=100").json()["items"]) in (before + 1, 100)
    worked.client.post(f"{first.headers['location']}/cancel")
    done(worked, first.headers["location"])


def test_jobs_that_are_not_there(worked):
    for place in ("cancel", "retry"):
        is_problem(worked.client.post(f"/v1/jobs/none/{place}"), 404)
    for place in ("", "/logs", "/events"):
        is_problem(worked.client.get(f"/v1/jobs/none{place}"), 404)
