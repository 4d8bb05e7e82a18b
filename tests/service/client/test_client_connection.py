"""The client against a service that has troubles, and against something else."""

import httpx2
import pytest
from client_samples import Troubled, asking, later

from evaluation.errors import InputError
from service.client import Client, ServiceError


def test_a_key_does_not_travel_in_the_open():
    with pytest.raises(InputError, match="readable for everybody"):
        Client("http://hospital.example", "evs_key")
    Client("http://hospital.example", "evs_key", insecure=True).close()
    Client("http://hospital.example").close()
    Client("https://hospital.example", "evs_key").close()


@pytest.mark.parametrize("address", ["", "hospital.example", "file:///etc", "http://[::1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match="no address"):
        Client(address)


@pytest.mark.parametrize("key", ["evs_SECRET\n", "evs_SECRET\r", "evs_SECRETé", "evs SECRET"])
def test_a_key_that_is_none_is_refused_and_not_shown(key):
    with pytest.raises(InputError) as caught:
        Client("http://127.0.0.1:1", key)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://user:SECRET@host", "http://127.0.0.1:99999"])
def test_an_address_with_a_password_or_without_a_port(address):
    with pytest.raises(InputError, match="no address") as caught:
        Client(address)
    assert "SECRET" not in str(caught.value)


def test_address_and_key_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("EVENSCAN_URL", "https://hospital.example/")
    monkeypatch.setenv("EVENSCAN_KEY", "evs_key")
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(200, json={"champion": None, "challenger": None})

    with Client(transport=httpx2.MockTransport(answer)) as client:
        client.aliases()
        assert "evs_key" not in repr(vars(client)) + repr(vars(client._connection))
    assert str(sent[0].url) == "https://hospital.example/v1/aliases"
    assert sent[0].headers["authorization"] == "Bearer evs_key"


def test_what_passes_is_tried_again_and_done_once(monkeypatch):
    monkeypatch.setattr("service.client.patience.FIRST_WAIT", 0.01)
    move = {"id": 1, "alias": "champion", "version": 1, "previous": 2, "who": "Ada"}
    move |= {"why": "why", "audit": None, "undoes": 1, "created": "2026-11-23T00:00:00Z"}
    troubles = (later(429), httpx2.ConnectError("refused"), later(503))
    service = Troubled(*troubles, body=move)
    with asking(service) as client:
        assert client.rollback("why").version == 1
    keys = [request.headers["idempotency-key"] for request in service.sent]
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_files_are_sent_whole_each_time(monkeypatch, tmp_path):
    monkeypatch.setattr("service.client.patience.FIRST_WAIT", 0.01)
    file = tmp_path / "a.png"
    file.write_bytes(b"pixels")
    service = Troubled(later(503), body={"model": {}})
    with asking(service) as client, pytest.raises(ServiceError, match="none of this service"):
        client.predictions([file])
    assert [b"pixels" in request.content for request in service.sent] == [True, True]


def test_patience_ends():
    service = Troubled(*[later(503, "9")] * 9, body={})
    with asking(service, patience=5) as client, pytest.raises(ServiceError, match="Not now"):
        client.aliases()
    assert len(service.sent) == 1


def test_a_new_key_is_not_asked_for_twice():
    service = Troubled(*[later(503)] * 9, body={})
    with asking(service) as client, pytest.raises(ServiceError):
        client.create_key("a", "viewer")
    assert len(service.sent) == 1
    assert "idempotency-key" not in service.sent[0].headers


def test_nobody_at_home():
    nowhere = pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 does not answer")
    with Client("http://127.0.0.1:9", patience=0) as client, nowhere as refused:
        client.aliases()
    assert refused.value.status is None


def test_something_else_answers():
    def page(request):
        return httpx2.Response(502, text="<html>Bad gateway</html>")

    with asking(page) as client, pytest.raises(ServiceError, match="502"):
        client.aliases()


def test_a_download_that_breaks_off_leaves_nothing(tmp_path):
    def pieces():
        yield b"half"
        raise httpx2.ReadError("gone")

    def broken(request):
        return httpx2.Response(200, content=pieces())

    target = tmp_path / "model.zip"
    with asking(broken, patience=0) as client, pytest.raises(ServiceError, match="gone"):
        client.download_model(1, target)
    assert list(tmp_path.iterdir()) == []


def test_probes_say_what_is_so(monkeypatch):
    checks = {"database": "ok", "champion": "failed"}
    unwell = httpx2.Response(503, json={"status": "not ready", "checks": checks})
    service = Troubled(unwell, unwell, body={"status": "ready", "checks": {}})
    with asking(service) as client:
        assert (client.is_ready(), client.startup()) == (False, False)
        assert (client.is_ready(), client.startup()) == (True, True)
    with asking(Troubled(body={"status": "alive"})) as client:
        assert client.live()
    with Client("http://127.0.0.1:9") as client:
        assert not client.live()
        with pytest.raises(ServiceError, match="does not answer"):
            client.is_ready()
