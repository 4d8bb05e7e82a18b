"""Audits and retrainings as jobs, done by a real worker in this process."""

import json
import os
import time

import numpy as np
import pandas as pd
import pytest
from service_samples import NOTHING, is_problem, promoted, tiny

from evaluation.audit import Audit
from evaluation.errors import Fault, InputError
from service.jobs.jobs import Jobs
from service.jobs.jobs import add as jobs_add
from service.jobs.queue import JOBS
from service.jobs.workflows import Workflows
from service.storage.tables import Job


def table(rows=80):
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, rows)
    return pd.DataFrame(
        {
            "sample": [f"s{n}" for n in range(rows)],
            "patient": [f"p{n // 2}" for n in range(rows)],
            "label": label,
            "score": np.clip(0.3 * label + 0.6 * generator.random(rows), 0, 1),
            "sex": np.where(np.arange(rows) % 3, "female", "male"),
        }
    )


def names(folder):
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


def post(running, frame, attributes="sex", policy=None, name="mine.csv"):
    files = {"predictions": (name, frame.to_csv(index=False))}
    if policy is not None:
        files["policy"] = ("policy.toml", policy)
    return running.client.post("/v1/audits", files=files, data={"attributes": attributes})


def ended(running, response, seconds=60):
    """The job of an accepted request, once it has ended."""
    assert response.status_code == 202, response.text
    assert response.headers["retry-after"] == "2"
    location = response.headers["location"]
    assert response.json() == {"job": location.rpartition("/")[2], "location": location}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = running.client.get(location).json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise TimeoutError(job)


POLICY = """
name = "least"
[[clause]]
quantity = "overall"
metric = "auroc"
minimum = 0.99
"""


def test_an_audit(worked):
    job = ended(worked, post(worked, table(), policy=POLICY))
    assert (job["state"], job["kind"], job["progress"]) == ("succeeded", "audit", 1.0)
    assert job["result"]["verdict"] == "FAIL"
    assert "AUROC overall is at least 0.99: FAIL" in job["reason"]
    response = worked.client.get(job["result"]["links"]["audit"])
    assert response.headers["content-type"] == "application/json"
    audit = Audit.from_json(response.text)
    assert audit.verdict == "FAIL"
    assert {group.group for group in audit.cohort} >= {"sex: female", "sex: male"}
    report = worked.client.get(job["result"]["links"]["report"])
    assert report.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in report.headers["content-security-policy"]
    assert "FAIL" in report.text


def test_an_audit_without_a_policy_has_no_verdict(worked):
    job = ended(worked, post(worked, table()))
    assert (job["state"], job["result"]["verdict"]) == ("succeeded", None)


def test_faults_of_a_table_are_told_before_it_is_queued(worked):
    frame = table()
    frame.loc[3, "score"] = 1.3
    frame.loc[5, "sample"] = "s0"
    before = len(worked.client.get("/v1/jobs?limit=100").json()["items"])
    body = is_problem(post(worked, frame), 422)
    places = {(fault["row"], fault["column"]) for fault in body["errors"]}
    assert places == {(4, "score"), (6, "sample")}
    assert len(worked.client.get("/v1/jobs?limit=100").json()["items"]) == before


def test_a_refused_upload_is_not_kept(worked):
    before = names(worked.services.layout.uploads)
    is_problem(post(worked, table().drop(columns="label")), 422)
    assert names(worked.services.layout.uploads) == before


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda f: f.drop(columns="sex"), "no attribute column 'sex'"),
        (lambda f: f.drop(columns="score"), "no score column"),
        (lambda f: f.assign(label=2), "label"),
        (lambda f: f.assign(sex=""), "every value is missing"),
        (lambda f: f.iloc[:0], "no rows"),
    ],
)
def test_bad_tables(worked, change, found):
    body = is_problem(post(worked, change(table())), 422)
    assert found in body["detail"]
    assert str(worked.settings.home) not in body["detail"]


@pytest.mark.parametrize("attributes", ["", " , "])
def test_no_attribute(worked, attributes):
    response = post(worked, table(), attributes=attributes)
    assert is_problem(response, 422)["errors"][0]["column"] == "attributes"


def test_an_upload_is_not_kept_longer_than_its_job(worked):
    job = ended(worked, post(worked, table()))
    assert job["id"] not in names(worked.services.layout.uploads)


def test_not_a_table(worked):
    files = {"predictions": ("x.parquet", b"PAR1 and then nothing")}
    response = worked.client.post("/v1/audits", files=files, data={"attributes": "sex"})
    body = is_problem(response, 422)
    assert "not readable as a table" in body["detail"]
    assert str(worked.settings.home) not in body["detail"]


@pytest.mark.parametrize("name", ["x.xlsx", "x", "../../x.exe"])
def test_other_files(worked, name):
    assert ".csv or .parquet" in is_problem(post(worked, table(), name=name), 422)["detail"]


@pytest.mark.parametrize("policy", ["name = ", 'name = "x"', 'name = "x"\nclauses = 1'])
def test_bad_policies(worked, policy):
    is_problem(post(worked, table(), policy=policy), 422)


def test_a_table_without_test_rows_is_refused_at_once(worked):
    before = names(worked.services.layout.uploads)
    body = is_problem(post(worked, table().assign(split="train")), 422)
    assert "has no test rows" in body["detail"]
    assert names(worked.services.layout.uploads) == before


def test_an_attribute_with_very_many_values_is_refused_at_once(worked):
    many = table().assign(sex=lambda rows: [f"value {i}" for i in range(len(rows))])
    assert "distinct values" in is_problem(post(worked, many), 422)["detail"]


def test_an_audit_that_cannot_be_made_fails_with_its_reason(worked, monkeypatch):
    def refuse(*arguments, **named):
        raise InputError(Fault("mine.csv", "cannot be audited", "Give another."))

    monkeypatch.setattr("service.audit.audits.audit", refuse)
    job = ended(worked, post(worked, table()))
    assert job["state"] == "failed"
    assert "cannot be audited" in job["reason"]
    assert job["errors"][0]["found"] == "cannot be audited"
    # What it was given is kept for another try, which has no need to send it again.
    assert job["id"] in names(worked.services.layout.uploads)
    monkeypatch.undo()
    again = ended(worked, worked.client.post(f"/v1/jobs/{job['id']}/retry"))
    assert (again["state"], again["parent"]) == ("succeeded", job["id"])
    assert not {job["id"], again["id"]} & names(worked.services.layout.uploads)
    is_problem(worked.client.post(f"/v1/jobs/{job['id']}/retry"), 409)
    is_problem(worked.client.post(f"/v1/jobs/{again['id']}/retry"), 409)
    is_problem(worked.client.post(f"/v1/jobs/{again['id']}/cancel"), 409)


@pytest.mark.parametrize(
    "body",
    [
        {"cohort": "phantom", "method": "\ud800"},
        {"cohort": {"name": "\ud800"}, "method": "erm"},
        {"cohort": [], "method": "erm", "deep": [[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]},
    ],
)
def test_what_no_store_can_keep_is_refused(worked, body):
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    response = worked.client.post("/v1/retrain", content=content, headers=headers)
    assert is_problem(response, 422)["detail"]


def test_bounds_that_are_no_numbers_are_refused(worked):
    policy = 'name = "x"\n[[clause]]\nquantity = "overall"\nmetric = "auroc"\nminimum = nan\n'
    assert "finite" in is_problem(post(worked, table(), policy=policy), 422)["detail"]


def test_no_worker(empty):
    response = post(empty, table())
    body = is_problem(response, 503)
    assert "evenscan worker" in body["detail"]
    assert response.headers["retry-after"]
    assert empty.client.get("/v1/jobs").json() == {"items": [], "next": None}


def test_a_retraining_that_fails_the_policy_is_held(worked, trained):
    client = worked.client
    champion = promoted(worked.services.registry, trained).id
    job = ended(worked, client.post("/v1/retrain", json=tiny(policy=NOTHING, seed=1)))
    assert job["state"] == "succeeded", job
    assert job["result"]["champion"] == champion
    assert (job["result"]["promoted"], job["result"]["patients"]) == (False, 60)
    held = f"Held against version {champion}: FAIL. Brier score overall is at most 0"
    assert held in job["reason"]
    assert worked.services.registry.champion().id == champion
    audit = Audit.from_json(client.get(job["result"]["links"]["audit"]).text)
    assert (audit.champion, audit.verdict) == (f"version {champion}", "FAIL")
    assert job["id"] not in names(worked.services.layout.jobs)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"method": "emr"}, "Did you mean 'erm'?"),
        ({"method": {"name": "erm", "epoch": 1}}, "Did you mean 'epochs'?"),
        ({"method": {"name": "erm", "epochs": 0}}, "epochs"),
        ({"method": None}, "no method is named"),
        ({"cohort": "phantm"}, "Did you mean 'phantom'?"),
        ({"cohort": 3}, "cohort"),
        ({"shift": {"name": "unseen"}}, "no shift is called"),
        ({"audit": {"attributes": ["age"]}}, "no attribute is called 'age'"),
        ({"sise": 28}, "Did you mean 'size'?"),
        ({"policy": None}, "no policy for the gate"),
        ({"policy": {"name": "x"}}, "clause"),
    ],
)
def test_bad_retrain_requests_are_refused_before_they_are_queued(worked, change, found):
    response = worked.client.post("/v1/retrain", json=tiny(**change))
    assert found in is_problem(response, 422)["detail"]


@pytest.mark.parametrize("body", [[], "text", 3])
def test_a_body_that_is_no_object(worked, body):
    is_problem(worked.client.post("/v1/retrain", json=body), 422)


def test_paths_in_a_cohort_do_not_leave_its_folder(worked):
    request = tiny()
    request["cohort"] |= {"root": "../../etc"}
    is_problem(worked.client.post("/v1/retrain", json=request), 422)


def test_a_cohort_by_name(worked, tmp_path):
    from service.routes.retrain import expand

    request = expand({"cohort": "phantom", "method": "erm"}, worked.settings)
    assert request["cohort"]["name"] == "phantom"
    assert request["method"] == {"name": "erm"}


def test_a_crash_of_a_step_ends_the_job_without_a_traceback(worked, monkeypatch):
    def crash(*arguments):
        raise ZeroDivisionError("inside /home/somebody")

    monkeypatch.setattr("service.jobs.retrain.execute", crash)
    job = ended(worked, worked.client.post("/v1/retrain", json=tiny()))
    assert job["state"] == "failed"
    assert job["reason"].startswith("The step 'train' stopped with ZeroDivisionError.")
    assert "/home" not in str(job)


def test_an_unreadable_cohort_ends_the_job_with_its_faults(worked):
    cohort = tiny()["cohort"] | {
        "format": "images",
        "root": "missing",
        "source": {"manifest": "table.csv", "images": "images", "pattern": "{file}"},
    }
    response = worked.client.post("/v1/retrain", json=tiny(cohort=cohort))
    job = ended(worked, response)
    assert (job["state"], job["step"]) == ("failed", "ingest")
    assert job["errors"]


def test_jobs_are_listed_newest_first(worked):
    jobs = worked.client.get("/v1/jobs?limit=2").json()["items"]
    assert len(jobs) == 2
    assert jobs[0]["created"] >= jobs[1]["created"]
    is_problem(worked.client.get("/v1/jobs?limit=0"), 422)


def test_a_cancelled_workflow_ends_its_job(worked):
    queue, jobs = worked.services.queue, worked.services.jobs
    with worked.services.database.write() as session:
        jobs_add(session, Job(id="later", kind="retrain", request=tiny()))
    options = {"workflow_name": "retrain", "queue_name": JOBS, "workflow_id": "later"}
    queue.client.enqueue(options | {"delay_seconds": 600}, "later")
    workflows = Workflows(worked.settings, worked.services.database)
    workflows.reconcile()
    assert jobs.get("later").state == "queued"
    queue.client.cancel_workflow("later")
    workflows.reconcile()
    assert jobs.get("later").state == "cancelled"


def test_a_job_whose_workflow_broke_off_ends(worked, monkeypatch):
    """The row could not even be written when the step began."""

    def lost(*arguments):
        raise OSError

    monkeypatch.setattr(Workflows, "_attempt", lost)
    location = post(worked, table()).headers["location"]
    workflows = Workflows(worked.settings, worked.services.database)
    deadline = time.monotonic() + 20
    while worked.client.get(location).json()["state"] == "queued":
        workflows.reconcile()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "broke off" in worked.client.get(location).json()["reason"]


def test_an_end_is_final(worked):
    job = worked.client.get("/v1/jobs?limit=1").json()["items"][0]
    Jobs(worked.services.database).begin(job["id"], "again")
    after = worked.client.get(f"/v1/jobs/{job['id']}").json()
    assert after["state"] == job["state"]


def test_what_processes_left_that_died_is_swept(worked):
    layout = worked.services.layout
    old, new = layout.uploads / "died", layout.uploads / "arriving"
    for folder in (old, new, layout.audits / ".half", layout.models / ".incoming-half"):
        folder.mkdir(parents=True)
    for folder in (old, layout.audits / ".half", layout.models / ".incoming-half"):
        os.utime(folder, (0, 0))
    Workflows(worked.settings, worked.services.database).sweep()
    assert not old.exists()
    assert new.exists()
    assert not (layout.audits / ".half").exists()
    assert not (layout.models / ".incoming-half").exists()
    new.rmdir()


def test_settings_and_a_policy_by_name_say_what_the_command_line_would(worked, tmp_path):
    from evaluation.request import AuditRequest
    from evaluation.settings import read_toml

    frame = table().rename(columns={"score": "risk"}).assign(age=range(80))
    text = (
        '[audit]\nmetrics = ["auroc", "accuracy"]\ndraws = 100\n'
        '[[audit.attributes]]\nname = "age"\nbins = [40]\n[columns]\nscore = "risk"\n'
    )
    files = {
        "predictions": ("mine.csv", frame.to_csv(index=False)),
        "settings": ("audit.toml", text),
    }
    response = worked.client.post("/v1/audits", files=files, data={"policy_name": "research"})
    made = worked.client.get(f"/v1/audits/{ended(worked, response)['result']['audit']}").text
    (tmp_path / "mine.csv").write_text(frame.to_csv(index=False))
    (tmp_path / "audit.toml").write_text(text)
    request = AuditRequest.gather(read_toml(tmp_path / "audit.toml"), "audit.toml")
    assert made == request.run(tmp_path / "mine.csv", "research").to_json()


@pytest.mark.parametrize(
    ("settings", "data", "said"),
    [
        ("[audit]\nmetrics = ['aurok']", {"attributes": "sex"}, "Did you mean 'auroc'"),
        ("[columns]\nscoer = 'x'", {"attributes": "sex"}, "Did you mean 'score'"),
        ("[audit", {"attributes": "sex"}, "not readable as TOML"),
        ("", {"attributes": "sex", "policy_name": "screning"}, "Did you mean 'screening'"),
        ("", {"attributes": "sex", "policy_name": "pyproject.toml"}, "no policy is called"),
    ],
)
def test_bad_settings_of_an_audit(worked, settings, data, said):
    files = {
        "predictions": ("mine.csv", table().to_csv(index=False)),
        "settings": ("audit.toml", settings),
    }
    response = worked.client.post("/v1/audits", files=files, data=data)
    assert said in is_problem(response, 422)["detail"]
