"""Each request has ids, which its answer, its log lines and its jobs have too."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_samples import is_problem
from sqlalchemy import select

from service.protocol.context import continued
from service.storage.tables import Job

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
FORM = r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"


def trace_of(answer):
    assert re.fullmatch(FORM, answer.headers["traceparent"])
    return answer.headers["traceparent"].split("-")[1]


def test_a_name_is_given_and_another_one_each_time(empty):
    answers = [empty.client.get("/health/live") for _ in range(2)]
    names = {each.headers["x-request-id"] for each in answers}
    assert len(names) == 2
    assert len({trace_of(each) for each in answers}) == 2


def test_a_sound_name_is_kept(empty):
    for name in ("a", "7f3e-2_x:1.5=+@", "x" * 128):
        answer = empty.client.get("/health/live", headers={"X-Request-ID": name})
        assert answer.headers["x-request-id"] == name


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "two words", "a\tb", 'a"b', "a/b", "ä".encode()]
)
def test_another_one_is_not(empty, name):
    answer = empty.client.get("/health/live", headers={"X-Request-ID": name})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_two_names_are_none(empty):
    headers = [("X-Request-ID", "a"), ("X-Request-ID", "b")]
    answer = empty.client.get("/health/live", headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_trace_goes_on(empty):
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
    answer = empty.client.get("/health/live", headers=headers)
    assert trace_of(answer) == TRACE
    assert SPAN not in answer.headers["traceparent"]
    assert answer.headers["traceparent"].endswith("-01")
    assert answer.headers["tracestate"] == "vendor=1"


@pytest.mark.parametrize(
    "given",
    [
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        "",
    ],
)
def test_an_invalid_trace_is_left(empty, given):
    headers = {"traceparent": given, "tracestate": "vendor=1"}
    answer = empty.client.get("/health/live", headers=headers)
    assert trace_of(answer) != TRACE
    assert "tracestate" not in answer.headers


def test_a_later_version_is_read_as_this_one():
    assert continued(f"42-{TRACE}-{SPAN}-01-whatever").startswith(f"00-{TRACE}-")


@given(st.text(max_size=80))
def test_a_trace_is_always_valid(given):
    assert re.fullmatch(FORM, continued(given))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/v1/models", 405), ("POST", "/v1/audits", 415)],
)
def test_refusals_have_their_ids(empty, method, path, status):
    headers = {"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-{SPAN}-00"}
    answer = empty.client.request(method, path, headers=headers)
    is_problem(answer, status)
    assert answer.headers["x-request-id"] == "mine"
    assert trace_of(answer) == TRACE


def test_a_crash_has_its_ids_too(empty, monkeypatch):
    def crash(name):
        raise RuntimeError("inside")

    monkeypatch.setattr(empty.services.jobs, "get", crash)
    headers = {"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-{SPAN}-00"}
    answer = empty.client.get("/v1/jobs/x", headers=headers)
    assert "request id mine" in is_problem(answer, 500)["detail"]
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert trace_of(answer) == TRACE


def test_a_job_belongs_to_the_trace_of_its_request(worked):
    table = "sample,patient,label,score,sex\ns1,p1,0,0.1,f\ns2,p2,1,0.9,m\n"
    answer = worked.client.post(
        "/v1/audits",
        files={"predictions": ("p.csv", table.encode())},
        data={"attributes": "sex"},
        headers={"traceparent": f"00-{TRACE}-{SPAN}-01"},
    )
    assert answer.status_code == 202, answer.text
    with worked.services.database.read() as session:
        row = session.scalars(select(Job).where(Job.id == answer.json()["job"])).one()
    assert row.traceparent == answer.headers["traceparent"]
