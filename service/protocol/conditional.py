"""Answers that their reader has already: an ETag on each, and 304 instead of the same again."""

import hashlib
import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Longest answer that is hashed, in bytes. Files bring an ETag of their own.
LONGEST: Final = 2**20

#: What a probe says is true for a moment only.
PROBES: Final = ("/health/", "/v2/health/")

#: Headers of an answer that stay with a 304 (RFC 9110, section 15.4.5).
STAYING: Final = frozenset(
    {b"etag", b"cache-control", b"content-location", b"expires", b"vary"}
)

TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


class Conditional:
    """Middleware for reading: HEAD wherever there is GET, ETags, and If-None-Match.

    JSON that comes in one piece gets a strong ETag, made of its bytes.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer as far as it is news."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        inner = scope
        if scope["method"] == "HEAD":
            # A file is not read if somebody else would send it.
            extensions = {**(scope.get("extensions") or {}), "http.response.pathsend": {}}
            inner = {**scope, "method": "GET", "extensions": extensions}
        answer = _Answer(scope, inner, send)
        try:
            await self.app(inner, receive, answer.take)
        except Exception:
            if not answer.over:  # nobody waits for what comes after the end
                raise


class _Answer:
    """An answer on its way."""

    def __init__(self, scope: Scope, inner: Scope, send: Send) -> None:
        self.scope, self.inner, self.send = scope, inner, send
        self.asked = ", ".join(Headers(scope=scope).getlist("if-none-match"))
        self.held: Message | None = None
        self.endless = False
        self.over = False

    async def take(self, message: Message) -> None:
        """Send a message, or what is to be sent in its place."""
        if self.over:
            if self.endless:
                raise OSError("the answer has ended")  # as if the reader had gone
        elif message["type"] == "http.response.start":
            await self._start(message)
        else:
            if self.held is not None:
                await self._hash(self.held, message)
            if not self.over:
                await self.send(message)

    async def _start(self, start: Message) -> None:
        # What has been found out about the request is for those outside too.
        self.scope.update({k: self.inner[k] for k in ("route", "endpoint") if k in self.inner})
        headers = Headers(raw=start["headers"])
        self.endless = "content-length" not in headers
        kind = headers.get("content-type", "").partition(";")[0]
        probe = self.scope["path"].startswith(PROBES)
        if start["status"] != 200 or probe:
            await self._send(start)
        elif "etag" in headers:
            await self._send(start, headers["etag"])
        elif kind == "application/json" or kind.endswith("+json"):
            self.held = start
        else:
            await self._send(start)

    async def _hash(self, start: Message, first: Message) -> None:
        self.held, tag = None, ""
        body = first.get("body", b"")
        if not first.get("more_body", False) and len(body) <= LONGEST:
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            start = {**start, "headers": [*start["headers"], (b"etag", tag.encode())]}
        await self._send(start, tag)

    async def _send(self, start: Message, tag: str = "") -> None:
        """Begin the answer, and end it if the rest is known or only its head is wanted."""
        self.over = self.scope["method"] == "HEAD"
        if tag and matches(self.asked, tag):
            headers = [each for each in start["headers"] if each[0].lower() in STAYING]
            start, self.over = {**start, "status": 304, "headers": headers}, True
        await self.send(start)
        if self.over:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})


def matches(asked: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names an ETag; weak ones are as good as strong ones.

    >>> matches('"a", W/"b"', '"b"'), matches("*", '"b"'), matches('"a"', '"b"')
    (True, True, False)
    """
    return asked.strip() == "*" or tag.removeprefix("W/") in TAG.findall(asked)
