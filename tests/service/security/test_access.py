"""Who may do what: every route, asked by every role and by nobody."""

from itertools import pairwise

import pytest
from access_samples import every_route, key_of, keys_of_roles, locked
from fastapi import APIRouter
from service_samples import is_problem

from service.jobs.kinds import KINDS
from service.security.access import OPEN, ROLES, SCOPES, check_declared, needs, scopes_of
from service.settings import ServiceSettings
from service.storage.tables import Job

ROUTES = [(method, r) for r in every_route() for method in sorted(r.methods - {"HEAD"})]
NAMES = [f"{method} {route.path}" for method, route in ROUTES]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    settings = ServiceSettings.read(home=tmp_path_factory.mktemp("access"), rate="none")
    with locked(settings) as running:
        yield running


@pytest.fixture(scope="module")
def keys(service):
    return keys_of_roles(service)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr("service.security.auth.Failures.count", lambda *_: None)


def place(route):
    """A path of the route, with nothing there."""
    return route.path_format.format(**dict.fromkeys(route.param_convertors, "0"))


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=NAMES)
def test_every_route_asks_for_a_key(service, method, route):
    response = service.client.request(method, place(route))
    if route.path in OPEN:
        assert response.status_code in (200, 503)
    else:
        is_problem(response, 401)


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=NAMES)
def test_every_role_may_do_what_its_scopes_say(service, keys, method, route):
    for role, scopes in ROLES.items():
        response = service.client.request(method, place(route), headers=keys[role])
        allowed = scopes_of(route) <= scopes
        assert (response.status_code == 403) is not allowed, (role, response.text)
        assert response.status_code != 401


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_alone_opens_what_needs_it_alone(service, scope):
    role = next(role for role, scopes in ROLES.items() if scope in scopes)
    headers = key_of(service, role, scopes=[scope])
    for method, route in ROUTES:
        if route.path not in OPEN:
            response = service.client.request(method, place(route), headers=headers)
            assert (response.status_code == 403) is not (scopes_of(route) <= {scope})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["cancel", "retry"])
def test_a_job_is_cancelled_and_retried_by_who_may_ask_for_its_kind(service, keys, kind, order):
    job = f"{kind}-{order}"
    with service.services.database.write() as session:
        session.add(Job(id=job, kind=kind, state="succeeded", request={}))
    for role, scopes in ROLES.items():
        response = service.client.post(f"/v1/jobs/{job}/{order}", headers=keys[role])
        # Nobody cancels or retries what has succeeded; who may is told so.
        assert response.status_code == (409 if KINDS[kind].scope in scopes else 403), role


def test_who_may_not_is_told_who_may(service, keys):
    body = is_problem(service.client.get("/v1/keys", headers=keys["viewer"]), 403)
    assert "admin" in body["detail"]


def test_who_may_not_is_refused_before_the_body_is_read(service, keys):
    # A body that is no JSON would be answered 400 by whoever reads it.
    headers = {**keys["viewer"], "content-type": "application/json"}
    is_problem(service.client.post("/v1/keys", content=b"{", headers=headers), 403)


def test_a_route_that_says_nothing_of_who_may_use_it_is_refused():
    router = APIRouter(prefix="/v1/things")
    router.add_api_route("", lambda: 1, dependencies=[needs("read")])
    check_declared(router.routes)
    router.add_api_route("/bare", lambda: 1)
    with pytest.raises(RuntimeError, match="/v1/things/bare"):
        check_declared(router.routes)


def test_there_are_routes():
    assert len(ROUTES) > 10


def test_roles_only_grow():
    scopes = list(ROLES.values())
    assert all(small < large for small, large in pairwise(scopes))
    assert scopes[-1] == set(SCOPES)
