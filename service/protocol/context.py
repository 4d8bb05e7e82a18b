"""What tells the lines of one request or job from all others: its ids, wherever it goes."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a request may call itself; anything else could forge lines of a log.
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:=@+-]{1,128}")

#: Version, trace, span and flags of the header, then what later versions may add.
TRACEPARENT: Final = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)


@dataclass(frozen=True)
class Context:
    """On whose behalf something is done.

    Attributes:
        request_id: Of the request; empty in a job.
        traceparent: W3C trace context; its span is this request or job.
        job: Id of the job; empty in a request.
    """

    request_id: str = ""
    traceparent: str = ""
    job: str = ""

    @property
    def trace_id(self) -> str:
        """The trace, which every part of it shares; empty if there is none."""
        return self.traceparent[3:35]


_CURRENT: ContextVar[Context] = ContextVar("context", default=Context())  # noqa: B039  frozen


def current() -> Context:
    """The context of whoever calls; an empty one outside of requests and jobs."""
    return _CURRENT.get()


@contextmanager
def within(context: Context) -> Iterator[None]:
    """Do what is done in the block in a context."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def continued(given: str | None) -> str:
    """A new span of a trace.

    Args:
        given: ``traceparent`` of the caller. If there is none, or one that the standard calls
            invalid, the span begins a trace of its own.

    Returns:
        A ``traceparent`` of version 00.

    References:
        W3C, *Trace Context*, level 1.

    Examples:
        >>> continued(f"00-{'a' * 32}-{'b' * 16}-01")[:36], continued("nonsense")[-3:]
        ('00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-', '-00')
    """
    span = secrets.token_hex(8)
    if given is not None and (trace := _trace(given)):
        return f"00-{trace[0]}-{span}-{trace[1]}"
    return f"00-{secrets.token_hex(16)}-{span}-00"


def _trace(given: str) -> tuple[str, str] | None:
    """Id and flags of the trace that a header names, if it is valid."""
    match = TRACEPARENT.fullmatch(given)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    return (trace, flags) if trace.strip("0") and span.strip("0") else None


class InContext:
    """Middleware that gives each request its ids, and its answer the same ones.

    Names that the request brings are kept if they are sound. They are in ``scope["state"]`` as
    ``request_id`` and ``traceparent`` too.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        context, tracestate = _read(Headers(scope=scope))
        names = {"request_id": context.request_id, "traceparent": context.traceparent}
        scope.setdefault("state", {}).update(names)
        shown = [
            (b"x-request-id", context.request_id.encode()),
            (b"traceparent", context.traceparent.encode()),
        ]
        if tracestate:
            shown.append((b"tracestate", tracestate.encode("latin-1")))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *shown]}
            await send(message)

        # Not taken back: the task is this request's own, and the server logs its crash in it.
        _CURRENT.set(context)
        await self.app(scope, receive, named)


def _read(headers: Headers) -> tuple[Context, str]:
    """The context that a request continues or begins, and the state of its trace."""
    names, traces = headers.getlist("x-request-id"), headers.getlist("traceparent")
    sound = len(names) == 1 and REQUEST_ID.fullmatch(names[0])
    trace = traces[0] if len(traces) == 1 else None
    context = Context(names[0] if sound else uuid4().hex, continued(trace))
    # The state belongs to a trace; without a valid one it means nothing.
    known = trace is not None and _trace(trace) is not None
    return context, ",".join(headers.getlist("tracestate")) if known else ""
