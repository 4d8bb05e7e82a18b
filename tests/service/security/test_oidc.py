"""Tokens of an OpenID provider open what their roles say; all others open nothing."""

import asyncio
import base64
import json
import string
import time

import jwt
import pytest
from access_samples import bearer, key_of, locked
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode
from oidc_samples import MAKERS, providing
from service_samples import is_problem

from evaluation.errors import InputError
from service.security.access import ROLES
from service.security.oidc import LARGEST, LONGEST, ProviderError, Tokens, read_keys, roles_of
from service.settings import ServiceSettings


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setattr("service.security.oidc.PAUSE", 0.0)
    monkeypatch.setattr("service.security.auth.Failures.count", lambda *_: None)
    with providing() as found:
        yield found


@pytest.fixture
def service(provider, tmp_path):
    settings = ServiceSettings.read(
        home=tmp_path, oidc_issuer=provider.issuer, oidc_audience="evenscan"
    )
    with locked(settings) as running:
        yield running


def ask(service, token, path="/v1/models"):
    return service.client.get(path, headers=bearer(token))


@pytest.mark.parametrize("algorithm", MAKERS)
def test_a_token_opens(service, provider, algorithm):
    provider.add("second", algorithm)
    assert ask(service, provider.token("second")).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_a_key_of_it_may(service, provider, role):
    for path in ("/v1/models", "/v1/keys"):
        status = ask(service, provider.token(roles=role), path).status_code
        key = service.client.get(path, headers=key_of(service, role))
        assert status == key.status_code


def test_keys_go_on_opening(service):
    headers = key_of(service, "viewer")
    assert service.client.get("/v1/models", headers=headers).status_code == 200


def test_the_provider_is_asked_once(service, provider):
    for _ in range(5):
        ask(service, provider.token())
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


def changed(token, part, **changes):
    """The token with other words in its head (0) or claims (1), under the old signature."""
    parts = token.split(".")
    padded = parts[part] + "=" * (-len(parts[part]) % 4)
    words = json.loads(base64.urlsafe_b64decode(padded)) | changes
    parts[part] = base64url_encode(json.dumps(words).encode()).decode()
    return ".".join(parts)


def forged(provider):
    """Tokens that must not open anything, by what is wrong with them."""
    now, good = int(time.time()), provider.token()
    head, claims, signature = good.split(".")
    public = provider.keys["first"][0].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "expired", provider.token(exp=now - 60)
    yield "no end", provider.token(exp=None)
    yield "not yet", provider.token(nbf=now + 600)
    yield "other audience", provider.token(aud="another")
    yield "no audience", provider.token(aud=None)
    yield "other issuer", provider.token(iss="https://evil.example")
    yield "issuer with a slash", provider.token(iss=provider.issuer + "/")
    yield "no issuer", provider.token(iss=None)
    yield "no subject", provider.token(sub=None)
    yield "subject is a number", provider.token(sub=7)
    yield "not signed", f"{head}.{claims}."
    yield "signature of another", f"{head}.{claims}.{provider.token(sub='other').split('.')[2]}"
    yield "claims of another", changed(good, 1, roles=["admin"])
    none = jwt.encode(provider.claims(), None, "none", headers={"kid": "first"})
    yield "none", none
    yield "none with a signature", none + signature
    for name in ("NONE", "None", "nOnE", "HS256", "RS512", "ES256", "", None, 5, ["RS256"]):
        yield f"called {name!r}", changed(good, 0, alg=name)
    for secret in (pem, pem.strip(), json.dumps(provider.public("first")).encode()):
        yield "public key as secret", _hs256(provider, secret)
    yield "unknown key", changed(good, 0, kid="unknown")
    yield "no key name, wrong key", changed(_foreign(provider, None), 0)
    yield "own key, known name", _foreign(provider, "first")
    own = jwt.algorithms.RSAAlgorithm.to_jwk(MAKERS["RS256"]().public_key(), as_dict=True)
    yield "brings its key", changed(_foreign(provider, "first"), 0, jwk=own)
    yield "says where its key is", changed(good, 0, jku="http://evil.example", x5u="file:///a")
    yield "critical", changed(good, 0, crit=["exp"])
    yield "detached", changed(good, 0, b64=False)
    yield "kid is a list", changed(good, 0, kid=["first"])
    yield "kid is a path", changed(good, 0, kid="../../dev/null")
    yield "long", provider.token(more="a" * LONGEST)
    yield "empty parts", ".."
    yield "not base64", "a.b!.c"
    yield "deep", f"{base64url_encode(b'[' * 5000).decode()}.{claims}.{signature}"
    yield "more parts", good + ".a"


def _hs256(provider, secret):
    """A token whose signature is made with something that everybody knows."""
    import hmac
    from hashlib import sha256

    head = base64url_encode(json.dumps({"alg": "HS256", "kid": "first"}).encode())
    text = head + b"." + base64url_encode(json.dumps(provider.claims()).encode())
    return (text + b"." + base64url_encode(hmac.digest(secret, text, sha256))).decode()


def _foreign(provider, kid):
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(provider.claims(), MAKERS["RS256"](), "RS256", headers=headers)


def test_nothing_else_opens(service, provider):
    bodies = set()
    for name, token in forged(provider):
        response = ask(service, token)
        assert response.status_code == 401, (name, response.text)
        bodies.add(response.content)
    assert len(bodies) == 1
    assert ask(service, provider.token()).status_code == 200


@pytest.fixture(scope="module")
def steady():
    with providing() as provider:
        tokens = Tokens(provider.issuer, "evenscan", "roles")
        with asyncio.Runner() as runner:
            assert runner.run(tokens.holder(provider.token())) is not None
            yield provider, lambda token: runner.run(tokens.holder(token))


@given(text=st.text(max_size=60), header=st.dictionaries(st.text(max_size=4), st.text()))
def test_no_invented_token_opens_or_crashes(steady, text, header):
    provider, holder = steady
    _, claims, signature = provider.token().split(".")
    head = base64url_encode(json.dumps({"alg": "RS256", "kid": "first"} | header).encode())
    for token in (text, f"{text}.{claims}.{signature}", f"{head.decode()}.{text}.{signature}"):
        assert holder(token) is None


@given(place=st.integers(min_value=0), letter=st.sampled_from(string.ascii_letters + "-_.=!"))
def test_a_token_with_one_letter_changed_opens_nothing_new(steady, place, letter):
    provider, holder = steady
    token = provider.token()
    place %= len(token)
    other = token[:place] + letter + token[place + 1 :]
    found = holder(other)
    assert found is None or found == holder(token)


def test_clocks_may_differ_a_little(service, provider):
    assert ask(service, provider.token(exp=int(time.time()) - 5)).status_code == 200


@pytest.mark.parametrize("roles", [None, [], "cook", ["cook"], {"viewer": 1}, 7, [["admin"]]])
def test_a_token_without_a_role_is_403(service, provider, roles):
    body = is_problem(ask(service, provider.token(roles=roles)), 403)
    assert "none of the roles" in body["detail"]


@pytest.mark.parametrize(
    ("claims", "claim", "roles"),
    [
        ({"roles": "admin"}, "roles", ["admin"]),
        ({"roles": ["trainer", "viewer", "trainer"]}, "roles", ["viewer", "trainer"]),
        ({"a": {"b": {"c": ["viewer"]}}}, "a.b.c", ["viewer"]),
        ({"a.b": ["viewer"], "a": {"b": ["admin"]}}, "a.b", ["viewer"]),
        ({"a": ["viewer"]}, "a.b", []),
        ({}, "a", []),
    ],
)
def test_roles_are_found_where_the_settings_say(claims, claim, roles):
    assert roles_of(claims, claim) == roles


def test_who_asks_is_named_by_issuer_and_subject(service, provider):
    ask(service, provider.token())
    log = next(service.services.access_log.folder.iterdir()).read_text()
    assert json.loads(log)["principal"] == f"{provider.issuer}|u-17"


def test_a_new_key_of_the_provider_opens_and_an_old_one_no_more(service, provider):
    old = provider.token()
    assert ask(service, old).status_code == 200
    del provider.keys["first"]
    provider.add("second", "ES256")
    assert ask(service, provider.token("second")).status_code == 200
    is_problem(ask(service, old), 401)


def test_unknown_keys_do_not_flood_the_provider(service, provider, monkeypatch):
    monkeypatch.setattr("service.security.oidc.PAUSE", 60.0)
    good = provider.token()
    for number in range(20):
        is_problem(ask(service, changed(good, 0, kid=f"invented-{number}")), 401)
    assert len(provider.asked) == 2
    assert ask(service, good).status_code == 200


def test_a_provider_that_is_away_is_503_and_its_return_is_noticed(service, provider):
    provider.answers["/keys"] = 500, {}, b""
    response = ask(service, provider.token())
    is_problem(response, 503)
    assert response.headers["retry-after"]
    provider.answers.clear()
    assert ask(service, provider.token()).status_code == 200


def test_known_keys_go_on_while_the_provider_is_away_but_not_for_ever(
    service, provider, monkeypatch
):
    assert ask(service, provider.token()).status_code == 200
    provider.answers["/keys"] = 500, {}, b""
    monkeypatch.setattr("service.security.oidc.READ_AFTER", 0.0)
    assert ask(service, provider.token()).status_code == 200
    monkeypatch.setattr("service.security.oidc.GOOD_FOR", 0.0)
    is_problem(ask(service, provider.token()), 503)


def test_old_keys_are_read_again_behind(service, provider, monkeypatch):
    ask(service, provider.token())
    monkeypatch.setattr("service.security.oidc.READ_AFTER", 0.0)
    before = len(provider.asked)
    assert ask(service, provider.token()).status_code == 200
    deadline = time.monotonic() + 5
    while len(provider.asked) < before + 2 and time.monotonic() < deadline:
        ask(service, provider.token())
    assert len(provider.asked) >= before + 2


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, (200, {}, b"<html>")),
        (DISCOVERY, (200, {}, b"[]")),
        (DISCOVERY, (200, {}, b"[" * 100_000)),
        (DISCOVERY, (200, {}, b"{}")),
        (DISCOVERY, (302, {"Location": "/keys"}, b"")),
        (DISCOVERY, (200, {}, b'{"issuer": "https://evil.example"}')),
        (DISCOVERY, (200, {}, b'"' + b"a" * LARGEST + b'"')),
        ("/keys", (302, {"Location": "file:///etc/passwd"}, b"")),
        ("/keys", (200, {}, b'{"keys": []}')),
        ("/keys", (200, {}, b'{"keys": 7}')),
        ("/keys", (200, {}, b'{"keys": [7, {}, {"kty": "oct", "k": "YQ", "kid": "first"}]}')),
        ("/keys", (200, {}, b'{"keys": [{"kty": "RSA", "n": 1, "e": "!", "kid": "first"}]}')),
        ("/keys", (404, {}, b"")),
    ],
)
def test_a_provider_that_talks_nonsense_is_told_of(provider, path, answer):
    provider.answers[path] = answer
    with pytest.raises(ProviderError):
        read_keys(provider.issuer)


@pytest.mark.parametrize(
    "address", ["http://evil.example/keys", "file:///etc/passwd", 7, "", "/keys"]
)
def test_keys_are_read_from_a_safe_address_only(provider, address):
    found = {"issuer": provider.issuer, "jwks_uri": address}
    provider.answers[DISCOVERY] = 200, {}, json.dumps(found).encode()
    with pytest.raises(ProviderError, match="safe address"):
        read_keys(provider.issuer)


def test_a_key_for_something_else_is_left_out(provider):
    provider.add("second", "ES256")
    other = provider.public("second") | {"use": "enc"}
    keys = {"keys": [provider.public("first"), other]}
    provider.answers["/keys"] = 200, {}, json.dumps(keys).encode()
    assert set(read_keys(provider.issuer)) == {"first"}


def test_a_provider_that_is_not_there(monkeypatch):
    with pytest.raises(ProviderError, match="cannot be read"):
        read_keys("http://127.0.0.1:9")


@pytest.mark.parametrize(
    "issuer", ["http://login.example.org", "file:///etc", "login", "https://"]
)
def test_an_issuer_that_others_can_pose_as_is_refused_at_the_start(issuer):
    with pytest.raises(InputError, match="oidc_issuer"):
        ServiceSettings.read(oidc_issuer=issuer, oidc_audience="evenscan")


def test_an_issuer_needs_an_audience():
    with pytest.raises(InputError, match="belong together"):
        ServiceSettings.read(oidc_issuer="https://login.example.org")
