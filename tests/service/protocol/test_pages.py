"""A list is walked page by page: each row once, in order, whatever is added meanwhile."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_samples import HERE, Running, is_problem
from sqlalchemy import delete

from service.app import create_app
from service.settings import ServiceSettings
from service.storage.tables import AuditRecord, Job, ModelVersion

#: Lists and the form of their places.
LISTS = ("/v1/jobs", "/v1/audits", "/v1/cohorts", "/v1/keys", "/v1/models", "/v1/aliases/moves")

START = datetime(2026, 1, 1, tzinfo=UTC)

#: Some moments are the same, as those of rows that are added at once.
moments = st.integers(0, 3)

often = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(request, tmp_path_factory):
    """A service without a limit on requests."""
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    configured = ServiceSettings.read(
        home=tmp_path_factory.mktemp("pages"), open=True, rate="none", database_url=url
    )
    app = create_app(configured)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield Running(client, configured, app.state.services)


class Written:
    """Rows of a table that is empty at first."""

    def __init__(self, service, table):
        self.service, self.table, self.count = service, table, 0
        with service.services.database.write() as session:
            session.execute(delete(table))

    def add(self, seconds):
        with self.service.services.database.write() as session:
            for each in seconds:
                self.count += 1
                # Ids are no help: they come in no order of their own.
                name = f"{self.count * 7919 % 1000:03}"
                session.add(self.row(name, START + timedelta(seconds=each)))

    def row(self, name, created):
        if self.table is Job:
            return Job(id=name, kind="audit", request={}, created=created)
        if self.table is AuditRecord:
            return AuditRecord(id=name, directory=f"audits/{name}", created=created)
        return ModelVersion(run=name, method="erm", directory=f"models/{name}", created=created)


def get(service, path, **query):
    return service.client.get(path, params={k: v for k, v in query.items() if v is not None})


def place(path, row):
    return row["id"] if path == "/v1/models" else (row["created"], row["id"])


@pytest.mark.parametrize(
    ("path", "table"),
    [("/v1/jobs", Job), ("/v1/audits", AuditRecord), ("/v1/models", ModelVersion)],
)
@often
@given(
    first=st.lists(moments, max_size=12),
    steps=st.lists(st.tuples(st.integers(1, 4), st.lists(moments, max_size=3)), max_size=8),
)
def test_each_row_comes_once_and_in_order(service, path, table, first, steps):
    rows = Written(service, table)
    rows.add(first)
    there = {place(path, each) for each in get(service, path, limit=100).json()["items"]}
    assert len(there) == len(first)
    seen, cursor, steps = [], None, [*steps]
    while True:
        limit, more = steps.pop(0) if steps else (3, [])
        page = get(service, path, limit=limit, cursor=cursor).json()
        assert len(page["items"]) == limit or page["next"] is None
        seen += [place(path, each) for each in page["items"]]
        if (cursor := page["next"]) is None:
            break
        rows.add(more)
    assert seen == sorted(set(seen), reverse=True)
    assert there <= set(seen)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def is_refused(response):
    body = is_problem(response, 422)
    assert body["errors"][0]["column"] == "cursor"


def test_a_cursor_is_taken_by_its_list_only(service):
    rows = Written(service, Job)
    rows.add([0, 1, 2])
    cursor = get(service, "/v1/jobs", limit=1).json()["next"]
    assert len(get(service, "/v1/jobs", cursor=cursor).json()["items"]) == 2
    assert get(service, "/v1/jobs", cursor=cursor, kind="audit").status_code == 200
    for other in LISTS:
        if other != "/v1/jobs":
            is_refused(get(service, other, cursor=cursor))


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5"])
def test_a_limit_is_from_1_to_100(service, path, limit):
    assert is_problem(get(service, path, limit=limit), 422)["errors"][0]["column"] == "limit"


@pytest.mark.parametrize("path", LISTS)
def test_a_list_without_rows_is_a_page(service, path):
    for table in (Job, AuditRecord, ModelVersion):
        Written(service, table)
    assert get(service, path, limit=100).json() == {"items": [], "next": None}


@often
@given(where=st.integers(0, 200), letter=st.characters(max_codepoint=255))
def test_a_damaged_cursor_is_refused(service, where, letter):
    rows = Written(service, Job)
    rows.add([0, 1])
    cursor = get(service, "/v1/jobs", limit=1).json()["next"]
    where %= len(cursor)
    damaged = cursor[:where] + letter + cursor[where + 1 :]
    response = get(service, "/v1/jobs", cursor=damaged)
    # One letter may make another moment or id of it, which is a place like any other.
    assert response.status_code in (200, 422)
    if response.status_code == 422:
        is_refused(response)
    is_refused(get(service, "/v1/jobs", cursor=cursor[: where + 1 if where < 12 else 12]))


@pytest.mark.parametrize("path", LISTS)
@often
@given(
    after=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=10)
        | st.sampled_from(["2026-01-01", "2026-01-01T00:00:00+00:00", "0001-01-01T00:00:00"]),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    )
)
def test_no_cursor_is_too_strange(service, path, after):
    places = after if isinstance(after, list) else [after]
    for given_place in ([path, *places], places, after):
        cursor = encoded(given_place)
        response = get(service, path, cursor=cursor)
        assert response.status_code in (200, 422), (given_place, response.text)
        if response.status_code == 422:
            is_refused(response)


@pytest.mark.parametrize(
    "cursor", ["", "=", "W10", "W10=!", " W10=", "é", "x" * 401, "bnVsbA=="]
)
def test_what_is_no_cursor(service, cursor):
    is_refused(get(service, "/v1/jobs", cursor=cursor))
