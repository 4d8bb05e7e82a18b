"""Every error has one body, RFC 9457; each source of errors is hit once."""

import errno
import json
import re

import pytest
from access_samples import every_route
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.protocol.error_handlers import install_error_handlers
from service.protocol.plain_refusals import PlainRefusals
from service.settings import ServiceSettings


def test_unknown_path(empty):
    body = is_problem(empty.client.get("/v1/nothing"), 404)
    assert body["instance"] == "/v1/nothing"


def test_a_slash_more_is_another_path(empty):
    """A redirect would lead to whatever host the request names."""
    for route in every_route():
        path = re.sub(r"{.*?}", "x", route.path) + "/"
        for method in route.methods:
            response = empty.client.request(method, path, follow_redirects=False)
            assert response.status_code == 404, (method, path)
            assert response.headers["content-type"] == "application/problem+json"
    is_problem(empty.client.get("/docs/", follow_redirects=False), 404)
    is_problem(empty.client.get("/openapi.json/", follow_redirects=False), 404)


@pytest.mark.parametrize(
    "path", ["/v1/models/1", "/v1/jobs/x", "/v1/audits/x", "/v1/audits/x/report"]
)
def test_unknown_thing(empty, path):
    assert "There is no" in is_problem(empty.client.get(path), 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/audits", "GET, HEAD, POST"),
        ("POST", "/health/live", "GET, HEAD"),
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
    install_error_handlers(app, router.routes)
    response = TestClient(app).put("/thing")
    is_problem(response, 405)
    assert response.headers["allow"] == "GET, HEAD, POST"


def test_malformed_json(empty):
    headers = {"content-type": "application/json"}
    response = empty.client.post("/v1/retrain", content=b'{"seed":', headers=headers)
    assert is_problem(response, 400)["errors"][0]["found"] == "it is not JSON"


def test_malformed_multipart(served):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    is_problem(served.client.post("/v1/predictions", content=b"nope", headers=headers), 400)


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/embeddings", "/v1/audits"])
def test_wrong_media_type(served, path):
    headers = {"content-type": "application/xml"}
    is_problem(served.client.post(path, content=b"<a/>", headers=headers), 415)


def test_missing_part_is_named(empty):
    response = empty.client.post("/v1/audits", files={"other": ("a.txt", b"x")})
    columns = {fault["column"] for fault in is_problem(response, 422)["errors"]}
    assert columns == {"predictions"}


@pytest.mark.parametrize("declared", [True, False])
def test_body_too_large(tmp_path, declared):
    settings = ServiceSettings.read(home=tmp_path, max_body_bytes=1000, open=True)
    body = b"x" * 600
    content = body + body if declared else iter([body, body])
    headers = {"content-type": "multipart/form-data; boundary=x"}
    with TestClient(create_app(settings), base_url=HERE) as client:
        response = client.post("/v1/audits", content=content, headers=headers)
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
        if "/health/" in path:
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


def test_the_database_is_gone(empty, monkeypatch):
    def gone():
        raise OperationalError("SELECT", {"patient": "Jane Doe"}, Exception("Jane Doe"))

    monkeypatch.setattr(empty.services.database, "read", gone)
    response = empty.client.get("/v1/jobs/x")
    body = is_problem(response, 503)
    assert body["type"] == "urn:evenscan:problem:database"
    assert response.headers["retry-after"] == "5"
    assert "Jane" not in response.text


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 503), (errno.EDQUOT, 503), (errno.EIO, 500)]
)
def test_the_disk_is_full(empty, monkeypatch, number, status):
    def fail(name):
        raise OSError(number, "it does not work", "/home/somebody")

    monkeypatch.setattr(empty.services.jobs, "get", fail)
    response = empty.client.get("/v1/jobs/x")
    body = is_problem(response, status)
    assert (body["type"] == "urn:evenscan:problem:disk-full") == (status == 503)
    assert "somebody" not in response.text


def test_what_the_framework_says_in_plain_text_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("text")
    app = FastAPI()
    app.add_api_route("/file", lambda: FileResponse(tmp_path / "file"))
    app.add_middleware(PlainRefusals)
    client = TestClient(app)
    is_problem(client.get("/file", headers={"Range": "bytes=x"}), 400)
    refused = client.get("/file", headers={"Range": "bytes=9-"})
    is_problem(refused, 416)
    assert refused.headers["content-range"] == "bytes */4"
    assert client.get("/file").text == "text"


def test_a_problem_of_a_kind_has_its_title(empty):
    body = is_problem(empty.client.get("/v1/jobs", params={"limit": 0}), 422)
    assert body["type"] == "urn:evenscan:problem:invalid-input"
    assert body["title"] == "The input has faults"
    assert is_problem(empty.client.get("/v1/jobs/x"), 404)["type"] == "about:blank"
