"""How large a request may be, and how slowly it may come."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.errors import problem
from service.settings import ServiceSettings

#: The one request that brings whole cohorts.
UPLOAD = ("POST", "/v1/cohorts")

#: Paths of the requests that bring files or images. All others bring some lines of JSON.
WITH_FILES = ("/v1/predictions", "/v1/embeddings", "/v1/counterfactuals", "/v1/audits", "/v2/")
PLAIN = 2**18


class BodyLimit:
    """Middleware that refuses bodies over a size, declared or counted, and those that stall.

    FastAPI has a limit too, but answers it in plain text from outside of every handler.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        """Wrap an app."""
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its body counted."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        largest, detail = self._limit(scope)
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > largest):
            refused = problem(413, detail, scope["path"], headers={"Connection": "close"})
            return await refused(scope, receive, send)
        read, more, answered = 0, True, False

        async def counted() -> Message:
            nonlocal read, more
            # After its body a request only waits for its sender to go, which may take long.
            message = await (self._next(receive) if more else receive())
            more = message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > largest:
                raise HTTPException(413, detail, {"Connection": "close"})
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except HTTPException as no:  # the body was read by somebody before the routes
            if answered:
                raise
            headers = dict(no.headers or {})
            refused = problem(no.status_code, no.detail, scope["path"], headers=headers)
            await refused(scope, receive, send)

    def _limit(self, scope: Scope) -> tuple[int, str]:
        """Most bytes of a request's body, and what is said about more."""
        upload = (scope["method"], scope["path"]) == UPLOAD
        name = "max_upload_bytes" if upload else "max_body_bytes"
        largest: int = getattr(self.settings, name)
        if not upload and not scope["path"].startswith(WITH_FILES) and largest > PLAIN:
            return PLAIN, f"The body is larger than {PLAIN} bytes. Send what is asked for only."
        return largest, (
            f"The body is larger than {largest} bytes. Send fewer or smaller files; the limit "
            f"is EVENSCAN_{name.upper()}."
        )

    async def _next(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                return await receive()
        except TimeoutError:
            detail = (
                f"No piece of the body came for {self.settings.body_seconds:g} seconds. The "
                "limit is EVENSCAN_BODY_SECONDS."
            )
            raise HTTPException(408, detail, {"Connection": "close"}) from None
