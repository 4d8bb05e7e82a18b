"""Every answer tells browsers to keep out; the documentation needs nothing from elsewhere."""

import base64
import re
from hashlib import sha256

import pytest
from access_samples import call, every_route, everything, listening
from fastapi.testclient import TestClient
from service_samples import HERE

from service.app import create_app
from service.protocol.headers import ALWAYS, complete
from service.security.access import OPEN, ROLES


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/health/live", 200), ("/v1/models", 200), ("/docs", 200), ("/openapi.json", 200)),
        *(("/v1/models/9", 404), ("/nothing", 404), ("/v1/jobs?limit=0", 422)),
    ],
)
def test_every_answer_has_them(empty, path, status):
    response = empty.client.get(path)
    assert response.status_code == status
    assert set(map(str.lower, ALWAYS)) <= set(response.headers)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "cache-control" in response.headers
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


def test_refusals_have_them(empty):
    response = empty.client.get("/v1/models", headers={"host": "evil.example"})
    assert response.status_code == 403
    assert set(map(str.lower, ALWAYS)) <= set(response.headers)
    assert response.headers["cache-control"] == "no-store"


def test_a_crash_has_them_too(settings):
    app = create_app(settings)

    @app.get("/crash")
    def crash():
        raise RuntimeError("a secret")

    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        response = client.get("/crash")
    assert response.status_code == 500
    assert set(map(str.lower, ALWAYS)) <= set(response.headers)
    assert response.headers["cache-control"] == "no-store"
    assert "secret" not in response.text


def test_nothing_is_stored_unless_it_can_be_asked_whether_it_holds():
    assert (b"cache-control", b"no-store") in complete([])
    assert (b"cache-control", b"private, no-cache") in complete([(b"ETag", b"1")])
    assert (
        complete([(b"Cache-Control", b"max-age=9")]).count((b"cache-control", b"no-store")) == 0
    )


def test_a_route_may_set_its_own():
    own = [(b"Content-Security-Policy", b"sandbox")]
    names = [name.lower() for name, _ in complete(own)]
    assert names.count(b"content-security-policy") == 1


def test_the_server_does_not_say_what_it_is(settings):
    ask = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with listening(settings) as address, call(address, ask) as connection:
        answer = everything(connection).lower()
    assert b"server:" not in answer
    assert b"uvicorn" not in answer


def test_the_documentation_loads_nothing_and_runs_nothing(empty):
    response = empty.client.get("/docs")
    page = response.text
    assert not re.findall(r"<script|<link|<img|https?://|@import|url\(|\son\w+=", page)
    style = re.search(r"<style>(.*?)</style>", page)[1]
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_documentation_lists_every_route_and_role(empty):
    page = empty.client.get("/docs").text
    for route in every_route():
        if route.include_in_schema:
            assert route.path in page
    for role in ROLES:
        assert f"<td>{role}<td" in page


def test_the_documentation_names_what_is_open(empty):
    page = empty.client.get("/docs").text
    rows = re.findall(r"<code>\w+ (\S+)</code><td[^>]*>nothing<td>", page)
    assert rows
    assert set(rows) <= OPEN
