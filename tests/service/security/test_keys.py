"""Keys are made once, shown once, listed and taken back, by command and over REST."""

import re
from datetime import timedelta
from hashlib import sha256

import pytest
from access_samples import bearer, key_of, locked
from hypothesis import given
from hypothesis import strategies as st
from service_samples import is_problem
from typer.testing import CliRunner

from evaluation.errors import InputError
from service.cli import app
from service.protocol.pages import Window
from service.security.access import ROLES, SCOPES
from service.security.keys import FORM, Keys, read_lifetime
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import ApiKey, now


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with locked(ServiceSettings.read(home=tmp_path_factory.mktemp("keys"))) as running:
        yield running


@pytest.fixture(scope="module")
def admin(service):
    return key_of(service, "admin")


@pytest.fixture
def keys(database):
    return Keys(database)


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENSCAN_HOME", str(tmp_path))

    def run(*words):
        return CliRunner().invoke(app, ["keys", *words])

    return run


def test_what_is_stored_does_not_open_anything(keys):
    row, key = keys.create("a trainer", "trainer")
    secret = FORM.fullmatch(key)[2]
    with keys.database.read() as session:
        stored = session.get(ApiKey, row.id)
    assert stored.digest == sha256(secret.encode()).hexdigest()
    values = [str(getattr(stored, column.key)) for column in ApiKey.__table__.columns]
    assert not any(secret in value for value in values)


def test_no_two_keys_are_alike(keys):
    made = {keys.create("a viewer", "viewer")[1] for _ in range(20)}
    assert len(made) == 20
    assert all(FORM.fullmatch(key) for key in made)


@pytest.mark.parametrize("role", ROLES)
def test_a_key_may_what_its_role_may(keys, role):
    row, _ = keys.create("somebody", role)
    assert set(row.scopes) == ROLES[role]


def test_a_key_may_be_made_for_less(keys):
    row, _ = keys.create("a scanner", "trainer", ["infer"], "never")
    assert (row.scopes, row.expires) == (["infer"], None)


def test_a_key_ends_after_three_months_unless_told_otherwise(keys):
    row, _ = keys.create("somebody", "viewer")
    assert abs(row.expires - now() - timedelta(days=90)) < timedelta(minutes=1)


def test_all_faults_of_a_key_are_told_at_once(keys):
    with pytest.raises(InputError) as caught:
        keys.create(" ", "viewer", ["train", "cook"], "1 day")
    assert [f.column for f in caught.value.faults] == ["name", "scopes", "scopes", "expires"]
    assert keys.list(Window(limit=10, after=None)) == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m", "a" * 201])
def test_a_name_has_to_be_a_line(keys, name):
    with pytest.raises(InputError, match="who holds"):
        keys.create(name, "viewer")


@given(st.text(max_size=8))
def test_a_lifetime_is_days_or_never_or_refused(text):
    try:
        days = read_lifetime(text)
    except InputError:
        assert text != "never"
        return
    assert (days is None) == (text == "never")
    assert days is None or timedelta(days=1) <= days <= timedelta(days=3650)


def test_there_is_an_end_to_keys(keys, monkeypatch):
    monkeypatch.setattr("service.security.keys.MOST", 2)
    made = [keys.create("somebody", "viewer")[0] for _ in range(2)]
    with pytest.raises(InputError, match="Revoke"):
        keys.create("somebody", "viewer")
    keys.revoke(made[0].id)
    keys.create("somebody", "viewer")


def test_keys_are_made_listed_and_revoked_by_command(command, tmp_path):
    made = command("create", "--name", "Ward 3", "--role", "trainer", "--scope", "infer")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert FORM.fullmatch(key)
    number = key.split("_")[1]
    listed = command("list").stdout
    assert f"{number}\ttrainer\tinfer\texpires " in listed
    assert "Ward 3" in listed
    assert key.split("_", 2)[2] not in listed + made.stderr
    with locked(ServiceSettings.read(home=tmp_path)) as service:
        headers = bearer(key)
        answer = service.client.post("/v1/predictions", headers=headers)
        assert answer.status_code in (415, 422)  # let in, but without an image
        is_problem(service.client.get("/v1/models", headers=headers), 403)
    assert command("revoke", number).exit_code == 0
    assert f"{number}\ttrainer\tinfer\trevoked\tWard 3" in command("list").stdout
    assert command("revoke", number).exit_code == 0
    with locked(ServiceSettings.read(home=tmp_path)) as service:
        is_problem(service.client.get("/v1/models", headers=headers), 401)


def test_a_key_that_is_not_there_cannot_be_revoked_by_command(command):
    result = command("revoke", "0" * 16)
    assert isinstance(result.exception, InputError)
    assert "keys list" in str(result.exception)


def test_the_command_lists_more_than_a_page(command, tmp_path):
    database = Database.opened(f"sqlite:///{tmp_path / 'evenscan.db'}")
    keys = Keys(database)
    made = [keys.create("somebody", "viewer")[0].id for _ in range(103)]
    database.close()
    listed = [line.split("\t")[0] for line in command("list").stdout.splitlines()]
    assert listed == made[::-1]


def test_a_key_is_made_over_rest_and_told_once(service, admin):
    body = {"name": "Ward 3", "role": "viewer", "expires": "never"}
    response = service.client.post("/v1/keys", json=body, headers=admin)
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    made = response.json()
    assert made["scopes"] == [s for s in SCOPES if s in ROLES["viewer"]]
    assert service.client.get("/v1/models", headers=bearer(made["key"])).status_code == 200
    listed = service.client.get("/v1/keys", headers=admin)
    assert made["id"] in [key["id"] for key in listed.json()["items"]]
    assert made["key"].split("_", 2)[2] not in listed.text
    assert "digest" not in listed.text


def test_a_revoked_key_opens_nothing_at_once_in_the_process_that_was_told(service, admin):
    row, key = service.services.keys.create("somebody", "viewer")
    assert service.client.get("/v1/models", headers=bearer(key)).status_code == 200
    for _ in range(2):
        response = service.client.delete(f"/v1/keys/{row.id}", headers=admin)
        assert response.status_code == 204
    is_problem(service.client.get("/v1/models", headers=bearer(key)), 401)


def test_a_key_that_is_not_there_cannot_be_revoked(service, admin):
    is_problem(service.client.delete("/v1/keys/0", headers=admin), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a", "role": "cook"},
        {"name": "a", "role": "viewer", "scopes": ["admin"]},
        {"name": "", "role": "viewer"},
        {"name": "a", "role": "viewer", "expires": "0d"},
        {"name": "a", "role": "viewer", "expires": "\u0661d"},
        {"name": "a", "role": "viewer", "digest": "0"},
        {"name": "\ud800", "role": "viewer"},
    ],
)
def test_a_key_that_does_not_fit_is_refused(service, admin, body):
    import json

    headers = {**admin, "content-type": "application/json"}
    response = service.client.post("/v1/keys", content=json.dumps(body), headers=headers)
    assert is_problem(response, 422)["errors"]


def test_an_answer_with_a_secret_cannot_be_asked_for_again(service, admin):
    body, headers = {"name": "a", "role": "viewer"}, {**admin, "Idempotency-Key": "k-1"}
    for _ in range(2):
        response = service.client.post("/v1/keys", json=body, headers=headers)
        is_problem(response, 422)
        assert "evs_" not in response.text


def test_keys_are_listed_a_page_at_a_time(service, admin):
    for _ in range(3):
        service.services.keys.create("somebody", "viewer")
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = service.client.get("/v1/keys", params=query, headers=admin).json()
        seen += [key["id"] for key in page["items"]]
        if (cursor := page["next"]) is None:
            break
    rows = service.services.keys.list(Window(limit=100, after=None))
    assert seen == [row.id for row in rows]


@pytest.mark.parametrize("cursor", ["W10=", "WzFd", "WzEsMl0=", "WyJhIiwiYiJd", "e30=", "!"])
def test_a_cursor_of_another_list_is_refused(service, admin, cursor):
    response = service.client.get("/v1/keys", params={"cursor": cursor}, headers=admin)
    is_problem(response, 422)


def test_a_key_is_easy_to_find_in_source_code():
    assert re.match(r"evs_", FORM.pattern)
