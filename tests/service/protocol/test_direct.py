"""The short way says and refuses what the long way does."""

import pytest
from access_samples import key_of, locked
from service_samples import is_problem, png, promoted

from service.protocol.direct import SHORT
from service.settings import ServiceSettings

IMAGE = {"content": png(), "headers": {"content-type": "image/png"}}


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/embeddings"])
def test_both_ways_give_the_same_answer(served, path):
    short = served.client.post(path, **IMAGE)
    long = served.client.post(f"{path}?model=champion", **IMAGE)
    assert short.status_code == 200
    assert short.json() == long.json()


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/embeddings"])
def test_both_ways_tell_the_same_faults(served, path):
    kind = {"content-type": "text/csv"}
    asked = [served.client.post(path + more, headers=kind) for more in ("", "?model=champion")]
    assert is_problem(asked[0], 415) == is_problem(asked[1], 415)


def test_other_methods_and_parameters_go_the_long_way(served):
    assert served.client.get("/v1/predictions").status_code == 405
    assert served.client.post("/v1/embeddings?part=none", **IMAGE).status_code == 422


def test_the_next_request_after_a_promotion_is_for_the_new_champion(served, trained):
    assert served.client.post("/v1/predictions", **IMAGE).json()["model"]["version"] == 1
    second = promoted(served.services.registry, trained).id
    assert served.client.post("/v1/predictions", **IMAGE).json()["model"]["version"] == second


def test_a_key_without_the_scope_opens_no_short_way(tmp_path):
    with locked(ServiceSettings.read(home=tmp_path)) as service:
        key = key_of(service, "viewer", scopes=["read"])
        for path in SHORT:
            is_problem(service.client.post(path, headers=key), 403)
