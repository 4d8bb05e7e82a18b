"""What the framework refuses in plain text, as the one body of every error."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.errors import problem

#: Headers of a plain refusal that mean something.
SAID: Final = frozenset({"allow", "connection", "content-range", "retry-after"})


class PlainRefusals:
    """Middleware that turns what the framework says in plain text into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        said = b""
        plain: Message | None = None

        async def worded(message: Message) -> None:
            nonlocal said, plain
            if message["type"] == "http.response.start" and _is_plain(message):
                plain = message
            elif plain is None:
                await send(message)
            else:
                said += message.get("body", b"")
                if not message.get("more_body", False):
                    kept = {k: v for k, v in Headers(raw=plain["headers"]).items() if k in SAID}
                    answer = problem(plain["status"], said.decode(), scope["path"], (), kept)
                    await answer(scope, receive, send)

        await self.app(scope, receive, worded if scope["type"] == "http" else send)


def _is_plain(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] >= 400 and kind.startswith("text/plain")
