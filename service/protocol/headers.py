"""What every answer tells a browser: nothing here is for other pages, or for its cache."""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Headers of every answer whose route does not set its own.
ALWAYS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

#: Answers are about patients or about models: no cache keeps them.
PRIVATE: Final = {"Cache-Control": "no-store"}

_ALWAYS: Final = [(name.lower().encode(), value.encode()) for name, value in ALWAYS.items()]

#: One with an ETag may be kept by its reader, who asks each time whether it still holds.
_STORED: Final = (b"cache-control", b"private, no-cache")
_NOT_STORED: Final = (b"cache-control", b"no-store")


class SecurityHeaders:
    """Middleware that adds the headers that an answer lacks."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": complete(message.get("headers", ()))}
            await send(message)

        await self.app(scope, receive, completed if scope["type"] == "http" else send)


def complete(given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, and those that it lacks.

    >>> complete([(b"etag", b"1")])[-1]
    (b'cache-control', b'private, no-cache')
    """
    headers = list(given)
    names = {name.lower() for name, _ in headers}
    headers += [each for each in _ALWAYS if each[0] not in names]
    if b"cache-control" not in names:
        headers.append(_STORED if b"etag" in names else _NOT_STORED)
    return headers
