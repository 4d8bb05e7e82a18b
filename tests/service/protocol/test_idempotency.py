"""A request that comes again is answered again, and what it asked for is done once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from service_samples import HERE, is_problem
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers

from service.protocol.answers import Answers, this_process
from service.protocol.idempotency import LONGEST, Idempotency, Payload
from service.security.access import ANYBODY
from service.storage.tables import Answer, now


class Counted:
    """An app that counts what it is asked to do."""

    def __init__(self, database):
        self.done = 0
        self.going, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.database = database
        router = APIRouter()
        router.add_api_route("/things", self.make, methods=["POST"], status_code=202)
        router.add_api_route(
            "/things/{thing}", self.remove, methods=["DELETE"], status_code=204
        )
        router.add_api_route("/large", self.large, methods=["POST"])
        router.add_api_route("/stream", self.stream, methods=["POST"])
        router.add_api_route("/crash", self.crash, methods=["POST"])
        router.add_api_route("/status/{status}", self.answer, methods=["POST"])
        app = self.app = FastAPI()
        app.include_router(router)
        app.add_middleware(Idempotency)
        app.state.services = self
        self.answers = Answers(database)

        async def known(scope, receive, send):
            scope.setdefault("state", {})["principal"] = self.principal
            await app(scope, receive, send)

        self.principal = ANYBODY
        self.client = TestClient(known, base_url=HERE, raise_server_exceptions=False)

    def make(self, thing: dict[str, int]):
        self.going.set()
        assert self.go.wait(10)
        self.done += 1
        headers = {"Location": f"/things/{self.done}", "Retry-After": "2"}
        return JSONResponse({"made": self.done, **thing}, 202, headers)

    def remove(self, thing: str):
        self.done += 1

    def large(self):
        self.done += 1
        return {"text": "x" * LONGEST}

    def stream(self):
        self.done += 1
        return StreamingResponse(iter(["a", "b"]), media_type="text/plain")

    def crash(self):
        self.done += 1
        raise RuntimeError("it went wrong")

    async def answer(self, status: int, request: Request):
        self.done += 1
        return JSONResponse({"number": self.done}, status)

    def post(self, path="/things", key="k1", json=None, **more):
        headers = {"Idempotency-Key": key}
        return self.client.post(path, json=json or {"size": 3}, headers=headers, **more)


@pytest.fixture
def counted(database):
    return Counted(database)


def rows(counted):
    with counted.database.read() as session:
        return session.scalars(select(Answer)).all()


def test_the_same_request_gets_the_same_answer(counted):
    first, again = counted.post(), counted.post()
    assert counted.done == 1
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("location", "retry-after", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


def test_another_key_principal_path_or_method_is_another_request(counted):
    counted.post()
    counted.post(key="k2")
    counted.post("/status/200")
    counted.principal = type(ANYBODY)("other", "other", frozenset())
    counted.post()
    assert counted.done == 4


def test_no_key_is_no_promise(counted):
    for _ in range(2):
        counted.client.post("/things", json={"size": 3})
    assert counted.done == 2
    assert rows(counted) == []


def test_another_payload_is_refused(counted):
    counted.post()
    body = is_problem(counted.post(json={"size": 4}), 422)
    assert body["type"] == "urn:evenscan:problem:key-reused"
    is_problem(counted.post(params={"more": "yes"}), 422)
    assert counted.done == 1


def test_an_answer_without_a_body(counted):
    headers = {"Idempotency-Key": "k"}
    answers = [counted.client.delete("/things/1", headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [204, 204]
    assert counted.done == 1


def test_a_form_is_the_same_whatever_its_boundary(counted):
    headers = {"Idempotency-Key": "k"}

    def send(content):
        form = {"file": ("a.csv", content)}
        return counted.client.post("/status/201", files=form, headers=headers)

    answers = [send(b"1,2\n" * 50_000) for _ in range(2)]
    sent = {each.request.headers["content-type"] for each in answers}
    assert len(sent) == 2
    assert counted.done == 1
    is_problem(send(b"1,3\n"), 422)


@pytest.mark.parametrize("status", [400, 404, 409, 415, 422])
def test_what_is_wrong_with_a_request_stays_wrong(counted, status):
    assert [counted.post(f"/status/{status}").status_code for _ in range(2)] == [status] * 2
    assert counted.done == 1


@pytest.mark.parametrize("status", [401, 403, 408, 413, 429, 500, 503])
def test_what_may_pass_is_tried_again(counted, status):
    assert [counted.post(f"/status/{status}").status_code for _ in range(2)] == [status] * 2
    assert counted.done == 2
    assert rows(counted) == []


@pytest.mark.parametrize("path", ["/large", "/stream", "/crash"])
def test_what_cannot_be_kept_is_done_again(counted, path):
    first, again = counted.post(path), counted.post(path)
    assert first.content == again.content
    assert counted.done == 2
    assert rows(counted) == []


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "grün"])
def test_a_key_that_is_none(counted, key):
    is_problem(counted.post(key=key.encode()), 400)


def test_two_keys(counted):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    is_problem(counted.client.post("/things", json={}, headers=headers), 400)


def test_longest_key(counted):
    assert counted.post(key="~" * 255).status_code == 202


def test_inference_has_no_use_for_keys(counted):
    counted.client.post("/v1/predictions", headers={"Idempotency-Key": "k"})
    counted.client.get("/things/1", headers={"Idempotency-Key": "k"})
    assert rows(counted) == []


def test_a_request_under_way(counted):
    counted.go.clear()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(counted.post)
        assert counted.going.wait(10)
        refused = counted.post()
        counted.go.set()
    body = is_problem(refused, 409)
    assert body["type"] == "urn:evenscan:problem:under-way"
    assert refused.headers["retry-after"] == "1"
    assert counted.post().content == first.result().content
    assert counted.done == 1


def test_many_at_once_are_one(counted):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: counted.post(), range(20)))
    assert counted.done == 1
    assert {each.status_code for each in answers} <= {202, 409}


def claimed(counted, **values):
    counted.post()
    with counted.database.write() as session:
        values = {
            "status": None,
            "digest": None,
            "headers": {"process": this_process()},
        } | values
        session.execute(update(Answer).values(**values))


def test_a_claim_of_a_living_process_holds(counted):
    claimed(counted)
    is_problem(counted.post(), 409)


def test_a_claim_of_a_dead_process_does_not(counted):
    claimed(counted, headers={"process": this_process() | {"number": 2**22 + 1}})
    assert counted.post().json()["made"] == 2


def test_a_process_number_that_came_again_is_another_process(counted):
    claimed(counted, headers={"process": this_process() | {"began": "1"}})
    assert counted.post().json()["made"] == 2


@pytest.mark.parametrize(("minutes", "status"), [(59, 409), (61, 202)])
def test_a_claim_of_another_machine_holds_for_an_hour(counted, minutes, status):
    process = this_process() | {"host": "elsewhere"}
    claimed(counted, headers={"process": process}, created=now() - timedelta(minutes=minutes))
    assert counted.post().status_code == status


def test_a_claim_of_a_living_process_holds_however_long_it_takes(counted):
    """An upload may take hours."""
    claimed(counted, created=now() - timedelta(hours=5))
    is_problem(counted.post(), 409)


@pytest.mark.parametrize("fails", ["keep", "release"])
def test_a_key_is_free_again_when_the_database_is_back(counted, monkeypatch, fails):
    counted.answers.sweep()
    counted.answers._sweeping.due()
    write = counted.database.write
    path = {"keep": "/things", "release": "/stream"}[fails]
    left = iter([True, False])  # the claim can be written, and what comes after it not

    def failing():
        if next(left, True):
            return write()
        raise OperationalError("UPDATE", {}, Exception("away"))

    monkeypatch.setattr(counted.database, "write", failing)
    counted.post(path)
    assert [row.status for row in rows(counted)] == [None]
    assert counted.post(path).status_code < 300
    assert counted.done == 2


def test_who_goes_away_during_a_request_without_a_body_finds_its_answer(counted):
    """Nothing is left to come of it, so that it is whole."""

    async def call():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        scope = {"type": "http", "method": "DELETE", "path": "/things/a", "query_string": b""}
        scope |= {"headers": [(b"idempotency-key", b"k1")], "app": app, "root_path": ""}
        scope |= {"state": {"principal": ANYBODY}, "http_version": "1.1", "scheme": "http"}
        await app(scope, receive, send)

    app = counted.app
    asyncio.run(call())
    assert counted.done == 1
    again = counted.client.delete("/things/a", headers={"Idempotency-Key": "k1"})
    assert (again.status_code, counted.done) == (204, 1)
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(("hours", "made"), [(23, 1), (25, 2)])
def test_an_answer_is_kept_for_a_day(counted, hours, made):
    counted.post()
    with counted.database.write() as session:
        session.execute(update(Answer).values(created=now() - timedelta(hours=hours)))
    assert counted.post().json()["made"] == made


def test_old_answers_are_removed(counted):
    counted.post()
    with counted.database.write() as session:
        session.execute(update(Answer).values(created=now() - timedelta(days=2)))
    counted.answers.sweep()
    assert rows(counted) == []


def test_without_a_database_nothing_is_begun(counted):
    with counted.database.write() as session:
        session.execute(delete(Answer))
        session.connection().exec_driver_sql("DROP TABLE answers")
    refused = counted.post()
    assert is_problem(refused, 503)["type"] == "urn:evenscan:problem:database"
    assert "retry-after" in refused.headers
    assert counted.done == 0


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6), st.data())
def test_a_digest_does_not_depend_on_the_pieces(body, cuts, data):
    boundary = data.draw(st.sampled_from([b"", b"a", b"ab", b"aab"]))
    mixed = body.replace(b"\x00", b"a").replace(b"\x01", b"ab").replace(b"\x02", b"aab")
    kind = f"multipart/form-data; boundary={boundary.decode()}" if boundary else "text/plain"
    edges = sorted({0, len(mixed), *(cut for cut in cuts if cut < len(mixed))})
    pieces = [mixed[a:b] for a, b in pairwise(edges)] or [b""]
    announced = Headers({"content-type": kind, "transfer-encoding": "chunked"})
    whole, parts = Payload(announced, b""), Payload(announced, b"")
    whole.add({"type": "http.request", "body": mixed})
    for number, piece in enumerate(pieces, start=1):
        more = number < len(pieces)
        parts.add({"type": "http.request", "body": piece, "more_body": more})
    assert whole.complete
    assert parts.complete
    assert whole.digest() == parts.digest()


def test_a_job_is_found_again_if_its_answer_was_lost(worked):
    """As if the process had been killed between the commit and the answer."""
    table = "sample,patient,label,score,sex\n" + "\n".join(
        f"s{n},p{n},{n % 2},{0.1 + 0.8 * (n % 3) / 3},{'fm'[n % 2]}" for n in range(40)
    )
    headers = {"Idempotency-Key": "once-and-for-all"}

    def ask(table=table):
        return worked.client.post(
            "/v1/audits",
            files={"predictions": ("p.csv", table.encode())},
            data={"attributes": "sex"},
            headers=headers,
        )

    first = ask()
    assert first.status_code == 202, first.text
    with worked.services.database.write() as session:
        session.execute(delete(Answer))
    again = ask()
    assert again.status_code == 202, again.text
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in again.headers
    assert ask().headers["idempotency-replayed"] == "true"
    with worked.services.database.write() as session:
        session.execute(delete(Answer))
    is_problem(ask(table + "\n"), 422)
