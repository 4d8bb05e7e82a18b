"""Messages of a job's end: where they may go, and how a receiver knows whose they are."""

import json
import time
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_samples import is_problem, tiny
from webhook_samples import Receiver

from evaluation.errors import InputError
from service.jobs.webhook import (
    DELIVERY,
    SIGNATURE,
    NotDelivered,
    _public,
    check_address,
    deliver,
    sign,
    verify,
)
from service.security.secret import secret_of
from service.settings import ServiceSettings
from service.storage.tables import Job

SECRET = b"a secret of the service, of 32 bytes"


def allowing(hosts, tmp_path):
    return ServiceSettings.read(home=tmp_path, webhook_hosts=hosts)


def ended(address):
    return Job(id="7f", kind="audit", state="failed", reason="It broke.", webhook=address)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::1", False),
        ("224.0.1.1", False),
    ],
)
def test_what_carries_a_private_address_is_private(address, public):
    assert _public(ip_address(address)) is public


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_is_of_its_body_only(body, other):
    header = sign(SECRET, body, 1_000_000)
    assert verify(SECRET, header, body, moment=1_000_100)
    assert verify(SECRET, header, other, moment=1_000_100) == (other == body)
    assert not verify(b"another", header, body, moment=1_000_100)


def test_an_old_signature_is_worth_nothing():
    header = sign(SECRET, b"{}", time.time() - 301)
    assert not verify(SECRET, header, b"{}")
    assert verify(SECRET, header, b"{}", tolerance=600)
    assert not verify(SECRET, header.replace("t=1", "t=2"), b"{}", tolerance=1e12)


@given(st.text(max_size=100))
def test_any_header_is_answered(header):
    assert not verify(SECRET, header, b"{}")


@pytest.mark.parametrize(
    "address",
    [
        "http://other.example.org/",
        "https://hooks.example.org.evil.org/",
        "https://hooks.example.org@evil.org/",
        "https://me:word@hooks.example.org/",
        "https://example.org/",
        "https://evilexample.org/",
        "http://sub.example.org/",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "//hooks.example.org/",
        "https://[",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org:0/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/\r\nHost: x",
        "https://hooks.example.org/é",
        "https://hooks.example.org/?a=é",
        "https://a..example.org/",
        "https://.example.org/",
        f"https://{'a' * 64}.example.org/",
        f"https://{'a.' * 122}example.org/",
        f"https://{'é' * 100_000}.example.org/",
        "",
    ],
)
def test_other_addresses_are_refused(address, tmp_path):
    settings = allowing("hooks.example.org, *.example.org", tmp_path)
    with pytest.raises(InputError) as caught:
        check_address(address, settings)
    assert caught.value.faults[0].column == "webhook"


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.org/a?b=c",
        "http://hooks.example.org:8080",
        "https://HOOKS.example.org/",
        "https://a-b.example.org/",
        "https://bücher.example.org/",
        f"https://{'a' * 63}.example.org/%C3%A9",
    ],
)
def test_listed_addresses_are_taken(address, tmp_path):
    check_address(address, allowing("hooks.example.org, *.example.org", tmp_path))


def test_no_webhook_goes_anywhere_by_default(tmp_path):
    with pytest.raises(InputError, match="EVENSCAN_WEBHOOK_HOSTS"):
        check_address("https://hooks.example.org/", allowing("", tmp_path))


def test_a_message_arrives(tmp_path):
    with Receiver() as receiver:
        job = ended(receiver.address)
        assert deliver(job, SECRET, allowing("127.0.0.1", tmp_path)) == 204
    [(path, headers, body)] = receiver.messages
    assert path == "/hook?a=b"
    assert headers["Content-Type"] == "application/json"
    assert headers[DELIVERY] == "7f-end"
    assert verify(SECRET, headers[SIGNATURE], body)
    assert json.loads(body) == {
        "job": "7f",
        "kind": "audit",
        "state": "failed",
        "reason": "It broke.",
        "links": {"job": "/v1/jobs/7f"},
    }


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_other_answers_are_no_delivery_and_redirects_are_not_followed(status, tmp_path):
    with Receiver([status]) as receiver:
        with pytest.raises(NotDelivered, match=f"it answered {status}"):
            deliver(ended(receiver.address), SECRET, allowing("127.0.0.1", tmp_path))
        time.sleep(0.05)
        assert len(receiver.messages) == 1


def test_nobody_listens(tmp_path):
    with Receiver() as receiver:
        address = receiver.address
    with pytest.raises(NotDelivered, match="no answer: ConnectionRefusedError"):
        deliver(ended(address), SECRET, allowing("127.0.0.1", tmp_path))


def test_an_address_that_cannot_be_written_is_told_of(tmp_path, monkeypatch):
    """Rows may have one from before it was refused."""
    monkeypatch.setattr("service.jobs.webhook.check_address", lambda *arguments: None)
    settings = allowing("*.example.org", tmp_path)
    with pytest.raises(NotDelivered, match="no answer: UnicodeError"):
        deliver(ended("https://a..example.org/"), SECRET, settings)
    with Receiver() as receiver, pytest.raises(NotDelivered, match="UnicodeEncodeError"):
        deliver(ended(f"{receiver.address}é"), SECRET, allowing("127.0.0.1", tmp_path))


def test_a_host_that_answers_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("service.jobs.webhook.TIMEOUT", 0.2)
    with Receiver([None]) as receiver, pytest.raises(NotDelivered, match="no answer"):
        deliver(ended(receiver.address), SECRET, allowing("127.0.0.1", tmp_path))


@pytest.mark.parametrize("place", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1"])
def test_a_name_below_a_listed_one_may_not_lead_into_the_own_network(
    place, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda *arguments, **options: [(0, 0, 0, "", (place, 443))]
    )
    with pytest.raises(NotDelivered, match="private network"):
        deliver(ended("https://a.example.org/"), SECRET, allowing("*.example.org", tmp_path))


def test_a_host_that_is_not_listed_any_more_gets_nothing(tmp_path):
    with Receiver() as receiver:
        with pytest.raises(NotDelivered, match="no webhook may go"):
            deliver(ended(receiver.address), SECRET, allowing("", tmp_path))
        assert receiver.messages == []


def said(running, job):
    """What was said of a job."""
    page = running.client.get(f"/v1/jobs/{job}/logs?limit=100").json()
    return [line["text"] for line in page["items"]]


def wait(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def unreadable():
    """A request for a retraining that ends with its faults."""
    source = {"manifest": "table.csv", "images": "images", "pattern": "{file}"}
    cohort = {"format": "images", "root": "missing", "source": source}
    return tiny(cohort=tiny()["cohort"] | cohort)


def test_the_end_of_a_failed_job_is_told_until_somebody_hears_it(worked, monkeypatch):
    monkeypatch.setattr("service.jobs.webhook.PAUSES", (0.05, 0.05, 0.05))
    with Receiver([500, 503]) as receiver:
        asked = unreadable() | {"webhook": receiver.address}
        job = worked.client.post("/v1/retrain", json=asked).json()["job"]
        wait(lambda: "webhook: delivered, answered 204" in said(worked, job))
    assert len(receiver.messages) == 3
    assert {headers[DELIVERY] for _, headers, _ in receiver.messages} == {f"{job}-end"}
    secret = secret_of(worked.settings)
    for _, headers, body in receiver.messages:
        assert verify(secret, headers[SIGNATURE], body)
    told = json.loads(receiver.messages[-1][2])
    row = worked.client.get(f"/v1/jobs/{job}").json()
    assert (row["state"], told["state"], told["reason"]) == ("failed", "failed", row["reason"])
    assert said(worked, job)[-3:-1] == [
        "webhook: it answered 500; tried again in 0.05 s",
        "webhook: it answered 503; tried again in 0.05 s",
    ]


def test_a_webhook_that_never_answers_does_not_change_the_job(worked, monkeypatch):
    monkeypatch.setattr("service.jobs.webhook.PAUSES", (0.05,))
    with Receiver() as receiver:
        address = receiver.address
    asked = unreadable() | {"webhook": address}
    job = worked.client.post("/v1/retrain", json=asked).json()["job"]
    wait(lambda: said(worked, job)[-1].endswith("given up"))
    assert worked.client.get(f"/v1/jobs/{job}").json()["state"] == "failed"


def test_a_cancelled_job_tells_too(worked):
    method = {"name": "erm", "epochs": 8, "batch_size": 2}
    long = worked.client.post("/v1/retrain", json=tiny(method=method)).headers["location"]
    with Receiver() as receiver:
        asked = tiny(webhook=receiver.address)
        waiting = worked.client.post("/v1/retrain", json=asked).headers["location"]
        for location in (waiting, long):
            assert worked.client.post(f"{location}/cancel").status_code == 202
        wait(lambda: receiver.messages)
    assert json.loads(receiver.messages[0][2])["state"] == "cancelled"


@pytest.mark.parametrize("webhook", ["https://elsewhere.org/", "nonsense", 3, ["x"]])
def test_other_webhooks_are_refused_at_once(worked, webhook):
    before = len(worked.client.get("/v1/jobs?limit=100").json()["items"])
    is_problem(worked.client.post("/v1/retrain", json=tiny(webhook=webhook)), 422)
    assert len(worked.client.get("/v1/jobs?limit=100").json()["items"]) == before
