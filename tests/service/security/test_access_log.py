"""Who asked for what is written down, and nothing of any patient."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from access_samples import key_of, locked
from service_samples import is_problem, png

from service.security.access_log import AccessLog, note_inference
from service.settings import ServiceSettings

SECRET = "Jane-Doe-1970"


@pytest.fixture
def service(tmp_path):
    with locked(ServiceSettings.read(home=tmp_path)) as running:
        yield running


def lines(service):
    files = sorted(service.services.access_log.folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_request_is_a_line(service):
    headers = key_of(service, "admin")
    body = {"name": "a", "role": "viewer"}
    answer = service.client.post("/v1/keys", json=body, headers=headers)
    [line] = lines(service)
    assert line["principal"] == headers["Authorization"].split("_")[1]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/keys", 201)
    assert line["bytes_in"] == len(answer.request.content)
    assert line["bytes_out"] == len(answer.content)
    assert 0 < line["milliseconds"] < 60_000
    assert line["time"].endswith("+00:00")
    assert line["address"] == "testclient"


def test_a_line_says_what_was_found_and_nothing_that_a_sender_made_up(service):
    headers = key_of(service, "admin")
    made = service.client.post(
        "/v1/keys", json={"name": "a", "role": "viewer"}, headers=headers
    )
    number = made.json()["id"]
    service.client.delete(f"/v1/keys/{number}", headers=headers)
    service.client.delete("/v1/keys/Jane-Doe-1950", headers=headers)
    assert [line["target"] for line in lines(service)] == [None, {"key": number}, None]


def test_what_is_refused_is_a_line_too(service):
    service.client.get("/v1/models")
    service.client.get("/v1/models", headers=key_of(service, "viewer"))
    service.client.get("/v1/keys", headers=key_of(service, "viewer"))
    assert [line["status"] for line in lines(service)] == [401, 200, 403]
    assert lines(service)[0]["principal"] is None


def test_a_crash_is_a_line_too(service):
    @service.client.app.get("/crash")
    def crash():
        raise RuntimeError

    service.client.get("/crash", headers=key_of(service, "viewer"))
    [line] = lines(service)
    assert (line["route"], line["status"]) == ("/crash", 500)


def test_what_senders_choose_is_not_written(service):
    headers = {**key_of(service, "admin"), "X-Patient": SECRET}
    ask = service.client.request
    ask("GET", f"/v1/models?patient={SECRET}", headers=headers)
    ask("GET", f"/v1/jobs/{SECRET}", headers=headers)
    ask("GET", f"/{SECRET}", headers=headers)
    ask(SECRET.upper(), "/v1/models", headers=headers)
    ask("POST", "/v1/keys", json={"name": SECRET, "role": "viewer"}, headers=headers)
    files = {"images": (f"{SECRET}.png", png())}
    ask("POST", "/v1/predictions", files=files, headers=headers)
    service.client.get("/", headers={"X-API-Key": SECRET})
    found = lines(service)
    assert len(found) == 7
    assert SECRET.lower() not in json.dumps(found).lower()
    assert [line["route"] for line in found][:3] == ["/v1/models", "/v1/jobs/{job}", None]


def test_probes_are_not_written(service):
    for path in ("/health/live", "/health/ready"):
        service.client.get(path)
    assert lines(service) == []


def test_an_inference_says_which_model_and_how_many_images(service):
    from fastapi import Request

    @service.client.app.get("/ask")
    def ask(request: Request):
        note_inference(request, version=3, images=2)

    service.client.get("/ask", headers=key_of(service, "viewer"))
    [line] = lines(service)
    assert (line["model"], line["images"]) == (3, 2)


def test_only_the_service_reads_it(service):
    service.client.get("/v1/models")
    folder = service.services.access_log.folder
    [file] = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_each_day_has_a_file(tmp_path, monkeypatch):
    import service.security.access_log as module

    class Clock(module.datetime):
        day = 1

        @classmethod
        def now(cls, zone):
            return cls(2026, 1, cls.day, 23, 59, tzinfo=zone)

    monkeypatch.setattr(module, "datetime", Clock)
    log = AccessLog(tmp_path)
    log.add({"a": 1})
    Clock.day = 2
    log.add({"a": 2})
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "2026-01-01.jsonl",
        "2026-01-02.jsonl",
    ]


def test_a_file_that_was_taken_away_is_made_anew(tmp_path):
    log = AccessLog(tmp_path)
    log.add({"a": 1})
    [file] = tmp_path.iterdir()
    file.unlink()
    log.add({"a": 2})
    log.close()
    assert file.read_text() == '{"a":2}\n'


def test_a_link_is_not_followed(tmp_path, caplog):
    log = AccessLog(tmp_path / "log")
    log.add({"a": 1})
    log.close()
    [file] = (tmp_path / "log").iterdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    file.unlink()
    file.symlink_to(elsewhere)
    log.add({"a": 2})
    assert elsewhere.read_text() == ""
    with pytest.raises(OSError, match="symbolic"):
        log.check()
    assert "cannot be written" in caplog.text


def test_many_threads_and_processes_write_whole_lines(tmp_path):
    logs = [AccessLog(tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: logs[n % 3].add({"n": n, "pad": "a" * (n % 500)}), range(3000)))
    for log in logs:
        log.close()
    [file] = tmp_path.iterdir()
    assert sorted(json.loads(line)["n"] for line in file.read_text().splitlines()) == list(
        range(3000)
    )


@contextmanager
def full_disk(room):
    """No file may grow over a size, in bytes; a write is cut short there, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 5, 10, 25])
def test_a_full_disk_loses_no_line_and_leaves_none_half(tmp_path, room, caplog):
    log = AccessLog(tmp_path)
    entries = [{"line": number} for number in range(5)]
    with full_disk(room):
        for entry in entries:
            log.add(entry)
        with pytest.raises(OSError, match=r"full|large"):
            log.check()
    log.check()
    log.close()
    [file] = tmp_path.iterdir()
    whole = []
    for line in file.read_text().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            assert room % 11  # the piece that still fitted, on a line of its own
    assert whole == entries
    assert caplog.text.count("cannot be written") == 1


def test_without_the_log_nothing_is_changed_and_the_service_is_not_ready(service, monkeypatch):
    monkeypatch.setattr("service.health.readiness.GOOD_FOR", 0.0)
    service.services.readiness._until = 0.0  # what was found at the start is not good any more
    headers = key_of(service, "admin")
    folder = service.services.access_log.folder
    service.services.access_log.close()
    folder.write_text("in the way")
    try:
        assert service.client.get("/v1/models", headers=headers).status_code == 200
        ready = service.client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["access log"] != "ok"
        body = {"name": "a", "role": "viewer"}
        response = service.client.post("/v1/keys", json=body, headers=headers)
        is_problem(response, 503)
        assert response.headers["retry-after"]
    finally:
        folder.unlink()
    assert service.client.post("/v1/keys", json=body, headers=headers).status_code == 201
    assert service.client.get("/health/ready").status_code == 200
    assert [line["status"] for line in lines(service)] == [200, 503, 201]


KILLED = """
import sys
from pathlib import Path
from service.security.access_log import AccessLog
log = AccessLog(Path(sys.argv[1]))
number = 0
while True:
    log.add({"n": number})
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_lines_survive_sigkill(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "log")], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    said = process.stdout.read().split(b"\n")
    process.stdout.close()
    process.wait()
    acknowledged = int(said[-2]) if len(said) > 1 else 1
    [file] = (tmp_path / "log").iterdir()
    numbers = [json.loads(line)["n"] for line in file.read_text().splitlines()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= acknowledged


def test_a_line_is_there_before_the_answer_is(service):
    headers = key_of(service, "viewer")
    for count in range(1, 6):
        service.client.get("/v1/models", headers=headers)
        assert len(lines(service)) == count
