"""What the body of a request may be: how large, how slow, and how much of the memory."""

from typing import NamedTuple, Self

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.buffered import Buffered, Share
from service.protocol.errors import problem
from service.protocol.pace import Pace
from service.settings import ServiceSettings

#: The one request that brings whole cohorts, as a form; a body of JSON there is held in memory.
UPLOAD, FORM = ("POST", "/v1/cohorts"), "multipart/form-data"

#: Paths of the requests that bring files or images. All others bring some lines of JSON.
WITH_FILES = ("/v1/predictions", "/v1/embeddings", "/v1/counterfactuals", "/v1/audits", "/v2/")
PLAIN = 2**18


class BodyLimit:
    """Middleware that refuses bodies that are too large or too slow, or find no memory.

    FastAPI has a limit too, but answers it in plain text from outside of every handler.

    Attributes:
        buffered: What the bodies of all requests hold.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        """Wrap an app."""
        self.app, self.seconds = app, settings.body_seconds
        self.buffered = Buffered(settings.max_buffered_bytes)
        self._upload = _Bound.of(settings, "max_upload_bytes")
        self._files = _Bound.of(settings, "max_body_bytes")
        some = f"The body is larger than {PLAIN} bytes. Send what is asked for only."
        self._plain = min(self._files, _Bound(PLAIN, some))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its body counted."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        upload = _is_upload(scope, headers)
        largest, detail = self._bound(scope["path"], upload)
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > largest):
            refused = problem(413, detail, scope["path"], headers={"Connection": "close"})
            return await refused(scope, receive, send)
        pace, share = Pace(receive, self.seconds), Share(self.buffered)
        read, more, answered = 0, True, False

        async def counted() -> Message:
            nonlocal read, more
            # After its body a request only waits for its sender to go, which may take long.
            message = await (pace.next() if more else receive())
            more = message.get("more_body", False)
            size = len(message.get("body", b""))
            read += size
            if read > largest:
                raise HTTPException(413, detail, {"Connection": "close"})
            if not upload:  # which goes to the disk as it comes
                share.take(size)
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
            told = dict(no.headers or {})
            refused = problem(no.status_code, no.detail, scope["path"], headers=told)
            await refused(scope, receive, send)
        finally:
            share.release()

    def _bound(self, path: str, upload: bool) -> "_Bound":
        if upload:
            return self._upload
        return self._files if path.startswith(WITH_FILES) else self._plain


class _Bound(NamedTuple):
    """Most bytes of a body, and what is said about more."""

    largest: int
    detail: str

    @classmethod
    def of(cls, settings: ServiceSettings, name: str) -> Self:
        """A bound that is configured."""
        largest: int = getattr(settings, name)
        return cls(
            largest,
            f"The body is larger than {largest} bytes. Send fewer or smaller files; the limit "
            f"is EVENSCAN_{name.upper()}.",
        )


def _is_upload(scope: Scope, headers: Headers) -> bool:
    if (scope["method"], scope["path"]) != UPLOAD:
        return False
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
