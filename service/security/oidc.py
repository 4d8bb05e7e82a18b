"""Bearer tokens of an OpenID provider."""

import asyncio
import http.client
import json
import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt
from starlette.exceptions import HTTPException

from service.security.access import ROLES, Principal
from service.settings import trustworthy

logger = logging.getLogger(__name__)

#: How tokens may be signed: with a private key that only the provider has. ``none`` and the
#: HS family, whose key would have to be known here too, are not among them.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)

#: Longest token that is looked at, in letters.
LONGEST: Final = 8192

#: How far the clocks of the provider and of this machine may be apart, in seconds.
LEEWAY: Final = 30

#: Age at which the provider's keys are read again, and at which they are good no more even if
#: the provider does not answer, in seconds.
READ_AFTER, GOOD_FOR = 3600.0, 86_400.0

#: Shortest time between two requests to the provider, in seconds, however many unknown keys
#: tokens name.
PAUSE: Final = 10.0

#: Limits of an answer of the provider, in seconds and bytes.
TIMEOUT, LARGEST = 5.0, 2**18


class ProviderError(Exception):
    """The provider does not answer, or answers something else than it should."""


class Tokens:
    """What the tokens of one provider say.

    The provider's keys are found by discovery and remembered.
    """

    def __init__(self, issuer: str, audience: str, roles: str) -> None:
        """Trust an issuer; nothing is read yet.

        Args:
            issuer: Address of the provider, as its tokens name it.
            audience: Whom tokens must be made out to.
            roles: Claim that holds the role, or a list with it; dots go into objects.
        """
        self.issuer, self.audience, self.roles = issuer, audience, roles
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read = self._tried = float("-inf")
        self._asking = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def holder(self, token: str) -> Principal | None:
        """Who asks with a token.

        Returns:
            None if the token is not good, for whatever reason.

        Raises:
            HTTPException: 403, it is good but gives its holder no role; 503, the keys of the
                provider are not known and cannot be read.
        """
        if len(token) > LONGEST:
            return None
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                return None
            if (key := await self._key(header.get("kid"))) is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        roles = roles_of(claims, self.roles)
        subject = f"{self.issuer}|{claims['sub']}"
        if not roles:
            detail = (
                f"The token has none of the roles {', '.join(ROLES)} in its claim "
                f"'{self.roles}'. Ask those who run the OpenID provider for one."
            )
            raise HTTPException(403, detail)
        name = str(claims.get("preferred_username") or claims.get("name") or claims["sub"])
        shown = "".join(letter for letter in name if letter.isprintable())[:200]
        return Principal(subject[:400], shown, frozenset().union(*(ROLES[r] for r in roles)))

    async def _key(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of a name. Without a name the provider must have a single one."""
        age = monotonic() - self._read
        if age > GOOD_FOR or (kid is not None and kid not in self._keys):
            await self._refresh()
        elif age > READ_AFTER and (self._behind is None or self._behind.done()):
            # What is known goes on being used, so nobody waits for a provider that is away.
            self._behind = asyncio.create_task(self._refresh())
        if monotonic() - self._read > GOOD_FOR:
            detail = "The OpenID provider does not answer. Try again later, or use a key."
            raise HTTPException(503, detail, {"Retry-After": str(round(PAUSE))})
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        """Read the provider's keys, unless that was tried lately; one asks, others wait."""
        began = monotonic()
        async with self._asking:
            if self._tried > began or monotonic() < self._tried + PAUSE:
                return
            try:
                self._keys = await asyncio.to_thread(read_keys, self.issuer)
                self._read = monotonic()
            except ProviderError as error:
                logger.warning("OpenID provider %s: %s", self.issuer, error)
            finally:
                self._tried = monotonic()


def roles_of(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The roles of this service that a claim holds, each once.

    Args:
        claims: Of a token.
        claim: Name of the claim; if there is none of this name, dots go into objects.

    >>> roles_of({"realm_access": {"roles": ["viewer", "cook"]}}, "realm_access.roles")
    ['viewer']
    >>> roles_of({"https://example.org/role": "admin"}, "https://example.org/role")
    ['admin']
    """
    found: Any = claims
    for part in [claim] if claim in claims else claim.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    given = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return [role for role in ROLES if role in given]


def read_keys(issuer: str) -> dict[str | None, jwt.PyJWK]:
    """The keys that a provider signs with, by name.

    Keys of kinds that are not in :data:`ALGORITHMS`, or that are for something else than
    signatures, are left out.

    Raises:
        ProviderError: It does not answer, or not as OpenID Connect Discovery 1.0 says.
    """
    found = _json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise ProviderError(f"it calls itself {found.get('issuer')!r:.100}")
    address = found.get("jwks_uri")
    if not isinstance(address, str) or not trustworthy(address):
        raise ProviderError("its keys have no safe address")
    listed = _json(address).get("keys")
    keys: dict[str | None, jwt.PyJWK] = {}
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(each)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if key.algorithm_name in ALGORITHMS:
            keys[key.key_id] = key
    if not keys:
        raise ProviderError("it has no key that fits")
    return keys


class _Stay(HTTPRedirectHandler):
    """Follows nobody elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _json(address: str) -> dict[str, Any]:
    request = Request(address, headers={"Accept": "application/json"})
    try:
        with build_opener(_Stay).open(request, timeout=TIMEOUT) as answer:
            body = answer.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise ProviderError(f"{address} is larger than {LARGEST} bytes")
        found = json.loads(body)
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise ProviderError(f"{address} cannot be read: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ProviderError(f"{address} is no JSON object")
    return found
