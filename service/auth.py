"""Who may ask: a key, or this machine alone."""

import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import problem
from service.settings import ServiceSettings, is_loopback

#: Paths that need no key. Everything else does, whether it exists or not.
OPEN: Final = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json"})


class Guard:
    """Middleware that turns strangers away before their body is read.

    With a key set, a request carries it as ``Authorization: Bearer`` or ``X-API-Key``. Without
    one the service is for the programs of this machine; a web page that a browser of this
    machine shows is none of them, so requests under a foreign name or from a foreign origin are
    refused.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        """Wrap an app."""
        self.app = app
        self.key = settings.api_key.get_secret_value() if settings.api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            headers = Headers(scope=scope)
            if self.key is not None and not _same(self.key, _given(headers)):
                detail = "A key is needed, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
                refused = problem(
                    401, detail, scope["path"], headers={"WWW-Authenticate": "Bearer"}
                )
                return await refused(scope, receive, send)
            if self.key is None and _foreign(headers):
                detail = (
                    "Without a key the service answers programs of this machine only. Call it "
                    "as 127.0.0.1 or localhost, or set EVENSCAN_API_KEY."
                )
                return await problem(403, detail, scope["path"])(scope, receive, send)
        await self.app(scope, receive, send)


def _given(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _same(key: str, given: str) -> bool:
    """Compare in a time that does not tell how much of the key is right."""
    return hmac.compare_digest(key.encode(), given.encode())


def _foreign(headers: Headers) -> bool:
    try:
        host = urlsplit(f"//{headers.get('host', '')}")
        origin = urlsplit(headers.get("origin", f"//{host.netloc}"))
    except ValueError:
        return True
    return not is_loopback(host.hostname or "") or origin.netloc != host.netloc
