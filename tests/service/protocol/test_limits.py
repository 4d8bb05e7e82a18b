"""A request may be so large and so slow, and no more; others are answered meanwhile."""

import asyncio
import json
import select
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from access_samples import call, everything, listening
from fastapi.testclient import TestClient
from service_samples import HERE, is_problem
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from service.app import create_app
from service.protocol.connections import LARGEST_HEAD
from service.protocol.limits import BodyLimit
from service.protocol.pace import SLOWEST, Pace
from service.settings import ServiceSettings

SECONDS = 0.5


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    settings = ServiceSettings.read(
        home=tmp_path_factory.mktemp("slow"), open=True, body_seconds=SECONDS
    )
    with listening(settings) as found:
        yield found


def head(length, path=b"/v1/audits", more=b""):
    return (
        (b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n" % length)
        + b"Content-Type: multipart/form-data; boundary=b\r\n"
        + more
        + b"\r\n"
    )


def answered(address):
    """Whether somebody else is answered meanwhile."""
    connection = HTTPConnection(*address, timeout=10 * SECONDS)
    connection.request("GET", "/v1/models")
    status = connection.getresponse().status
    connection.close()
    return status == 200


def problem_of(text):
    """Status and body of an answer, and whether the connection is closed after it."""
    first, _, body = text.partition(b"\r\n\r\n")
    return int(first.split()[1]), json.loads(body), b"connection: close" in first.lower()


@pytest.mark.parametrize("sent", [b"", b"--b\r\n", b"--b\r\nContent-Disposition: form-data"])
def test_a_body_that_stalls_is_answered_408_and_the_connection_closed(address, sent):
    with call(address, head(1000) + sent) as connection:
        began = time.monotonic()
        assert answered(address)
        status, body, closed = problem_of(everything(connection))
    assert (status, closed) == (408, True)
    assert body["status"] == 408
    assert "EVENSCAN_BODY_SECONDS" in body["detail"]
    assert SECONDS / 2 < time.monotonic() - began < 10 * SECONDS


def test_a_chunked_body_that_stalls_is_answered_408(address):
    text = (
        head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"3\r\n--b\r\n"
    )
    with call(address, text) as connection:
        assert problem_of(everything(connection))[0] == 408


def test_a_body_that_comes_slowly_but_comes_is_taken(address):
    pieces = [b"--b--\r\n".ljust(SLOWEST), *[b" " * SLOWEST] * 7]
    with call(address, head(8 * SLOWEST)) as connection:
        for piece in pieces:
            time.sleep(SECONDS / 3)
            connection.sendall(piece)
        assert connection.recv(100).split()[1] != b"408"


def test_a_body_that_comes_a_letter_at_a_time_is_not_waited_for(address):
    part = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a.csv"\r\n\r\n'
    with call(address, head(10_000) + part) as connection:
        began = time.monotonic()
        while not select.select([connection], [], [], SECONDS / 5)[0]:
            connection.sendall(b"a")
            assert time.monotonic() - began < 5 * SECONDS
        status, _, closed = problem_of(everything(connection))
    assert (status, closed) == (408, True)


@pytest.mark.parametrize(
    "sent", [b"", b"G", b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"]
)
def test_a_head_that_does_not_end_is_closed(address, sent):
    with call(address, sent) as connection:
        began = time.monotonic()
        assert answered(address)
        assert everything(connection) == b""
    assert time.monotonic() - began < 10 * SECONDS


def test_a_head_that_comes_a_letter_at_a_time_is_closed(address):
    def forever(connection):
        while True:
            time.sleep(SECONDS / 10)
            connection.sendall(b"A: b\r\n")

    with call(address, b"GET /health/live HTTP/1.1\r\n") as connection:
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            forever(connection)
        assert time.monotonic() - began < 10 * SECONDS


def test_a_second_head_that_does_not_end_is_closed_too(address):
    text = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /health/"
    with call(address, text) as connection:
        assert everything(connection).count(b"HTTP/1.1 200") == 1


def test_a_head_without_an_end_is_not_kept_in_memory(address):
    line = b"A: " + b"b" * 1000 + b"\r\n"
    text = b"GET /health/live HTTP/1.1\r\n" + line * (LARGEST_HEAD // len(line) + 2)
    with call(address, text) as connection:
        assert everything(connection).split()[1] in (b"431", b"400")


def test_a_large_head_that_ends_is_taken(address):
    text = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\nA: %b\r\n\r\n"
    with call(address, text % (b"b" * 8000)) as connection:
        assert everything(connection).split()[1] == b"200"


def test_many_slow_senders_keep_nobody_waiting(address):
    with ThreadPoolExecutor(60) as pool:

        def slow(_):
            with call(address, head(1000) + b"--b\r\n") as connection:
                return everything(connection).split()[1]

        slow_ones = [pool.submit(slow, number) for number in range(60)]
        assert answered(address)
        assert not all(each.done() for each in slow_ones)
        assert {each.result() for each in slow_ones} == {b"408"}


def test_who_does_not_read_the_answer_is_let_go_of(address):
    # More than the buffers of both sides hold, asked for in one go.
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with call(address, ask * 400) as connection:
        assert answered(address)
        time.sleep(4 * SECONDS)
        assert answered(address)
        text = everything(connection)
    assert text.count(b"HTTP/1.1 200") < 400


@pytest.mark.parametrize(
    "text",
    [
        head(4, more=b"Content-Length: 5\r\n") + b"aaaaa",
        head(4, more=b"Transfer-Encoding: chunked\r\n")
        + b"0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n",
        head(4, more=b"Transfer-Encoding : chunked\r\n") + b"0\r\n\r\n",
        head(4).replace(b"Content-Length: 4", b"Content-Length: +4") + b"aaaa",
        head(4).replace(b"Content-Length: 4", b"Content-Length: 4, 4") + b"aaaa",
        head(4).replace(b"Content-Length: 4", b"Content-Length: -4"),
        b"GET /v1/models HTTP/1.1\nHost: 127.0.0.1\n\nGET /v1/jobs HTTP/9.9\n\n",
    ],
    ids=["two lengths", "both", "blank", "plus", "list", "minus", "bare line feeds"],
)
def test_requests_that_can_be_understood_in_two_ways_are_refused(address, text):
    with call(address, text) as connection:
        statuses = [part.split()[0] for part in everything(connection).split(b"HTTP/1.1 ")[1:]]
    assert statuses
    assert set(statuses) <= {b"400", b"408", b"415", b"422"}
    assert len(statuses) == 1


def paced(size, pause, busy=0.0, seconds=0.5):
    """Read five pieces, each after a pause, by a reader who is busy after each."""

    async def receive():
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": b"a" * size, "more_body": True}

    async def read():
        pace = Pace(receive, seconds)
        for _ in range(5):
            await pace.next()
            await asyncio.sleep(busy)

    asyncio.run(read())


def test_each_byte_buys_the_next_ones_time():
    paced(SLOWEST // 4, 0.2)
    with pytest.raises(HTTPException) as caught:
        paced(1, 0.2)
    assert caught.value.status_code == 408


def test_a_busy_reader_makes_no_slow_sender():
    paced(1, 0.0, busy=0.2)


async def read_all(scope, receive, send):
    """An app that reads the body before any route does."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


#: How a cohort is sent.
AS_A_FORM = {"Content-Type": "Multipart/Form-Data; boundary=b"}


def limited(settings):
    return TestClient(BodyLimit(read_all, settings))


@pytest.mark.parametrize(("path", "largest"), [("/v1/audits", 10), ("/v1/cohorts", 100)])
@pytest.mark.parametrize("declared", [True, False])
def test_each_route_has_its_limit(path, largest, declared):
    settings = ServiceSettings.read(max_body_bytes=10, max_upload_bytes=100)
    client = limited(settings)

    def send(size):
        data = b"a" * size
        content = data if declared else iter([data[:5], data[5:]])
        return client.post(path, content=content, headers=AS_A_FORM)

    assert send(largest).text == str(largest)
    response = send(largest + 1)
    body = is_problem(response, 413)
    assert "EVENSCAN_MAX_" in body["detail"]
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/v1/cohorts/", "/v1/cohorts/a", "//v1/cohorts"])
def test_only_the_upload_of_cohorts_may_be_large(path):
    settings = ServiceSettings.read(max_body_bytes=10, max_upload_bytes=100)
    is_problem(limited(settings).post(path, content=b"a" * 11, headers=AS_A_FORM), 413)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", None])
def test_a_cohort_that_comes_as_no_form_may_not_be_large(empty, kind):
    """It would be held in memory, whatever it is."""
    headers = {} if kind is None else {"Content-Type": kind}
    body = b'{"folder": "%b"}' % (b"x" * 2**20)
    said = is_problem(empty.client.post("/v1/cohorts", content=body, headers=headers), 413)
    assert "262144" in said["detail"]


@pytest.mark.parametrize("declared", [True, False])
def test_the_routes_have_the_limit(tmp_path, declared):
    settings = ServiceSettings.read(home=tmp_path, open=True, max_body_bytes=1000)
    with TestClient(create_app(settings), base_url=HERE) as client:
        parts = {"predictions": ("a.csv", b"a" * 2000)}
        request = client.build_request("POST", "/v1/audits", files=parts)
        body = request.read()
        headers = {"content-type": request.headers["content-type"]}
        content = body if declared else iter([body[:900], body[900:]])
        response = client.post("/v1/audits", content=content, headers=headers)
        assert "EVENSCAN_MAX_BODY_BYTES" in is_problem(response, 413)["detail"]
        assert not list((tmp_path / "uploads").iterdir())


class Held:
    """An app with limits; a request to ``/v1/audits/held`` is answered when it may be."""

    def __init__(self, **settings):
        self.may = asyncio.Event()
        self.limit = BodyLimit(self.app, ServiceSettings.read(**settings))

    async def app(self, scope, receive, send):
        body = await Request(scope, receive).body()
        if scope["path"].endswith("/held"):
            await self.may.wait()
        if scope["path"].endswith("/broken"):
            raise ZeroDivisionError
        await PlainTextResponse(str(len(body)))(scope, receive, send)

    async def post(self, size, path="/v1/audits", kind=b"text/plain", gone=False):
        """Status of the answer to a body in pieces of 10 bytes."""
        sent = []
        pieces = [b"a" * min(10, size - start) for start in range(0, size, 10)]

        async def receive():
            if gone and not pieces:
                return {"type": "http.disconnect"}
            if not pieces:
                await asyncio.sleep(60)
            more = len(pieces) > 1 or gone
            return {"type": "http.request", "body": pieces.pop(0), "more_body": more}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
        await self.limit(scope | {"headers": [(b"content-type", kind)]}, receive, send)
        return sent[0]["status"]


def test_bodies_in_flight_share_a_memory():
    async def go():
        held = Held(max_body_bytes=100, max_buffered_bytes=150)
        first = asyncio.create_task(held.post(100, "/v1/audits/held"))
        await asyncio.sleep(0.01)
        assert held.limit.buffered.held == 100
        assert await held.post(50) == 200
        assert await held.post(60) == 503
        assert held.limit.buffered.held == 100
        form = b"multipart/form-data; boundary=b"
        assert await held.post(5000, "/v1/cohorts", form) == 200
        held.may.set()
        assert await first == 200
        assert await held.post(60) == 200
        return held.limit.buffered.held

    assert asyncio.run(go()) == 0


def test_what_a_body_held_is_free_again_however_it_ends():
    async def go():
        held = Held(max_body_bytes=100, max_buffered_bytes=100, body_seconds=0.05)
        assert await held.post(110) == 413
        assert await held.post(100) == 200
        with pytest.raises(ZeroDivisionError):
            await held.post(50, "/v1/audits/broken")
        with pytest.raises(ClientDisconnect):
            await held.post(50, gone=True)
        given_up = asyncio.create_task(held.post(50, "/v1/audits/held"))
        await asyncio.sleep(0.01)
        assert held.limit.buffered.held == 50
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        return held.limit.buffered.held

    assert asyncio.run(go()) == 0


def test_a_service_without_memory_for_a_body_says_so(tmp_path):
    settings = ServiceSettings.read(
        home=tmp_path, open=True, max_body_bytes=1000, max_buffered_bytes=1000
    )
    with TestClient(create_app(settings), base_url=HERE) as client:
        stack = client.app.middleware_stack
        while not isinstance(stack, BodyLimit):
            stack = stack.app
        stack.buffered.held = 950
        asked = {"files": {"predictions": ("a.txt", b"a" * 500)}, "data": {"attributes": "b"}}
        response = client.post("/v1/audits", **asked)
        assert "EVENSCAN_MAX_BUFFERED_BYTES" in is_problem(response, 503)["detail"]
        assert response.headers["retry-after"] == "2"
        assert response.headers["connection"] == "close"
        assert stack.buffered.held == 950
        stack.buffered.held = 0
        is_problem(client.post("/v1/audits", **asked), 422)
        assert stack.buffered.held == 0


def test_a_declared_size_with_many_digits_is_refused(settings):
    with TestClient(create_app(settings), base_url=HERE) as client:
        headers = {"content-length": "9" * 5000}
        is_problem(client.post("/v1/audits", content=b"", headers=headers), 413)


@pytest.mark.parametrize("path", ["/v1/retrain", "/v1/keys", "/v1/models/1/promote"])
def test_what_brings_no_files_is_small(empty, path):
    wanted = {f"key {n}": "x" * 100 for n in range(10_000)}
    said = is_problem(empty.client.post(path, json=wanted), 413)
    assert "262144" in said["detail"]


def test_of_many_faults_a_hundred_are_listed(empty):
    said = is_problem(empty.client.post("/v1/keys", json={f"k{n}": 1 for n in range(500)}), 422)
    assert len(said["errors"]) == 101
    assert said["errors"][-1]["found"].endswith("more faults are not listed")
    assert len(said["detail"].splitlines()) == 101
