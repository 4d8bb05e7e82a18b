"""An OpenID provider, small but real: it listens, publishes its keys and signs tokens."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

MAKERS = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "PS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Provider:
    """A provider for the audience ``evenscan``.

    Attributes:
        issuer: Its address.
        keys: Private key and algorithm, by name.
        asked: Paths that were asked for.
        answers: What is answered in place of the truth, by path: status, headers and body.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.keys: dict[str, tuple[Any, str]] = {}
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.add("first", "RS256")

    def add(self, name: str, algorithm: str) -> None:
        """Begin to sign with a new key."""
        self.keys[name] = MAKERS[algorithm](), algorithm

    def public(self, name: str) -> dict[str, Any]:
        """A key as it is published."""
        key, algorithm = self.keys[name]
        found = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
        return {**found, "kid": name, "alg": algorithm, "use": "sig"}

    def document(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """What is answered at a path."""
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            found: dict[str, Any] = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        elif path == "/keys":
            found = {"keys": [self.public(name) for name in self.keys]}
        else:
            return 404, {}, b""
        return 200, {}, json.dumps(found).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says; a claim that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "evenscan",
            "sub": "u-17",
            "preferred_username": "sam",
            "iat": now,
            "exp": now + 300,
            "roles": ["trainer"],
        }
        return {k: v for k, v in (claims | changes).items() if v is not None}

    def token(self, name: str = "first", **changes: Any) -> str:
        """A token that is signed with a key."""
        key, algorithm = self.keys[name]
        return jwt.encode(self.claims(**changes), key, algorithm, headers={"kid": name})


@contextmanager
def providing() -> Iterator[Provider]:
    """A provider that listens on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            status, headers, body = provider.document(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
