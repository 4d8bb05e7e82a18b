"""Audits of uploads: what is served of them, what is refused, and what survives."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from audit_samples import ended, post, predictions, succeeded
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem
from test_processes import environment, start, stop

from evaluation.audit import Audit
from evaluation.card import CARDS
from evaluation.predictions import Predictions
from service.app import create_app
from service.audit import files as audit_files
from service.settings import ServiceSettings
from service.storage import table_bounds
from service.storage.tables import AliasEvent, AuditRecord, Job


@pytest.fixture(scope="module")
def made(worked):
    """The result of an audit under a policy."""
    return succeeded(worked, post(worked, predictions(), policy_name="research"))


def test_one_address_gives_every_form(worked, made):
    place = made["links"]["audit"]
    kinds = {
        "application/json": "application/json",
        "text/html": "text/html",
        "text/csv": "application/zip",
        "*/*": "application/json",
    }
    for wish, kind in kinds.items():
        answer = worked.client.get(place, headers={"accept": wish})
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert answer.headers["vary"] == "Accept"
    audit = Audit.from_json(worked.client.get(place).text)
    assert audit.source == "mine.csv"
    archive = worked.client.get(place, headers={"accept": "text/csv"}).content
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    listed = worked.client.get(made["links"]["tables"]).json()["tables"]
    assert sorted(names) == [f"{name}.csv" for name in listed]
    table = worked.client.get(place, params={"table": "estimates"})
    assert table.headers["content-type"].startswith("text/csv")
    assert len(pd.read_csv(io.StringIO(table.text))) == len(audit.estimates)
    assert table.text == worked.client.get(f"{place}/tables/estimates.csv").text
    is_problem(worked.client.get(place, headers={"accept": "image/png"}), 406)
    assert (
        "'pdf'"
        in is_problem(worked.client.get(place, headers={"accept": "application/pdf"}), 406)[
            "detail"
        ]
    )
    is_problem(worked.client.get(f"{place}/report.pdf"), 404)


def test_every_link_leads_somewhere(worked, made):
    for name, link in made["links"].items():
        assert worked.client.get(link).status_code == 200, name
    assert set(audit_files.CARDS) <= set(made["links"])
    assert {CARDS.get(name).filename for name in CARDS.names()} == set(
        audit_files.CARDS.values()
    )
    summary = worked.client.get(f"{made['links']['audit']}/summary").json()
    assert (summary["verdict"], summary["links"]) == (made["verdict"], made["links"])


def test_the_audited_rows_can_be_had_again(worked, made, tmp_path):
    path = tmp_path / "again.parquet"
    path.write_bytes(worked.client.get(made["links"]["predictions"]).content)
    assert len(Predictions.read(path, ["sex"]).table) == 80


@pytest.mark.parametrize(
    "path", ["/tables/none.csv", "/tables/..%2Faudit.csv", "/cards/none", "?table=../audit"]
)
def test_names_are_not_paths(worked, made, path):
    is_problem(worked.client.get(made["links"]["audit"] + path), 404)


def test_the_report_loads_nothing_and_names_no_folder(worked, made):
    report = worked.client.get(made["links"]["report"])
    assert "default-src 'none'" in report.headers["content-security-policy"]
    assert str(worked.settings.home) not in report.text


def test_a_shareable_form_hides_small_groups(worked):
    frame = predictions()
    frame.loc[:3, "sex"] = "other"
    result = succeeded(worked, post(worked, frame))
    place = result["links"]["audit"]
    whole, shared = (
        Audit.from_json(worked.client.get(place, params={"shareable": flag}).text)
        for flag in (False, True)
    )
    small = [size.patients for size in shared.cohort if size.group == "sex: other"]
    assert small == [None]
    assert [s.patients for s in whole.cohort if s.group == "sex: other"] == [2]
    assert len(shared.notes) == len(whole.notes) + 1


def test_audits_are_listed_by_verdict_a_page_at_a_time(worked, made):
    succeeded(worked, post(worked, predictions(), policy_name="research"))
    verdict = made["verdict"]
    first = worked.client.get("/v1/audits", params={"verdict": verdict, "limit": 1}).json()
    asked = {"verdict": verdict, "limit": 1, "cursor": first["next"]}
    second = worked.client.get("/v1/audits", params=asked).json()
    found = [page["items"][0] for page in (first, second)]
    assert found[0]["created"] >= found[1]["created"]
    assert found[0]["id"] != found[1]["id"]
    assert {each["verdict"] for each in found} == {verdict}
    assert worked.client.get("/v1/audits?model=7").json()["items"] == []
    is_problem(worked.client.get("/v1/audits?model=none"), 404)
    is_problem(worked.client.get("/v1/audits?verdict=GOOD"), 422)
    is_problem(worked.client.get("/v1/audits?cursor=WzFd"), 422)


def test_a_pdf_is_printed_if_it_is_asked_for(worked, printer):
    place = succeeded(worked, post(worked, predictions(), pdf="true"))["links"]["audit"]
    for answer in (
        worked.client.get(f"{place}/report.pdf"),
        worked.client.get(place, headers={"accept": "application/pdf"}),
    ):
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF")


def test_a_pdf_without_its_package_is_refused_at_once(worked, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    body = is_problem(post(worked, predictions(), pdf="true"), 422)
    assert "evenscan[pdf]" in body["detail"]


def test_every_fault_is_told_at_once(worked):
    frame = predictions()
    frame.loc[3, "score"] = 1.3
    body = is_problem(post(worked, frame, policy_name="screning"), 422)
    assert len(body["errors"]) == 2


def test_deleting(worked):
    made = succeeded(worked, post(worked, predictions()))
    place = made["links"]["audit"]
    assert worked.client.delete(place).status_code == 204
    is_problem(worked.client.get(place), 404)
    is_problem(worked.client.get(made["links"]["report"]), 404)
    is_problem(worked.client.delete(place), 404)
    with pytest.raises(LookupError):
        worked.services.store.folder(f"audits/{made['audit']}")


def test_what_was_decided_on_an_audit_stays(empty, tmp_path):
    with empty.services.database.write() as session:
        from service.storage.tables import ModelVersion

        session.add(ModelVersion(id=1, run="r", method="erm", directory="models/1"))
        session.flush()
        for name in ("gate", "promoted", "compared"):
            session.add(AuditRecord(id=name, verdict="PASS", directory=name))
        session.flush()
        session.get(AuditRecord, "gate").version_id = 1
        session.add(
            AliasEvent(alias="champion", version_id=1, who="a", why="b", audit="promoted")
        )
        request = {"challenger": "compared", "champion": "other"}
        session.add(Job(id="j", kind="comparison", request=request))
    for name in ("gate", "promoted", "compared"):
        assert (
            "rests on it"
            in is_problem(empty.client.delete(f"/v1/audits/{name}"), 409)["detail"]
        )
        assert empty.services.audits.get(name) is not None


def test_files_without_a_row_are_swept(empty, tmp_path):
    store, audits = empty.services.store, empty.services.audits
    with empty.services.database.write() as session:
        session.add(Job(id="working", kind="audit", request={}, state="running"))
        session.add(AuditRecord(id="known", verdict=None, directory="known"))
    for name in ("known", "working", "stray"):
        (tmp_path / name).mkdir()
        store.keep(f"audits/{name}", tmp_path / name)
    audits.sweep()
    assert store.names("audits") == ["audits/known", "audits/working"]


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_other_media_types(worked, kind):
    answer = worked.client.post("/v1/audits", content=b"x", headers={"content-type": kind})
    is_problem(answer, 415)


def test_a_form_without_a_table(worked):
    files = {"policy": ("p.toml", "")}
    body = is_problem(
        worked.client.post("/v1/audits", files=files, data={"attributes": "sex"}), 422
    )
    assert body["errors"][0]["column"] == "predictions"


def test_the_same_request_twice_is_one_job(worked):
    headers = {"idempotency-key": "audit-twice"}
    frame = predictions()
    first, second = (post(worked, frame, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert ended(worked, first)["state"] == "succeeded"
    is_problem(post(worked, predictions(seed=2), headers=headers), 422)


def test_columns_of_categories_are_text(worked):
    frame = predictions().astype({"sex": "category", "patient": "category"})
    file = io.BytesIO()
    frame.to_parquet(file)
    assert succeeded(worked, post(worked, file.getvalue(), name="a.parquet"))["audit"]


def parquet(table, **options):
    file = io.BytesIO()
    pa.parquet.write_table(table, file, **options)
    return file.getvalue()


def many_rows():
    value = pa.array(["x"] * 5_100_000).dictionary_encode()
    return parquet(pa.table(dict.fromkeys(("sample", "patient", "sex", "score"), value)))


def long_values():
    value = pa.array(["x" * 10_000_000] * 200).dictionary_encode()
    return parquet(pa.table({"sample": value}), write_batch_size=200)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", lambda: b",".join([b"c"] * 1_000_000) + b"\n1\n", "letters"),
        ("a.csv", lambda: b",".join([b"c"] * 5000) + b"\n1\n", "5,000 columns"),
        ("a.csv", lambda: b'"a\n",' + b",".join([b"c"] * 5000) + b"\n1\n", "5,001 columns"),
        ("a.csv", lambda: b"a,b\n" + b",".join([b"c"] * 5000) + b"\n1\n", "5,000 columns"),
        ("a.csv", lambda: b"a,b,c,d,e\n" + b"\n" * 5_000_000, "cells"),
        ("a.csv", lambda: b"a,b,c,d,e\n" + b"\r" * 5_000_000, "cells"),
        ("a.parquet", many_rows, "cells"),
        ("a.parquet", long_values, "in memory"),
        (
            "a.parquet",
            lambda: parquet(pa.table({f"c{n}": [1] for n in range(2001)})),
            "2,001 columns",
        ),
        ("a.parquet", lambda: parquet(pa.table({"a": [[1, 2]]})), "lists"),
        (
            "a.parquet",
            lambda: parquet(pa.Table.from_pandas(predictions()))[:-40],
            "not readable as a table",
        ),
        ("a.parquet", lambda: b"", "not readable as a table"),
        ("a.csv", lambda: b"", "not readable as a table"),
        ("a.csv", lambda: b"\x00" * 1000, ""),
        ("a.csv", lambda: b"\xff\xfe\x00" * 1000, "not readable as a table"),
        ("a.csv", lambda: b'"' + b"a" * 2_000_000, "letters"),
    ],
)
def test_bombs_and_wrecks_are_refused(worked, name, content, found):
    body = is_problem(post(worked, content(), name=name), 422)
    assert found in body["detail"]
    assert str(worked.settings.home) not in body["detail"]


#: Prints by how many MiB a call raises the peak of its own process. What getrusage says begins
#: with the peak of the process that started it, and so may not rise at all.
PEAK = """
import sys
from pathlib import Path
from service.storage.table_bounds import _parquet

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

before = peak()
assert _parquet(Path(sys.argv[1]))
checked = peak()
held = b"x" * (300 * 2**20)
print(checked - before, peak() - before)
"""


def test_bounds_take_little_memory(tmp_path):
    path = tmp_path / "bomb.parquet"
    path.write_bytes(long_values())
    assert path.stat().st_size < 2_000_000
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    checked, with_more = map(int, done.stdout.split())
    assert checked < 200  # it stands for 2,000
    assert with_more > 250  # so the peak would have told
    assert table_bounds.MOST_BYTES > 200 * 2**20


@pytest.mark.slow
def test_a_large_upload_is_not_held_in_memory(tmp_path):
    """The API of a service without a worker takes 60 MB, and has them on its disk only."""
    process, address = start(tmp_path, "--no-worker", "--open")
    try:

        def peak():
            status = Path(f"/proc/{process.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) // 1024

        httpx2.get(f"{address}/health/ready")
        before = peak()
        line = b"s,p,1,0.5," + b"x" * 9990 + b"\n"
        files = {"predictions": ("a.csv", io.BytesIO(line * 6000))}
        answer = httpx2.post(
            f"{address}/v1/audits", files=files, data={"attributes": "sex"}, timeout=60
        )
        assert answer.status_code == 503, answer.text
        assert peak() - before < 30  # MiB
        assert not list((tmp_path / "uploads").iterdir())
    finally:
        stop(process)


@pytest.mark.slow
def test_a_killed_worker_leaves_its_audit_to_the_next(tmp_path):
    code = Path(__file__).parents[1].joinpath("killed_worker.py")
    variables = environment(tmp_path) | {
        "EVENSCAN_POLL_SECONDS": "0.05",
        "EVENSCAN_PROGRESS_SECONDS": "0",
    }
    places = ("begun:audit", "done:audit")
    command = [sys.executable, str(code), str(tmp_path), *places]
    settings = ServiceSettings.read(home=tmp_path, poll_seconds=0.05, open=True)
    worker = subprocess.Popen(command, env=variables)
    try:
        with TestClient(create_app(settings), base_url=HERE) as client:
            running = type("Running", (), {"client": client})
            made = succeeded(running, post(running, predictions()))
            assert json.loads(client.get(made["links"]["audit"]).text)["verdict"] is None
            assert len(client.get("/v1/audits").json()["items"]) == 1
            assert {place for place in places if (tmp_path / place).exists()} == set(places)
    finally:
        worker.terminate()
        worker.wait(10)
