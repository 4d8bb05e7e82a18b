"""`evenscan remote audits`: what is asked of the service."""

import json

import httpx2
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.client import Client


def test_what_to_audit_has_to_be_clear():
    for given in (
        (),
        ("--predictions", "p.csv", "--model", 1, "--cohort", "a"),
        ("--predictions", "p.csv", "--rows", "all"),
        ("--champion", "p.csv"),
        ("--champion", "p.csv", "--model", 1, "--cohort", "a"),
        ("--model", 1),
        ("--cohort", "a"),
    ):
        done = CliRunner().invoke(app, ["remote", "audits", "create", *map(str, given)])
        assert "it is not clear what to audit" in str(done.exception), given


@pytest.fixture
def heard(monkeypatch):
    """What commands ask a service for that takes on every job."""
    sent = []
    job = {"id": "j", "kind": "audit", "state": "queued"}
    job |= dict.fromkeys(("created", "updated"), "2026-11-23T00:00:00Z")

    def answer(request):
        request.read()
        sent.append(request)
        return httpx2.Response(200, json=job if request.method == "GET" else {"job": "j"})

    def service():
        return Client("http://localhost", transport=httpx2.MockTransport(answer))

    monkeypatch.setattr("service.client.Client", service)

    def call(*arguments):
        done = CliRunner().invoke(app, ["remote", *map(str, arguments)])
        assert done.stdout == "j\n", (done.output, done.exception)
        return sent[-2]

    return call


def test_every_term_of_an_audit_is_passed_on(heard, tmp_path):
    (tmp_path / "p.csv").write_text("sample\n")
    (tmp_path / "settings.toml").write_text("[audit]\ndraws = 200\n")
    (tmp_path / "policy.toml").write_text('name = "own"\n')
    settings = ("--settings", tmp_path / "settings.toml")
    terms = ("--pdf", "--policy", tmp_path / "policy.toml")
    file = ("audits", "create", "--predictions", tmp_path / "p.csv", "--attributes", "sex,age")
    alone = heard(*file, "--pdf", "--policy-name", "screening")
    assert alone.url.path == "/v1/audits"
    fields = {"pdf": "true", "policy_name": "screening", "attributes": "sex,age"}
    for field, value in fields.items():
        assert f'name="{field}"\r\n\r\n{value}\r\n'.encode() in alone.content
    both = heard(*file, "--champion", tmp_path / "p.csv", *settings, *terms)
    assert both.url.path == "/v1/audits/comparisons"
    for field in ("predictions", "champion", "settings", "policy"):
        assert f'name="{field}"; filename='.encode() in both.content

    policy = {"policy": {"name": "own"}, "pdf": True, "rows": "all"}
    on = ("--model", "champion", "--cohort", "a-1", "--rows", "all", "--attributes", "sex")
    asked = json.loads(heard("audits", "create", *on, *settings, *terms).content)
    audit = {"draws": 200, "attributes": ["sex"]}
    assert asked == policy | {"model": "champion", "cohort": "a-1", "audit": audit}
    pair = ("audits", "compare", 2, 1, "--cohort", "a-1", "--rows", "all")
    asked = json.loads(heard(*pair, *terms).content)
    assert asked == policy | {"challenger": "2", "champion": "1", "cohort": "a-1"}


@pytest.mark.parametrize("text", ["[columns]\nscore = 's'\n", "audit = 3\n"])
def test_settings_that_a_model_does_not_take(tmp_path, monkeypatch, text):
    monkeypatch.setenv("EVENSCAN_URL", "http://127.0.0.1:9")
    (tmp_path / "settings.toml").write_text(text)
    on = ("--model", "1", "--cohort", "a-1", "--settings", str(tmp_path / "settings.toml"))
    done = CliRunner().invoke(app, ["remote", "audits", "create", *on])
    assert "it holds more than a table 'audit'" in str(done.exception)


def test_a_report_is_downloaded_as_pdf_too(tmp_path, monkeypatch):
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=b"%PDF"))
    monkeypatch.setattr(
        "service.client.Client", lambda: Client("http://localhost", transport=transport)
    )
    out = ("--out", str(tmp_path / "audit"))
    for more, files in (((), 6), (("--pdf",), 7)):
        done = CliRunner().invoke(app, ["remote", "audits", "download", "a", *out, *more])
        assert len(done.stdout.splitlines()) == files
    assert (tmp_path / "audit" / "report.pdf").read_bytes() == b"%PDF"
