"""Versions and aliases over REST."""

import json
import shutil
import zipfile
from io import BytesIO

import pytest
from service_samples import is_problem, png
from sqlalchemy import delete

from service.storage.tables import Answer, AuditRecord


@pytest.fixture
def filled(empty, trained):
    """A service with three versions, the first the champion."""
    for number in range(3):
        empty.services.registry.register(trained, f"job-{number}")
    empty.services.registry.promote(1, "a test", "first")
    return empty


def decided(**more):
    return {"who": "Ada", "why": "It is better."} | more


def test_versions_come_in_pages(filled):
    first = filled.client.get("/v1/models?limit=2").json()
    assert [each["id"] for each in first["items"]] == [3, 2]
    rest = filled.client.get("/v1/models", params={"limit": 2, "cursor": first["next"]}).json()
    assert [(each["id"], each["aliases"]) for each in rest["items"]] == [(1, ["champion"])]
    assert rest["next"] is None


def test_a_version_by_number_and_by_alias(filled):
    by_number = filled.client.get("/v1/models/1").json()
    assert filled.client.get("/v1/models/champion").json() == by_number
    assert by_number["moves"][0]["who"] == "a test"
    is_problem(filled.client.get("/v1/models/9"), 404)
    is_problem(filled.client.get("/v1/models/challenger"), 404)


def test_promotion_and_rollback_are_recorded(filled):
    assert filled.client.post("/v1/models/2/promote", json=decided()).status_code == 200
    assert filled.client.get("/v1/aliases").json() == {"champion": 2, "challenger": None}
    rolled = filled.client.post("/v1/aliases/champion/rollback", json=decided()).json()
    assert (rolled["version"], rolled["previous"], rolled["who"]) == (1, 2, "Ada")
    moves = filled.client.get("/v1/aliases/moves").json()["items"]
    assert [each["undoes"] for each in moves] == [2, None, None]
    refused = filled.client.post("/v1/aliases/champion/rollback", json=decided())
    is_problem(refused, 409)


def test_a_move_whose_answer_was_lost_is_not_made_again(filled):
    """As if the process had been killed between the commit and the answer."""
    for version in (2, 3):
        filled.services.registry.promote(version, "a test", "better")

    def ask(path, key, **body):
        headers = {"Idempotency-Key": key}
        answer = filled.client.post(path, json=decided(**body), headers=headers)
        with filled.services.database.write() as session:
            session.execute(delete(Answer))
        assert answer.status_code == 200, answer.text
        return answer.json()

    back = "/v1/aliases/champion/rollback"
    first, again = ask(back, "once"), ask(back, "once")
    assert first == again
    assert (first["version"], first["previous"]) == (2, 3)
    assert ask(back, "another")["version"] == 1
    ask("/v1/models/2/promote", "mine")
    filled.services.registry.promote(3, "somebody else", "since then")
    ask("/v1/models/2/promote", "mine")
    assert filled.client.get("/v1/aliases").json()["champion"] == 3


def test_a_verdict_that_is_not_pass_asks_for_an_override(filled):
    with filled.services.database.write() as session:
        session.add(AuditRecord(id="a", verdict="FAIL", directory="audits/a", version_id=2))
    refused = is_problem(filled.client.post("/v1/models/2/promote", json=decided()), 409)
    assert "the verdict on version 2 is FAIL" in refused["detail"]
    made = filled.client.post("/v1/models/2/promote", json=decided(override=True)).json()
    last = made["moves"][-1]
    assert last["why"] == "Override of verdict FAIL: It is better."
    assert last["audit"] == "a"


def test_without_a_verdict_too(empty, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "no-policy")
    audit = json.loads((run / "audit.json").read_text())
    (run / "audit.json").write_text(json.dumps(audit | {"verdict": None}))
    empty.services.registry.register(run)
    refused = is_problem(empty.client.post("/v1/models/1/promote", json=decided()), 409)
    assert "is missing" in refused["detail"]


def test_an_open_service_asks_who_decides(filled):
    body = is_problem(filled.client.post("/v1/models/2/promote", json={"why": "why"}), 422)
    assert body["errors"][0]["column"] == "who"


def test_a_deleted_version_is_gone(filled):
    is_problem(filled.client.delete("/v1/models/1"), 409)
    is_problem(filled.client.delete("/v1/models/9"), 404)
    asked = {"files": {"images": ("a.png", png())}}
    assert filled.client.post("/v1/predictions?model=2", **asked).status_code == 200
    assert filled.client.delete("/v1/models/2").status_code == 204
    is_problem(filled.client.post("/v1/predictions?model=2", **asked), 410)
    is_problem(filled.client.get("/v1/models/2"), 410)
    listed = filled.client.get("/v1/models").json()["items"]
    assert [each["deleted"] is not None for each in listed] == [False, True, False]
    assert filled.client.post("/v1/predictions", **asked).status_code == 200


def test_a_version_is_downloaded_as_its_run(filled, trained):
    answer = filled.client.get("/v1/models/champion/run")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        assert archive.read("model.onnx") == (trained / "model.onnx").read_bytes()
    own = {str(p.relative_to(trained)) for p in trained.rglob("*") if p.is_file()}
    assert names == {name for name in own if not name.startswith("checkpoint")}
    tag = answer.headers["etag"]
    again = filled.client.get("/v1/models/1/run", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert filled.client.get("/v1/models/1/run").content == answer.content
    is_problem(filled.client.get("/v1/models/9/run"), 404)


def test_readers_get_nothing_that_tells_of_patients(served_with_keys):
    client, _ = served_with_keys
    services = client.app.state.services
    whole = client.get("/v1/models/1/run")
    client.headers["X-API-Key"] = services.keys.create("Grace", "viewer")[1]
    headers = {"If-None-Match": whole.headers["etag"]}
    part = client.get("/v1/models/1/run", headers=headers)
    assert part.status_code == 200
    names = zipfile.ZipFile(BytesIO(part.content)).namelist()
    assert {"model.onnx", "weights.safetensors", "contract.json"} <= set(names)
    telling = {"split.csv", "predictions.parquet", "embeddings.parquet", "audit.json"}
    assert not telling & set(names)


def test_a_version_is_downloaded_as_a_bundle(filled):
    answer = filled.client.get("/v1/models/2/bundle")
    names = zipfile.ZipFile(BytesIO(answer.content)).namelist()
    assert {"configs/metadata.json", "configs/inference.json", "models/model.onnx"} <= set(
        names
    )
    assert filled.client.get("/v1/models/2/bundle").content == answer.content
    kept = filled.settings.home / "cache" / "downloads"
    assert [path.suffix for path in kept.iterdir()] == [".zip"]
    filled.client.delete("/v1/models/2")
    assert list(kept.iterdir()) == []
    is_problem(filled.client.get("/v1/models/2/bundle"), 410)


def test_the_decider_is_the_holder_of_the_key(served_with_keys):
    client, name = served_with_keys
    made = client.post("/v1/models/1/promote", json={"why": "good"}).json()
    assert made["moves"][-1]["who"] == name
    other = decided(who="Grace")
    body = is_problem(client.post("/v1/models/1/promote", json=other), 422)
    assert "'who' is not the name" in body["detail"]


@pytest.fixture
def served_with_keys(settings, trained):
    from fastapi.testclient import TestClient
    from service_samples import HERE

    from service.app import create_app

    app = create_app(settings.model_copy(update={"open": False}))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        registry = app.state.services.registry
        registry.register(trained, "job-1")
        registry.register(trained, "job-2")
        promoted_first = registry.promote(2, "a test", "first")
        assert promoted_first.version_id == 2
        _, key = app.state.services.keys.create("Ada", "admin")
        client.headers["X-API-Key"] = key
        yield client, "Ada"
