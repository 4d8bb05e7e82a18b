"""Nobody asks without a key; an open service is asked by this machine only."""

import asyncio
import logging
import re
import time
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from access_samples import bearer, call, key_of, listening, locked
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from service_samples import HERE, is_problem
from sqlalchemy.exc import OperationalError

from evaluation.errors import InputError
from service.app import create_app
from service.security.keys import UnreadableError
from service.security.rate import FAILURES
from service.settings import ServiceSettings
from service.storage.tables import ApiKey, now


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    settings = ServiceSettings.read(home=tmp_path_factory.mktemp("locked"))
    with locked(settings) as running:
        yield running


@pytest.fixture(autouse=True)
def forgiven(request):
    """Bad keys of one test do not count in the next."""
    yield
    if "service" in request.fixturenames:
        from service.security.auth import Guard

        layer = request.getfixturevalue("service").client.app.middleware_stack
        while not isinstance(layer, Guard):
            layer = layer.app
        layer.failures.counted.storage.reset()


@pytest.fixture(scope="module")
def key(service):
    return service.services.keys.create("a viewer", "viewer")[1]


@pytest.mark.parametrize("form", ["Authorization: Bearer {}", "authorization: bearer  {}"])
def test_a_key_opens_as_bearer(service, key, form):
    name, _, value = form.format(key).partition(": ")
    assert service.client.get("/v1/models", headers={name: value}).status_code == 200


@pytest.mark.parametrize("name", ["X-API-Key", "x-api-key"])
def test_a_key_opens_as_a_header_of_its_own(service, key, name):
    assert service.client.get("/v1/models", headers={name: key}).status_code == 200


def test_a_key_that_was_just_made_opens(service):
    for _ in range(3):
        headers = key_of(service, "viewer")
        assert service.client.get("/v1/models", headers=headers).status_code == 200


def bad_headers(key):
    head, number, secret = key.split("_", 2)
    other = "A" if secret[0] != "A" else "B"
    yield "none", []
    yield "basic", [("Authorization", f"Basic {key}")]
    yield "no scheme", [("Authorization", key)]
    yield "empty", [("Authorization", "Bearer ")]
    yield "shorter", [("X-API-Key", key[:-1])]
    yield "longer", [("X-API-Key", key + "A")]
    yield "other secret", [("X-API-Key", f"{head}_{number}_{other}{secret[1:]}")]
    yield "other id", [("X-API-Key", f"{head}_{'0' * 16}_{secret}")]
    yield "empty secret", [("X-API-Key", f"{head}_{number}_")]
    yield "capitals", [("X-API-Key", key.upper())]
    yield "inner blank", [("Authorization", f"Bearer {key} {key}")]
    yield "not ascii", [("X-API-Key", "schl\u00fcssel".encode("latin-1"))]
    yield (
        "other digits",
        [("X-API-Key", re.sub(r"\d", lambda m: chr(0x660 + int(m[0])), key).encode())],
    )
    yield "huge", [("X-API-Key", "evs_" + "a" * 60_000)]
    yield "a token without a provider", [("Authorization", "Bearer a.b.c")]
    yield "twice", [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    yield "both", [("Authorization", f"Bearer {key}"), ("X-API-Key", key)]
    yield "good and bad", [("X-API-Key", key), ("X-API-Key", "evs_")]


def test_anything_else_does_not_and_is_not_told_apart(service, key):
    bodies = set()
    for name, headers in bad_headers(key):
        response = service.client.get("/v1/models", headers=headers)
        assert response.status_code == 401, name
        assert response.headers["www-authenticate"] == "Bearer"
        is_problem(response, 401)
        bodies.add(response.content)
    assert len(bodies) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-api-key", b"host", b"origin"]),
            st.binary(max_size=80) | st.binary(max_size=80).map(b"Bearer evs_".__add__),
        ),
        max_size=4,
    ),
    st.binary(max_size=30),
)
def test_no_bytes_open_or_crash(service, headers, path):
    said = []

    async def ask():
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/models" + path.decode("utf-8", "surrogateescape"),
            "raw_path": b"/v1/models" + path,
            "query_string": path,
            "headers": headers,
            "client": None,
        }
        await service.client.app(scope, _nothing, _add(said))

    service.client.portal.call(ask)
    assert said[0]["status"] in (401, 429)


async def _nothing():
    return {"type": "http.request", "body": b"", "more_body": False}


def _add(said):
    async def send(message):
        said.append(message)

    return send


@pytest.mark.parametrize("changed", ["revoked", "expires"])
def test_a_key_that_has_ended_opens_nothing(service, changed):
    row, key = service.services.keys.create("a viewer", "viewer")
    with service.services.database.write() as session:
        setattr(session.get(ApiKey, row.id), changed, now() - timedelta(seconds=1))
    is_problem(service.client.get("/v1/models", headers=bearer(key)), 401)


def test_a_key_that_ends_while_it_is_remembered_opens_nothing_more(service, monkeypatch):
    headers = key_of(service, "viewer", expires="1d")
    assert service.client.get("/v1/models", headers=headers).status_code == 200
    monkeypatch.setattr("service.security.keys.now", lambda: now() + timedelta(days=1))
    is_problem(service.client.get("/v1/models", headers=headers), 401)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with listening(ServiceSettings.read(home=tmp_path_factory.mktemp("listening"))) as found:
        yield found


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_what_is_not_there_needs_a_key_too(address, method, monkeypatch):
    monkeypatch.setattr("service.security.auth.Failures.count", lambda *_: None)
    paths = [
        *("/", "*", "/v1/nothing", "/health", "/health/live/", "//health/live"),
        *("/health/live/../../v1/models", "/health/live/%2e%2e/%2e%2e/v1/models"),
        *("/health/live%2f..%2f..%2fv1/models", "//v1/models", "/v1/models/", "/V1/MODELS"),
        *("/docs/../v1/models", "/health/live;/v1/models", "/health/live%00/v1/models"),
        *(
            "/openapi.json/../v1/models",
            "http://127.0.0.1/v1/models",
            "/%ff%fe",
            "/health/live%20",
        ),
    ]
    for path in paths:
        with closing(HTTPConnection(*address)) as connection:
            connection.request(method, path)
            assert connection.getresponse().status == 401, path


@pytest.mark.parametrize("path", ["/health/live", "/docs", "/openapi.json"])
def test_health_and_documentation_are_open(service, path):
    assert service.client.get(path).status_code == 200


def test_a_socket_that_is_no_request_is_closed(service, key):
    from starlette.websockets import WebSocketDisconnect

    with (
        pytest.raises(WebSocketDisconnect),
        service.client.websocket_connect("/v1/models", headers=bearer(key)),
    ):
        pass


def test_strangers_are_refused_before_their_body_is_read(address):
    head = b"POST /v1/audits HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    with call(address, head) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_a_database_that_is_gone_is_503_and_nobody_is_let_in(service, key, monkeypatch):
    def gone(*_):
        raise OperationalError("SELECT", {}, Exception("gone"))

    keys = service.services.keys
    monkeypatch.setattr(keys, "_read", float("-inf"))
    monkeypatch.setattr(keys, "_load", gone)
    response = service.client.get("/v1/models", headers=bearer(key))
    is_problem(response, 503)
    assert response.headers["retry-after"]

    async def many():
        return await asyncio.gather(
            *[keys.holder(key) for _ in range(50)], return_exceptions=True
        )

    # All of them are told at the first failure: nobody waits for the failures of others.
    began = time.monotonic()
    assert {type(each) for each in service.client.portal.call(many)} == {UnreadableError}
    assert time.monotonic() - began < 5
    monkeypatch.undo()
    assert service.client.get("/v1/models", headers=bearer(key)).status_code == 200


def test_an_address_with_too_many_bad_keys_is_told_to_wait_but_good_ones_go_on(service, key):
    for _ in range(FAILURES.amount):
        is_problem(service.client.get("/v1/models"), 401)
    response = service.client.get("/v1/models")
    is_problem(response, 429)
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert service.client.get("/v1/models", headers=bearer(key)).status_code == 200


def test_a_flood_of_invented_keys_does_not_reach_the_database(service, monkeypatch):
    keys, looks = service.services.keys, []
    load = keys._load
    monkeypatch.setattr(keys, "_load", lambda: looks.append(1) or load())

    async def flood():
        invented = [f"evs_{number:016x}_{'A' * 43}" for number in range(500)]
        return await asyncio.gather(*map(keys.holder, invented))

    before = len(keys._known)
    assert set(service.client.portal.call(flood)) == {None}
    assert len(looks) <= 3
    assert len(keys._known) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"host": "[::1"},
        {"origin": "http://["},
    ],
)
def test_an_open_service_refuses_web_pages(empty, headers):
    is_problem(empty.client.get("/v1/models", headers=headers), 403)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_an_open_service_is_asked_by_this_machine(empty, host):
    assert empty.client.get("/v1/models", headers={"host": host}).status_code == 200


def test_open_is_for_loopback_only():
    with pytest.raises(InputError, match="loopback"):
        ServiceSettings.read(host="0.0.0.0", open=True)
    assert not ServiceSettings.read(host="0.0.0.0").open


def test_the_open_mode_is_said_loudly(settings, caplog):
    with caplog.at_level(logging.WARNING), TestClient(create_app(settings), base_url=HERE):
        assert "OPEN" in caplog.text
