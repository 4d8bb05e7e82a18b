"""The service as processes: what the API loads, workers, commands."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest
from service_samples import png, promoted
from typer.testing import CliRunner

from evaluation.errors import InputError
from service.cli import app
from service.jobs.probe import at_work, lock_of
from service.models.registry import ModelRegistry
from service.server import _listen, serve
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import LocalStore


def environment(home):
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("EVENSCAN_")
    }
    return variables | {"EVENSCAN_HOME": str(home), "OMP_NUM_THREADS": "1"}


def command(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_api_loads_neither_torch_nor_tables(trained, tmp_path):
    """Nor after it has predicted, checked a retrain request and described itself."""
    settings = ServiceSettings.read(home=tmp_path)
    database = Database.opened(settings.database)
    promoted(ModelRegistry(database, LocalStore(tmp_path), tmp_path / "models"), trained)
    database.close()
    (tmp_path / "image.png").write_bytes(png())
    code = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import ServiceSettings
from service.storage.store import LocalStore
settings = ServiceSettings.read(check_seconds=0.2, open=True)
with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
    image = Path(sys.argv[1]).read_bytes()
    for path in ("predictions", "embeddings"):
        assert client.post(f"/v1/{path}", files={"images": ("a.png", image)}).status_code == 200
    request = {"method": "erm", "cohort": {}}
    assert client.post("/v1/retrain", json=request).status_code == 503
    assert client.get("/openapi.json").status_code == 200
heavy = ("torch", "monai", "pandas", "sklearn", "fairlearn", "matplotlib")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "image.png")],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_commands_list_register_and_promote(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENSCAN_HOME", str(tmp_path))

    def call(*arguments):
        return CliRunner().invoke(app, arguments)

    assert call("models", "register", str(trained)).output.strip() == "1"
    promote = ("models", "promote", "1", "--who", "me", "--why", "first")
    assert call(*promote).output.strip() == "champion is version 1"
    listed = call("models", "list").output
    assert listed.startswith(f"1\term\t{trained.name}\t")
    assert listed.rstrip().endswith("champion")
    refused = call("models", "register", str(tmp_path)).exception
    assert isinstance(refused, InputError)
    assert "there is no model.onnx" in str(refused)


def test_the_commands_cost_nothing_to_list():
    code = "import sys, service.cli; print('fastapi' in sys.modules or 'dbos' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def start(home, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0", *arguments],
        env=environment(home) | {"EVENSCAN_POLL_SECONDS": "0.05"},
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("Evenscan listens on http://127.0.0.1:"), line
    return process, line.split()[-1]


def wait(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stop(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    process.stdout.close()


def test_serve_starts_a_worker_and_takes_it_along(tmp_path):
    process, address = start(tmp_path)
    try:
        assert httpx2.get(f"{address}/health/ready").status_code == 200
        lock = lock_of(tmp_path, "worker-1")
        wait(lambda: at_work(lock))
        refused = command(tmp_path, "worker")
        assert refused.returncode == 1
        assert "another worker is at work here" in refused.stderr
    finally:
        stop(process)
    assert not at_work(lock)


def test_a_worker_outlives_no_api(tmp_path):
    process, _ = start(tmp_path)
    wait(lambda: at_work(lock_of(tmp_path, "worker-1")))
    process.kill()
    process.wait()
    process.stdout.close()
    wait(lambda: not at_work(lock_of(tmp_path, "worker-1")), seconds=10)


def test_a_home_that_cannot_be_used_is_bad_input_and_no_verdict(tmp_path):
    (tmp_path / "home").write_text("a file")
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    variables = environment(tmp_path / "home")
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServiceSettings.read(home=tmp_path, port=taken.getsockname()[1])
        with pytest.raises(InputError, match="cannot listen there"):
            serve(settings, with_worker=False, on_listening=print)


def test_answers_are_sent_at_once(tmp_path):
    """Without a named protocol asyncio gathers small packets, which costs 40 ms a request."""
    with _listen(ServiceSettings.read(home=tmp_path, port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
