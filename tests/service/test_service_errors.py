"""Every error has one body, RFC 9457; each source of errors is hit once."""

import json
import re

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem

from service import errors
from service.app import create_app
from service.settings import ServiceSettings


def test_unknown_path(empty):
    body = is_problem(empty.client.get("/v1/nothing"), 404)
    assert body["instance"] == "/v1/nothing"


@pytest.mark.parametrize(
    "path", ["/v1/models/1", "/v1/jobs/x", "/v1/audits/x", "/v1/audits/x/report"]
)
def test_unknown_thing(empty, path):
    assert "There is no" in is_problem(empty.client.get(path), 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/models", "GET"),
        ("DELETE", "/v1/audits", "POST"),
        ("POST", "/health/live", "GET"),
        ("GET", "/v1/models/1/promote", "POST"),
    ],
)
def test_wrong_method_names_all_that_the_path_takes(empty, method, path, allowed):
    response = empty.client.request(method, path)
    is_problem(response, 405)
    assert response.headers["allow"] == allowed


def test_two_routes_on_one_path_are_both_allowed():
    router = APIRouter()
    router.add_api_route("/thing", lambda: 1, methods=["GET"])
    router.add_api_route("/thing", lambda: 2, methods=["POST"])
    app = FastAPI()
    app.include_router(router)
    errors.install(app, router.routes)
    response = TestClient(app).put("/thing")
    is_problem(response, 405)
    assert response.headers["allow"] == "GET, POST"


def test_malformed_json(empty):
    headers = {"content-type": "application/json"}
    response = empty.client.post("/v1/retrain", content=b'{"seed":', headers=headers)
    assert is_problem(response, 400)["errors"][0]["found"] == "it is not JSON"


def test_malformed_multipart(empty):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    is_problem(empty.client.post("/v1/predictions", content=b"nope", headers=headers), 400)


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/embeddings", "/v1/audits"])
def test_wrong_media_type(empty, path):
    is_problem(empty.client.post(path, json={}), 415)


def test_missing_part_is_named(empty):
    response = empty.client.post("/v1/audits", files={"other": ("a.txt", b"x")})
    columns = {fault["column"] for fault in is_problem(response, 422)["errors"]}
    assert columns == {"predictions"}


@pytest.mark.parametrize("declared", [True, False])
def test_body_too_large(tmp_path, declared):
    settings = ServiceSettings.read(home=tmp_path, max_body_bytes=1000)
    body = b"x" * 600
    content = body + body if declared else iter([body, body])
    headers = {"content-type": "multipart/form-data; boundary=x"}
    with TestClient(create_app(settings), base_url=HERE) as client:
        response = client.post("/v1/predictions", content=content, headers=headers)
    assert "1000 bytes" in is_problem(response, 413)["detail"]


def test_a_crash_tells_nothing_of_the_inside(empty, monkeypatch):
    def crash(name):
        raise RuntimeError("secret path /home/somebody")

    monkeypatch.setattr(empty.services.jobs, "get", crash)
    response = empty.client.get("/v1/jobs/x")
    is_problem(response, 500)
    assert "secret" not in response.text


def test_every_route_documents_its_errors(settings):
    document = create_app(settings).openapi()
    assert "Problem" in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        if path.startswith("/health"):
            continue
        for operation in methods.values():
            responses = operation["responses"]
            assert {"401", "403", "413", "422", "500"} <= set(responses), path
            for status, response in responses.items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], path


def test_references_of_the_description_lead_somewhere(settings):
    document = create_app(settings).openapi()
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names <= set(document["components"]["schemas"])
