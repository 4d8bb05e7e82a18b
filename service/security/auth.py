"""Who asks: the holder of a key or of a token, or a program of this machine."""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from service.protocol.errors import problem
from service.security.access import ANYBODY, NOBODY, OPEN, Doors, Principal
from service.security.keys import PREFIX, UnreadableError
from service.security.rate import Failures
from service.services import Services
from service.settings import ServiceSettings, is_loopback

#: Said to everybody who brings nothing good, whatever is wrong with it.
STRANGER: Final = (
    "A good key is needed, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'. One that is "
    "malformed, unknown, expired or revoked is none."
)


class Guard:
    """Middleware that turns strangers away before their body is read.

    A request carries a key as ``Authorization: Bearer`` or ``X-API-Key``, or the token of an
    OpenID provider as the former; only one of them, so that nobody between here and its sender
    understands another than this service does. An open service is for the programs of this
    machine; a web page that a browser of this machine shows is none of them, so requests under
    a foreign name or from a foreign origin are refused.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, doors: Doors) -> None:
        """Wrap an app."""
        self.app, self.settings, self.doors = app, settings, doors
        self.failures = Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with who asks, or answer 401, 403, 429 or 503."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # nothing here speaks another protocol
            return await send({"type": "websocket.close", "code": 1008, "reason": ""})
        state = scope.setdefault("state", {})
        state["principal"] = NOBODY
        if scope["path"] not in OPEN:
            try:
                principal = state["principal"] = await self._principal(scope)
                self.doors.check(scope["method"], scope["path"], principal)
            except HTTPException as no:
                headers = dict(no.headers or {})
                refused = problem(no.status_code, no.detail, scope["path"], headers=headers)
                return await refused(scope, receive, send)
        await self.app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal:
        headers = Headers(scope=scope)
        if self.settings.open:
            if _foreign(headers.get("host", ""), headers.get("origin")):
                detail = (
                    "An open service answers programs of this machine only. Call it as "
                    "127.0.0.1 or localhost, or start it without EVENSCAN_OPEN."
                )
                raise HTTPException(403, detail)
            return ANYBODY
        principal = await _holder(_given(headers), scope["app"].state.services)
        if principal is None:
            self.failures.count(scope)
            raise HTTPException(401, STRANGER, {"WWW-Authenticate": "Bearer"})
        return principal


async def _holder(given: str, services: Services) -> Principal | None:
    if given.startswith(PREFIX):
        try:
            return await services.keys.holder(given)
        except UnreadableError:
            detail = "The keys cannot be read: the database does not answer. Try again later."
            raise HTTPException(503, detail, {"Retry-After": "5"}) from None
    if given and services.tokens is not None:
        return await services.tokens.holder(given)
    return None


def _given(headers: Headers) -> str:
    """The key or token that a request carries; empty if there is none, or more than one."""
    bearers, keys = headers.getlist("authorization"), headers.getlist("x-api-key")
    if len(bearers) + len(keys) != 1:
        return ""
    if keys:
        return keys[0].strip()
    scheme, _, token = bearers[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@lru_cache(64)
def _foreign(named: str, sent_from: str | None) -> bool:
    try:
        host = urlsplit(f"//{named}")
        origin = urlsplit(f"//{host.netloc}" if sent_from is None else sent_from)
    except ValueError:
        return True
    return not is_loopback(host.hostname or "") or origin.netloc != host.netloc
