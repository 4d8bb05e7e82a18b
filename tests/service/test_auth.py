"""With a key nobody asks without it; without one only this machine asks."""

import logging

import pytest
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem

from evaluation.errors import InputError
from service.app import create_app
from service.settings import ServiceSettings

KEY = "0123456789abcdef"


@pytest.fixture
def locked(tmp_path):
    settings = ServiceSettings.read(home=tmp_path, api_key=KEY)
    # With a key the host does not matter.
    with TestClient(create_app(settings), base_url="http://hospital.example") as client:
        yield client


def routes():
    document = create_app(ServiceSettings.read()).openapi()
    return [(m.upper(), p) for p, methods in document["paths"].items() for m in methods]


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_route_needs_the_key(locked, method, path):
    response = locked.request(method, path)
    if path.startswith("/health"):
        assert response.status_code == 200
    else:
        is_problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}, {"x-api-key": KEY}]
)
def test_the_key_opens(locked, headers):
    assert locked.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": "schl\u00fcssel".encode("latin-1")},
    ],
)
def test_anything_else_does_not(locked, headers):
    is_problem(locked.get("/v1/models", headers=headers), 401)


def test_unknown_paths_are_not_told_apart_without_the_key(locked):
    is_problem(locked.get("/v1/nothing"), 401)


def test_documentation_is_open(locked):
    assert locked.get("/openapi.json").status_code == 200
    assert locked.get("/docs").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8000"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"host": "[::1"},
        {"origin": "http://["},
    ],
)
def test_without_a_key_web_pages_are_refused(empty, headers):
    is_problem(empty.client.get("/v1/models", headers=headers), 403)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_without_a_key_this_machine_asks(empty, host):
    assert empty.client.get("/v1/models", headers={"host": host}).status_code == 200


def test_without_a_key_only_loopback():
    with pytest.raises(InputError, match="EVENSCAN_API_KEY"):
        ServiceSettings.read(host="0.0.0.0")
    assert not ServiceSettings.read(host="0.0.0.0", api_key=KEY).open


def test_the_open_mode_is_said_loudly(settings, caplog):
    with caplog.at_level(logging.WARNING), TestClient(create_app(settings), base_url=HERE):
        assert "OPEN" in caplog.text


def test_the_key_is_not_shown():
    assert KEY not in repr(ServiceSettings.read(api_key=KEY))
