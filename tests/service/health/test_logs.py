"""One line an event, with the request or job that it is about, and nothing of patients."""

import json
import os
import subprocess
import sys

import pytest

SAID = """
import logging, sqlite3, sys, warnings
from service.protocol.context import Context, continued, within
from service.health.logs import configure

configure(sys.argv[1])
log = logging.getLogger("service.somewhere")
log.info("plain")
logging.getLogger("somebody.else").info("not worth reading")
logging.getLogger("somebody.else").warning("worth reading")
with within(Context(request_id="r-1", traceparent=continued(f"00-{'a' * 32}-{'b' * 16}-01"))):
    log.warning("two\\nlines \\x1b[31m")
    try:
        try:
            {}["Jane Doe"]
        except KeyError as error:
            raise ValueError("could not convert 'Jane Doe'") from error
    except ValueError:
        log.exception("it went wrong")
with within(Context(job="j-1")):
    log.info("working", extra={"epoch": 3})
try:
    raise sqlite3.OperationalError("database is locked")
except sqlite3.OperationalError:
    log.exception("the database")
try:
    open("/nowhere/Jane Doe.csv")
except OSError:
    log.exception("the file")
warnings.warn("a library warns")
import dbos
logging.getLogger("dbos").warning("the job store")
"""


def said(form, home):
    done = subprocess.run(
        [sys.executable, "-c", SAID, form],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"EVENSCAN_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    return [
        json.loads(line) for line in said("json", tmp_path_factory.mktemp("log")).splitlines()
    ]


def test_every_line_has_the_same_fields(lines):
    fields = {"time", "level", "logger", "message", "request_id", "trace_id", "job"}
    assert all(fields <= set(line) <= fields | {"error", "epoch"} for line in lines)
    assert len(lines) == 9


def test_lines_belong_to_their_request_or_job(lines):
    plain, _, two, wrong, working, *_ = lines
    assert (plain["request_id"], plain["trace_id"], plain["job"]) == (None, None, None)
    for line in (two, wrong):
        assert (line["request_id"], line["trace_id"], line["job"]) == ("r-1", "a" * 32, None)
    assert (working["request_id"], working["job"], working["epoch"]) == (None, "j-1", 3)


def test_of_other_packages_only_warnings(lines):
    assert [line["logger"] for line in lines if not line["logger"].startswith("service")] == [
        "somebody.else",
        "py.warnings",
        "dbos",
    ]


def test_errors_are_told_without_what_they_quote(lines):
    error = next(line["error"] for line in lines if line["message"] == "it went wrong")
    assert error.startswith("ValueError\n")
    assert "\nafter\nKeyError\n" in error
    assert "<string>:17 in <module>" in error
    assert not any("Jane" in json.dumps(line) for line in lines)


def test_what_cannot_be_about_patients_is_said(lines):
    errors = {line["message"]: line["error"] for line in lines if "error" in line}
    assert errors["the database"].startswith("OperationalError: database is locked\n")
    assert errors["the file"].startswith("FileNotFoundError: No such file or directory\n")


def test_lines_for_people(tmp_path):
    lines = said("text", tmp_path).splitlines()
    assert lines[0].endswith(" INFO service.somewhere: plain")
    assert lines[2].endswith(rf"two\x0alines \x1b[31m request=r-1 trace={'a' * 32}")
    assert any(line.endswith("working job=j-1") for line in lines)
    assert not any("Jane" in line for line in lines)
