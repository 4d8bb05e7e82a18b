"""Audits of model versions on cohorts of the service."""

import pytest
from audit_samples import ended, succeeded
from service_samples import ANYTHING, is_problem, tiny

from evaluation.audit import Audit
from service.storage.tables import Cohort
from training.run import load_run, read_split


def put(running, folder, name, **changes):
    """A cohort of the service that is drawn, not uploaded."""
    folder.mkdir()
    running.services.store.keep(f"cohorts/{name}", folder)
    schema = tiny()["cohort"] | changes
    row = Cohort(
        id=name, name="tiny", fingerprint="f", schema=schema, who="", job="", report={}
    )
    row.directory = f"cohorts/{name}"
    with running.services.database.write() as session:
        session.merge(row)
    return name


@pytest.fixture
def version(worked, trained):
    """A model of the service."""
    return worked.services.registry.register(trained)


@pytest.fixture
def cohort(worked, tmp_path):
    """The cohort that the model was trained on."""
    return put(worked, tmp_path / "cohort", "tiny-1")


def ask(running, **body):
    return running.client.post("/v1/audits", json=body)


def read(running, result):
    return Audit.from_json(running.client.get(result["links"]["audit"]).text)


def test_a_model_is_audited_on_patients_it_has_not_seen(worked, version, cohort, trained):
    result = succeeded(worked, ask(worked, model=version.id, cohort=cohort, policy=ANYTHING))
    audit, own = read(worked, result), load_run(trained).audit
    split = read_split(trained)
    unseen = split[~split["split"].isin(["train", "validation"])]
    everyone = next(size for size in audit.cohort if size.group == "all")
    assert everyone.patients == unseen["patient"].nunique()
    assert audit.source == f"version {version.id} on {cohort}"
    assert (result["model"], result["cohort"], result["verdict"]) == (
        version.id,
        cohort,
        "PASS",
    )
    assert audit.thresholds[0].value == own.thresholds[0].value
    assert audit.thresholds[0].rule == "fixed"
    assert audit.leakage
    # The test patients of its own audit are the same, so what is found is too.
    assert audit.estimate("auroc").value == pytest.approx(own.estimate("auroc").value)
    listed = worked.client.get("/v1/audits", params={"model": version.id}).json()["items"]
    assert result["audit"] in {each["id"] for each in listed}


def test_rows_that_were_learnt_from_are_said_loudly_and_never_pass(worked, version, cohort):
    asked = {"model": version.id, "cohort": cohort, "rows": "all", "policy": ANYTHING}
    job = ended(worked, ask(worked, **asked, audit={"metrics": ["auroc"]}))
    audit = read(worked, job["result"])
    assert audit.notes[0].startswith("NOT AN INDEPENDENT TEST")
    assert "NOT AN INDEPENDENT TEST" in job["reason"]
    assert audit.verdict == "INSUFFICIENT"
    assert {each.metric for each in audit.estimates} == {"auroc"}
    report = worked.client.get(job["result"]["links"]["report"]).text
    assert "NOT AN INDEPENDENT TEST" in report


def test_every_fault_of_a_request_is_told(worked, version, tmp_path):
    label = {"column": "lesion", "classes": {"no": ["absent"], "yes": ["present"]}}
    other = put(worked, tmp_path / "other", "other-1", label=label)
    body = {
        "model": version.id,
        "cohort": other,
        "audit": {"threshold": 0.2, "attributes": ["sexx"], "metrics": ["aurok"]},
        "policy_name": "screning",
    }
    detail = is_problem(ask(worked, **body), 422)["detail"]
    for said in ("absent, present", "frozen", "'sex'", "'auroc'", "'screening'"):
        assert said in detail


def test_a_model_that_has_seen_everybody(worked, version, tmp_path, trained, monkeypatch):
    cohort = put(worked, tmp_path / "c", "tiny-1")
    split = read_split(trained).assign(split="train")
    monkeypatch.setattr("service.audit.audited_version.read_split", lambda folder: split)
    detail = is_problem(ask(worked, model=version.id, cohort=cohort), 422)["detail"]
    assert "every patient of the cohort was learnt from" in detail


def test_patients_with_other_names_are_said(worked, version, cohort, trained, monkeypatch):
    split = read_split(trained)
    split["patient"] = "x" + split["patient"]
    monkeypatch.setattr("service.audit.audited_version.read_split", lambda folder: split)
    audit = read(worked, succeeded(worked, ask(worked, model=version.id, cohort=cohort)))
    assert "may have learnt from them" in audit.notes[0]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": 999, "cohort": "tiny-1"}, 422, "no model version '999'"),
        ({"model": "1"}, 422, "'cohort' is missing"),
        ({"model": 1, "cohort": "none"}, 422, "no cohort"),
        ({"model": 1, "cohort": "tiny-1", "rows": "some"}, 422, "rows"),
        ({"model": 1, "cohort": "tiny-1", "row": "all"}, 422, "Did you mean 'rows'?"),
        ({"model": 1, "cohort": "c", "policy": {}, "policy_name": "x"}, 422, "one of them"),
        ([], 422, "no object"),
    ],
)
def test_bad_requests(worked, version, cohort, body, status, said):
    if isinstance(body, dict) and body.get("model") == 1:
        body = body | {"model": version.id}
    assert said in is_problem(worked.client.post("/v1/audits", json=body), status)["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"model": NaN}', b'"\\ud800"'])
def test_no_json(worked, body):
    headers = {"content-type": "application/json"}
    answer = worked.client.post("/v1/audits", content=body, headers=headers)
    is_problem(answer, 400)


def test_deep_json(worked):
    body = b'{"audit": {"a":' + b"[" * 500 + b"]" * 500 + b"}}"
    headers = {"content-type": "application/json"}
    answer = worked.client.post("/v1/audits", content=body, headers=headers)
    assert "nested" in is_problem(answer, 422)["detail"]
