"""Comparisons: of two uploads, of two audits, of two models on a cohort."""

import pandas as pd
import pytest
from audit_samples import FEW, ended, post, predictions, succeeded
from service_samples import ANYTHING, is_problem
from test_audit_model import cohort, put, read, version  # noqa: F401  fixtures

PLACE = "/v1/audits/comparisons"


def upload(running, ours, theirs, **data):
    files = {
        "predictions": ("ours.csv", ours.to_csv(index=False)),
        "champion": ("theirs.csv", theirs.to_csv(index=False)),
        "settings": FEW,
    }
    return running.client.post(PLACE, files=files, data={"attributes": "sex"} | data)


def test_two_uploads(worked):
    result = succeeded(worked, upload(worked, predictions(), predictions(seed=1)))
    audit = read(worked, result)
    assert (audit.source, audit.champion) == ("ours.csv", "theirs.csv")
    assert audit.changes
    listed = worked.client.get(f"{result['links']['audit']}/summary").json()
    assert listed["against"] == "theirs.csv"


def test_a_better_champion_has_the_better_numbers(worked):
    best = predictions().assign(score=lambda frame: 0.05 + 0.9 * frame["label"])
    audit = read(worked, succeeded(worked, upload(worked, predictions(), best)))
    change = next(c for c in audit.changes if (c.metric, c.group) == ("auroc", "all"))
    assert change.value < 0


def test_other_rows_are_refused_with_every_fault(worked):
    theirs = predictions().iloc[2:]
    theirs = pd.concat([theirs, theirs.tail(1).assign(sample="new")])
    theirs["label"] = 1 - theirs["label"]
    theirs["patient"] = "q" + theirs["patient"]
    body = is_problem(upload(worked, predictions(), theirs), 422)
    assert len(body["errors"]) == 4
    assert "2 test rows are in ours.csv only" in body["detail"]
    assert "1 test rows are not in ours.csv" in body["detail"]
    assert {fault["column"] for fault in body["errors"]} == {None, "patient", "label"}
    assert "qp" not in body["detail"]
    assert "s2" not in body["detail"]


def test_faults_of_both_tables_are_told(worked):
    wrong = predictions()
    wrong.loc[0, "score"] = 2
    body = is_problem(upload(worked, wrong, wrong), 422)
    assert {fault["where"] for fault in body["errors"]} == {"ours.csv", "theirs.csv"}


def test_a_missing_file(worked):
    files = {"predictions": ("a.csv", predictions().to_csv(index=False))}
    answer = worked.client.post(PLACE, files=files, data={"attributes": "sex"})
    assert is_problem(answer, 422)["errors"][0]["column"] == "champion"


def test_two_audits(worked):
    ours, theirs = (
        succeeded(worked, post(worked, predictions(seed=seed)))["audit"] for seed in (0, 1)
    )
    body = {"challenger": ours, "champion": theirs, "policy": ANYTHING}
    result = succeeded(worked, worked.client.post(PLACE, json=body))
    audit = read(worked, result)
    assert audit.changes
    assert audit.champion == f"audit {theirs}"
    uploaded = read(
        worked, succeeded(worked, upload(worked, predictions(), predictions(seed=1)))
    )
    assert [c.value for c in audit.changes] == [c.value for c in uploaded.changes]


def test_audits_of_other_rows_and_no_audits(worked):
    ours, theirs = (
        succeeded(worked, post(worked, predictions(rows)))["audit"] for rows in (80, 60)
    )
    body = {"challenger": ours, "champion": theirs}
    detail = is_problem(worked.client.post(PLACE, json=body), 422)["detail"]
    assert "20 test rows" in detail
    body = {"challenger": "none", "champion": "neither"}
    faults = is_problem(worked.client.post(PLACE, json=body), 422)["errors"]
    assert [fault["column"] for fault in faults] == ["challenger", "champion"]


def test_two_models_on_a_cohort(worked, version, cohort):  # noqa: F811
    body = {"challenger": version.id, "champion": version.id, "cohort": cohort}
    job = ended(worked, worked.client.post(PLACE, json=body))
    assert job["state"] == "succeeded", job
    audit = read(worked, job["result"])
    assert audit.champion == f"version {version.id}"
    assert {c.value for c in audit.changes if c.group == "all"} == {0.0}


def test_models_that_are_not_there(worked, cohort):  # noqa: F811
    body = {"challenger": 998, "champion": 999, "cohort": cohort}
    is_problem(worked.client.post(PLACE, json=body), 422)


@pytest.mark.parametrize("change", [{"score": 0.5}, {"sex": "female"}])
def test_a_table_without_differences(worked, change):
    frame = predictions().assign(**change)
    assert succeeded(worked, upload(worked, frame, predictions()))["verdict"] is None
