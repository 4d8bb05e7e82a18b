"""`evenscan remote` against a real server."""

import json
import threading

import pytest
from access_samples import listening
from service_samples import png, promoted
from typer.testing import CliRunner

from evaluation.errors import InputError
from service.cli import app
from service.client import Client
from service.jobs.jobs import Jobs, add
from service.models.registry import ModelRegistry
from service.security.keys import Keys
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import LocalStore
from service.storage.tables import Job


@pytest.fixture(scope="module")
def server(tmp_path_factory, trained):
    """Address, key and database of a service with two versions and without a worker."""
    home = tmp_path_factory.mktemp("home")
    settings = ServiceSettings.read(home=home, check_seconds=0.2)
    database = Database.opened(settings.database)
    registry = ModelRegistry(database, LocalStore(home), home / "models")
    promoted(registry, trained)
    registry.register(trained, "job-2")
    _, key = Keys(database).create("Ada", "admin")
    with listening(settings) as (host, port):
        yield f"http://{host}:{port}", key, database
    database.close()


@pytest.fixture
def remote(server, monkeypatch):
    """Runs a command, which has to end with a code."""
    monkeypatch.setenv("EVENSCAN_URL", server[0])
    monkeypatch.setenv("EVENSCAN_KEY", server[1])

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, ["remote", *map(str, arguments)])
        assert done.exit_code == code, done.output
        return done

    return call


def begin(database, job):
    with database.write() as session:
        add(session, Job(id=job, kind="audit", request={}, who="Ada"))
    return Jobs(database)


def test_images_are_predicted_and_embedded(remote, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    files = (tmp_path / "a.png", tmp_path / "b.png")
    lines = remote("predict", *files).stdout.splitlines()
    assert [json.loads(line)["image"] for line in lines] == ["a.png", "b.png"]
    assert json.loads(remote("embed", files[0], "--model", "2").stdout)["content"]


def test_models_are_promoted_rolled_back_downloaded_and_deleted(remote, tmp_path):
    assert "champion" in remote("models", "list").stdout
    assert "version 2" in remote("models", "promote", 2, "--why", "better").stdout
    assert json.loads(remote("models", "show", "champion").stdout)["moves"][-1]["who"] == "Ada"
    assert "version 1" in remote("models", "rollback", "--why", "worse").stdout
    for option in ((), ("--run",)):
        remote("models", "download", 2, "--out", tmp_path / "model.zip", *option)
        assert (tmp_path / "model.zip").read_bytes().startswith(b"PK")
    refused = remote("models", "delete", 1, code=1)
    assert refused.stderr.startswith("Error: model: version 1 is the champion")
    assert "removed" in remote("models", "delete", 2).stdout


def test_jobs_are_listed_shown_watched_and_cancelled(remote, server):
    jobs = begin(server[2], "job-1")
    assert "job-1" in remote("jobs", "list", "--state", "queued").stdout

    def work():
        jobs.begin("job-1", "read")
        jobs.succeed("job-1", "All is well.", {"audit": "a"})

    later = threading.Timer(0.3, work)
    later.start()
    done = remote("jobs", "watch", "job-1")
    later.join()
    assert "succeeded: All is well." in done.stderr
    assert "report: /v1/audits/a/report" in done.stderr
    assert "read" in remote("jobs", "logs", "job-1").stdout
    assert json.loads(remote("jobs", "show", "job-1").stdout)["state"] == "succeeded"
    begin(server[2], "job-3")
    assert "cancelled" in remote("jobs", "cancel", "job-3").stdout
    assert "Ada" in remote("jobs", "watch", "job-3", code=1).stderr


def test_keys_are_made_and_revoked(remote):
    made = remote("keys", "create", "--name", "Grace", "--role", "viewer")
    assert made.stdout.startswith("evs_")
    line = next(x for x in remote("keys", "list").stdout.splitlines() if x.endswith("Grace"))
    assert line.split("\t")[2] == "read,infer"
    assert "revoked" in remote("keys", "revoke", line.split("\t")[0]).stdout


def test_a_key_may_do_less_than_its_role(remote):
    made = remote("keys", "create", "--name", "Emmy", "--role", "viewer", "--scope", "infer")
    assert ": infer; good until" in made.stderr
    never = ("--expires", "never", "--scope", "read", "--scope", "infer")
    made = remote("keys", "create", "--name", "Emmy", "--role", "trainer", *never)
    assert made.stderr.endswith(": read, infer; good for ever\n")
    refused = remote(
        "keys", "create", "--name", "a", "--role", "viewer", "--scope", "train", code=1
    )
    assert "train" in refused.stderr


def test_lists_may_be_empty(remote):
    assert remote("cohorts", "list").stdout == remote("audits", "list").stdout == ""


def test_refusals_are_told_like_those_of_other_commands(remote, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    assert remote("predict", tmp_path / "a.png", code=1).stderr.startswith("Error: a.png: ")
    assert "no job 'none'" in remote("jobs", "show", "none", code=1).stderr
    for kind in ("cohorts", "audits"):
        end = ("--out", tmp_path / "out") if kind == "audits" else ()
        verb = "download" if kind == "audits" else "show"
        assert remote(kind, verb, "none", *end, code=1).stderr.startswith("Error: There is no")


def test_without_a_worker_long_work_is_refused(remote, tmp_path, monkeypatch):
    class Hasty(Client):
        def __init__(self):
            super().__init__(patience=0)

    monkeypatch.setattr("service.client.Client", Hasty)
    (tmp_path / "p.csv").write_text("sample,patient,label,score,sex\n")
    (tmp_path / "run.toml").write_text(
        'cohort = "phantom"\nmethod = {name = "erm"}\nsize = 28\n'
    )
    (tmp_path / "cohort.toml").write_text('name = "tiny"\n')
    file = ("--predictions", tmp_path / "p.csv", "--attributes", "sex")
    audit = ("audits", "create")
    zipped = ("--manifest", tmp_path / "p.csv", "--images", tmp_path / "p.csv")
    for asked in (
        (*audit, *file),
        (*audit, "--model", 1, "--cohort", "tiny-1"),
        ("audits", "compare", 1, 1, "--cohort", "tiny-1"),
        ("retrain", tmp_path / "run.toml", "--cohort", "tiny-1", "--hold"),
        ("cohorts", "upload", *zipped, "--schema", tmp_path / "cohort.toml"),
        ("cohorts", "register", "folder", "--schema", tmp_path / "cohort.toml"),
    ):
        said = remote(*asked, code=1).stderr
        assert "No worker answered" in said, (asked, said)


def test_files_are_looked_at_before_the_first_is_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENSCAN_URL", "http://127.0.0.1:9")
    images = [tmp_path / f"{k}.png" for k in range(40)]
    for image in images[:39]:
        image.write_bytes(b"x")
    for command in ("predict", "embed"):
        done = CliRunner().invoke(app, ["remote", command, *map(str, images)])
        assert "39.png: there is no such file" in str(done.exception)


@pytest.mark.parametrize(
    ("key", "said"), [("", "EVENSCAN_KEY is not set"), ("wrong", "EVENSCAN_KEY is no good key")]
)
def test_a_missing_or_bad_key_is_told_by_its_variable(remote, monkeypatch, key, said):
    monkeypatch.setenv("EVENSCAN_KEY", key)
    assert said in remote("jobs", "list", code=1).stderr


def test_a_list_has_a_row_a_line(remote, server):
    jobs = begin(server[2], "job-lines")
    jobs.fail("job-lines", "one fault\nanother\tfault")
    [row] = [x for x in remote("jobs", "list").stdout.splitlines() if x.startswith("job-lines")]
    assert "one fault another fault" in row


def test_a_run_names_its_policy_as_train_does_and_its_cohorts(remote, tmp_path, monkeypatch):
    run = tmp_path / "run.toml"
    run.write_text('policy = "research"\n[method]\nname = "erm"\n')
    missing = remote("retrain", run, code=1).exception
    assert isinstance(missing, InputError)
    assert "--cohort" in str(missing)
    sent = {}
    monkeypatch.setattr(Client, "retrain", lambda self, run: sent.update(run) or Job(id="1"))
    monkeypatch.setattr("service.remote.training.begun", lambda *_: None)
    remote("retrain", run, "--cohort", "ours-0")
    assert sent["cohorts"] == ["ours-0"]
    assert sent["policy"]["name"] == "research"
