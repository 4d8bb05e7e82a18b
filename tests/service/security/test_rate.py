"""Who asks too often waits; others do not."""

import time

import pytest
from access_samples import key_of, locked
from hypothesis import given
from hypothesis import strategies as st
from service_samples import is_problem

from evaluation.errors import InputError
from service.security.rate import network
from service.settings import ServiceSettings


@pytest.fixture
def limited(tmp_path):
    with locked(ServiceSettings.read(home=tmp_path, rate="3/second;100/minute")) as service:
        yield service


def test_who_asks_too_often_waits_and_others_do_not(limited):
    mine, other = key_of(limited, "viewer"), key_of(limited, "viewer")
    answers = [limited.client.get("/v1/models", headers=mine) for _ in range(12)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert answers[0].status_code == 200
    body = is_problem(refused[0], 429)
    wait = int(refused[0].headers["retry-after"])
    assert wait == 1
    assert "1 seconds" in body["detail"]
    assert '"0";r=0;t=' in refused[0].headers["ratelimit"]
    assert limited.client.get("/v1/models", headers=other).status_code == 200
    time.sleep(2 * wait)
    assert limited.client.get("/v1/models", headers=mine).status_code == 200


def test_answers_say_how_much_is_left(limited):
    headers = key_of(limited, "viewer")
    for left in (99, 98):
        response = limited.client.get("/v1/models", headers=headers)
        assert response.headers["ratelimit-policy"] == '"0";q=3;w=1, "1";q=100;w=60'
        assert f'"1";r={left};t=' in response.headers["ratelimit"]


def test_paths_that_are_not_there_count_too(limited):
    headers = key_of(limited, "viewer")
    statuses = [limited.client.get("/v1/no", headers=headers).status_code for _ in range(12)]
    assert set(statuses) == {404, 429}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_not_limited(limited, path):
    statuses = {limited.client.get(path).status_code for _ in range(20)}
    assert statuses == {200}


def test_there_may_be_no_limit(tmp_path):
    with locked(ServiceSettings.read(home=tmp_path, rate="none")) as service:
        headers = key_of(service, "viewer")
        response = service.client.get("/v1/models", headers=headers)
        assert response.status_code == 200
        assert "ratelimit" not in response.headers


def test_an_open_service_has_no_limit(tmp_path, empty):
    assert "ratelimit" not in empty.client.get("/v1/models").headers


@pytest.mark.parametrize(
    "rate", ["often", "10", "0/minute", "-1/minute", "5/fortnight", "1/second;x", "1e3/minute"]
)
def test_a_limit_that_cannot_be_read_is_told_of_at_the_start(rate):
    with pytest.raises(InputError, match="rate"):
        ServiceSettings.read(rate=rate)


@given(st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None))
def test_the_addresses_of_one_network_are_one_client(address):
    same = f"{address.exploded.rsplit(':', 4)[0]}:1:2:3:4"
    assert network((str(address), 1)) == network((same, 2))


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_in_both_protocols(address):
    assert network((str(address), 1)) == network((f"::ffff:{address}", 1)) == str(address)


@pytest.mark.parametrize("client", [None, ("testclient", 1), ("", 0)])
def test_a_client_without_an_address_counts_too(client):
    assert isinstance(network(client), str)
