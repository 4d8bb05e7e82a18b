"""How large a request may be."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import problem


class BodyLimit:
    """Middleware that refuses bodies over a size, declared or counted.

    FastAPI has a limit too, but answers it in plain text from outside of every handler.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        """Wrap an app; ``largest`` is in bytes."""
        self.app, self.largest = app, largest
        self.detail = (
            f"The body is larger than {largest} bytes. Send fewer or smaller files; the "
            "limit is EVENSCAN_MAX_BODY_BYTES."
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its body counted."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self.largest:
            refused = problem(413, self.detail, scope["path"], headers={"Connection": "close"})
            return await refused(scope, receive, send)
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.largest:
                raise HTTPException(413, self.detail)
            return message

        await self.app(scope, counted, send)
