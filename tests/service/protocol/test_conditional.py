"""Who has an answer already is not sent it again; HEAD is answered wherever GET is."""

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from service_samples import is_problem
from starlette.background import BackgroundTask

from service.protocol.conditional import LONGEST, Conditional, matches


class Read:
    """An app with answers of every kind."""

    def __init__(self, file):
        self.ended, self.sent, self.file = 0, 0, file
        router = APIRouter()
        router.add_api_route("/json", lambda: {"a": 1})
        router.add_api_route("/error", lambda: JSONResponse({"a": 1}, 404))
        router.add_api_route("/large", lambda: {"text": "x" * LONGEST})
        router.add_api_route("/file", self.get_file)
        router.add_api_route("/stream", self.stream)
        router.add_api_route("/own", lambda: JSONResponse({"a": 2}, headers={"ETag": 'W/"7"'}))
        router.add_api_route("/write", lambda: {"a": 1}, methods=["POST"])
        app = FastAPI()
        app.include_router(router)
        app.add_middleware(Conditional)
        self.client = TestClient(app)

    def get_file(self):
        return FileResponse(self.file, background=BackgroundTask(self.end))

    def end(self):
        self.ended += 1

    async def stream(self):
        async def lines():
            for number in range(2_000):
                self.sent = number
                yield f"{number}\n"

        return StreamingResponse(lines(), media_type="text/plain")


@pytest.fixture
def read(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("text\n" * 100_000)
    return Read(file)


@pytest.mark.parametrize("path", ["/json", "/file", "/own"])
def test_what_is_known_is_not_sent(read, path):
    first = read.client.get(path)
    assert first.status_code == 200
    tag = first.headers["etag"]
    for asked in (tag, f'"other", {tag}', "*", f"W/{tag.removeprefix('W/')}"):
        again = read.client.get(path, headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (304, b""), asked
        assert again.headers["etag"] == tag
        assert not {"content-length", "content-type", "last-modified"} & set(again.headers)
    other = read.client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_two_fields_are_one_list(read):
    tag = read.client.get("/json").headers["etag"]
    headers = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert read.client.get("/json", headers=headers).status_code == 304


def test_a_changed_file_is_sent(read):
    tag = read.client.get("/file").headers["etag"]
    read.file.write_text("other")
    again = read.client.get("/file", headers={"If-None-Match": tag})
    assert (again.status_code, again.text) == (200, "other")


@pytest.mark.parametrize("path", ["/error", "/large", "/stream"])
def test_no_etag(read, path):
    response = read.client.get(path, headers={"If-None-Match": "*"})
    assert response.status_code in (200, 404)
    assert "etag" not in response.headers


def test_only_reading_is_conditional(read):
    response = read.client.post("/write", headers={"If-None-Match": "*"})
    assert response.status_code == 200
    assert "etag" not in response.headers


@pytest.mark.parametrize("path", ["/json", "/file", "/own", "/error", "/large", "/stream"])
def test_head_says_what_get_would(read, path):
    whole, head = read.client.get(path), read.client.head(path)
    assert head.content == b""
    assert (head.status_code, dict(head.headers)) == (whole.status_code, dict(whole.headers))


def test_head_and_a_match(read):
    tag = read.client.get("/json").headers["etag"]
    assert read.client.head("/json", headers={"If-None-Match": tag}).status_code == 304


def test_head_ends_what_would_go_on(read):
    assert read.client.head("/stream").status_code == 200
    assert read.sent < 100


def test_what_is_to_be_done_after_an_answer_is_done(read):
    tag = read.client.get("/file").headers["etag"]
    read.client.head("/file")
    read.client.get("/file", headers={"If-None-Match": tag})
    assert read.ended == 3


@given(st.text(max_size=40))
def test_nonsense_matches_nothing(text):
    assert matches(text, '"evenscan"') == (text.strip() == "*" or '"evenscan"' in text)


def test_the_service_reads_so(empty):
    first = empty.client.get("/v1/models")
    assert first.headers["cache-control"] == "private, no-cache"
    headers = {"If-None-Match": first.headers["etag"]}
    again = empty.client.get("/v1/models", headers=headers)
    assert again.status_code == 304
    assert again.headers["cache-control"] == "private, no-cache"
    assert "x-content-type-options" in again.headers
    assert empty.client.head("/v1/models").headers["etag"] == first.headers["etag"]
    for path in ("/health/live", "/health/ready"):
        assert "etag" not in empty.client.get(path).headers


def test_head_of_what_is_not_there(empty):
    assert empty.client.head("/v1/jobs/x").status_code == 404
    refused = empty.client.head("/v1/audits")
    assert refused.status_code in (200, 405)
    is_problem(empty.client.delete("/v1/models"), 405)
