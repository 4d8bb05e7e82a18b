"""The way through the service with `evenscan remote` alone: a real server and its worker."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import tomli_w
from service_samples import tiny
from typer.testing import CliRunner

from service.cli import app
from training.cohort import CohortSchema
from training.formats.phantom import write_phantom


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Sets address and key of a server with a worker; yields the file of its log."""
    own = {name: value for name, value in os.environ.items() if "EVENSCAN" not in name}
    variables = own | {
        "EVENSCAN_HOME": str(tmp_path / "home"),
        "EVENSCAN_POLL_SECONDS": "0.05",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "service"]
    create = [*command, "keys", "create", "--name", "Ada", "--role", "admin"]
    made = subprocess.run(create, env=variables, capture_output=True, text=True, check=True)
    with (tmp_path / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0"],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        monkeypatch.setenv("EVENSCAN_URL", process.stdout.readline().split()[-1])
        monkeypatch.setenv("EVENSCAN_KEY", made.stdout.strip())
        yield tmp_path / "serve.log"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture
def remote(served):
    """Runs a command, which has to end well."""

    def call(*arguments):
        done = CliRunner().invoke(app, ["remote", *map(str, arguments)])
        assert done.exit_code == 0, (done.output, done.exception, served.read_text())
        return done

    return call


@pytest.fixture
def sent(tmp_path):
    """A folder with what a hospital sends: a table, a zip of images, and their schema."""
    folder = tmp_path / "phantom"
    write_phantom(CohortSchema.parse(tiny()["cohort"], "test"), folder)
    shutil.make_archive(folder / "images", "zip", folder / "images")
    run = {name: value for name, value in tiny().items() if name != "cohort"}
    run["audit"] |= {"attributes": ["sex"]}
    (folder / "run.toml").write_text(tomli_w.dumps(run), encoding="utf-8")
    return folder


def test_from_a_key_to_a_prediction(remote, sent, tmp_path, monkeypatch):
    key = ("keys", "create", "--name", "Grace", "--role", "admin", "--expires", "1d")
    made = remote(*key, "--scope", "read", "--scope", "infer", "--scope", "train")
    assert "read, infer, train; good until" in made.stderr
    admin = os.environ["EVENSCAN_KEY"]
    monkeypatch.setenv("EVENSCAN_KEY", made.stdout.strip())

    files = ("--manifest", sent / "manifest.csv", "--images", sent / "images.zip")
    uploaded = remote("cohorts", "upload", *files, "--schema", sent / "cohort.toml", "--watch")
    cohort = remote("cohorts", "list").stdout.split("\t")[0]
    assert f"cohort: /v1/cohorts/{cohort}\n" in uploaded.stderr
    assert json.loads(remote("cohorts", "show", cohort).stdout)["patients"] == 60

    job = remote("retrain", sent / "run.toml", "--cohort", cohort, "--hold").stdout.strip()
    watched = remote("jobs", "watch", job).stderr
    assert "succeeded: Held for approval with no champion to compare with: PASS." in watched
    assert remote("jobs", "list", "--kind", "retrain").stdout.split("\t")[0] == job
    assert "\tstep\ttrain\n" in remote("jobs", "logs", job).stdout
    audit = remote("audits", "list").stdout.split("\t")[0]
    assert json.loads(remote("audits", "show", audit).stdout)["verdict"] == "PASS"
    written = remote("audits", "download", audit, "--out", tmp_path / "audit").stdout
    assert len(written.splitlines()) == len(list((tmp_path / "audit").iterdir())) == 6

    monkeypatch.setenv("EVENSCAN_KEY", admin)
    assert remote("models", "list").stdout.rstrip().endswith("challenger")
    promoted = remote("models", "promote", "challenger", "--why", "I have read its audit.")
    assert promoted.stdout == "champion is version 1\n"
    images = sorted((sent / "images").iterdir())[:40]
    lines = [json.loads(line) for line in remote("predict", *images).stdout.splitlines()]
    assert [line["image"] for line in lines] == [image.name for image in images]
    assert {line["decision"] for line in lines} <= {"absent", "present"}

    on = ("--model", "champion", "--cohort", cohort, "--rows", "all", "--attributes", "sex")
    again = remote("audits", "create", *on).stdout.strip()  # is checked before the answer
    assert remote("jobs", "list", "--kind", "model_audit").stdout.split("\t")[0] == again
    assert remote("jobs", "cancel", again).stdout.startswith(again)
