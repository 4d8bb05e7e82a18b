"""A service that is told to stop finishes what it has begun, and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from service_samples import png, promoted

from service.models.registry import ModelRegistry
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import LocalStore
from service.storage.tables import Job


@contextmanager
def serving(home, **variables):
    """A service without a worker in a process of its own, and its address."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("EVENSCAN_")}
    ours = {"EVENSCAN_HOME": str(home), "EVENSCAN_POLL_SECONDS": "0.05", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--open", "--no-worker", "--port", "0"],
        env=given | ours | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("Evenscan listens on"), process.stderr.read()
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


def begun(address, body, sent):
    """A connection on which a request has been sent up to a byte of its body."""
    host = urlsplit(address)
    connection = socket.create_connection((host.hostname, host.port), timeout=20)
    head = (
        f"POST /v1/predictions HTTP/1.1\r\nHost: {host.netloc}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body[:sent])
    return connection


def is_refused(address):
    host = urlsplit(address)
    try:
        socket.create_connection((host.hostname, host.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_in_flight_is_finished(tmp_path):
    body = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
    body += png() + b"\r\n--x--\r\n"
    with serving(tmp_path) as (process, address), begun(address, body, 50) as connection:
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not is_refused(address):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection.sendall(body[50:])
        answer = b""
        while piece := connection.recv(2**16):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 4"), answer  # there is no model
        assert b"application/problem+json" in answer
        assert process.wait(timeout=10) == 0


def test_a_request_that_does_not_end_is_given_up(tmp_path):
    with serving(tmp_path) as (process, address), begun(address, b"x" * 100, 50):
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_a_stream_ends(tmp_path):
    database = Database.opened(ServiceSettings.read(home=tmp_path).database)
    with database.write() as session:
        session.add(Job(id="j1", kind="audit", state="running", request={}))
    database.close()
    with serving(tmp_path) as (process, address):
        with httpx2.stream("GET", f"{address}/v1/jobs/j1/events", timeout=20) as stream:
            assert stream.status_code == 200
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            list(stream.iter_bytes())
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 5


def test_it_says_that_it_is_not_ready_before_it_refuses(tmp_path):
    with serving(tmp_path, EVENSCAN_DRAIN_SECONDS="3") as (process, address):
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        time.sleep(0.3)
        assert httpx2.get(f"{address}/health/ready").status_code == 503
        assert httpx2.get(f"{address}/health/live").status_code == 200
        assert httpx2.get(f"{address}/v1/models").status_code == 200
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began > 2.9


def test_a_second_signal_is_urgent(tmp_path):
    with serving(tmp_path, EVENSCAN_DRAIN_SECONDS="60") as (process, _):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_stops_at_once(tmp_path, number):
    with serving(tmp_path) as (process, address):
        with httpx2.Client() as client:
            assert client.get(f"{address}/health/live").status_code == 200
            began = time.monotonic()
            process.send_signal(number)
            assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 5


def test_a_service_with_a_model_is_small(trained, tmp_path):
    settings = ServiceSettings.read(home=tmp_path)
    database = Database.opened(settings.database)
    promoted(ModelRegistry(database, LocalStore(tmp_path), tmp_path / "models"), trained)
    database.close()
    began = time.monotonic()
    with serving(tmp_path) as (_, address):
        while httpx2.get(f"{address}/health/startup").status_code != 200:
            time.sleep(0.02)
        ready = time.monotonic() - began
        for _ in range(5):
            files = {"images": ("a.png", png())}
            answer = httpx2.post(f"{address}/v1/predictions", files=files)
            assert answer.status_code == 200, answer.text
        text = httpx2.get(f"{address}/metrics").text
    [line] = [x for x in text.splitlines() if x.startswith("process_resident_memory_bytes")]
    assert float(line.split()[1]) < 200e6
    assert ready < 20  # 3 seconds where nobody else is at work


def test_the_log_is_objects_and_not_of_requests(tmp_path):
    with serving(tmp_path, EVENSCAN_LOG="json") as (process, address):
        headers = {"X-Request-ID": "mine"}
        assert httpx2.get(f"{address}/v1/models", headers=headers).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert "/v1/models" not in errors
    assert all(line.startswith("{") for line in errors.splitlines()), errors
