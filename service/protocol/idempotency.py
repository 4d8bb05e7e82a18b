"""A request that comes again with its Idempotency-Key is answered again, and done once."""

import hashlib
import logging
import math
import re
from email.message import Message as Header
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.answers import Answers, Said
from service.protocol.errors import problem, unavailable
from service.security.access import Principal

logger = logging.getLogger(__name__)

#: Requests that change something.
METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

#: Those below here change nothing and would only fill the table.
INFERENCE: Final = ("/v1/embeddings", "/v1/predictions", "/v1/counterfactuals", "/v2/")

KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

#: Answers that say something about the moment, not about the request.
PASSING: Final = frozenset({401, 403, 408, 413, 429})

#: Headers that are said again; the others are about the moment.
HEADERS: Final = ("content-type", "location", "retry-after", "etag", "allow", "cache-control")

#: Longest answer that is kept, in bytes.
LONGEST: Final = 64 * 2**10


class Idempotency:
    """Middleware that keeps the answers to requests with a key, for a day.

    A second request with the key gets the first one's answer, with the header
    ``Idempotency-Replayed: true``; 422 if its payload is another one; 409 while the first is
    under way. The body is hashed as it passes, so it may be of any size. An answer is kept
    before its sender has it. Those that are long, no JSON, or passing are not kept; what they
    were about is done again.

    References:
        IETF draft-ietf-httpapi-idempotency-key-header-07.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with what was said before."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        keys = headers.getlist("idempotency-key")
        if not keys or scope["method"] not in METHODS or scope["path"].startswith(INFERENCE):
            return await self.app(scope, receive, send)
        if len(keys) > 1 or not KEY.fullmatch(keys[0]):
            detail = "Idempotency-Key must be one, of 1 to 255 visible ASCII characters."
            return await problem(400, detail, scope["path"])(scope, receive, send)
        answers: Answers = scope["app"].state.services.answers
        name = _name(scope, keys[0])
        payload = Payload(headers, scope["query_string"])
        try:
            row = await run_in_threadpool(answers.claim, name)
        except SQLAlchemyError as error:
            return await unavailable(scope["path"], error)(scope, receive, send)
        if row is None:
            return await _First(self.app, answers, name, payload).run(scope, receive, send)
        if row.status is None:
            detail = "A request with this Idempotency-Key is under way. Ask again in a second."
            again = problem(
                409, detail, scope["path"], headers={"Retry-After": "1"}, kind="under-way"
            )
            return await again(scope, receive, send)
        if not await payload.read(receive):
            return
        if payload.digest() != row.digest:
            detail = "This Idempotency-Key came with another request before. Draw a new one."
            other = problem(422, detail, scope["path"], kind="key-reused")
            return await other(scope, receive, send)
        said = {**row.headers, "Idempotency-Replayed": "true"}
        await Response(row.body.encode(), row.status, said)(scope, receive, send)


class Payload:
    """The digest of a body that passes by, in whatever pieces.

    Clients draw a new boundary each time they send the same form, so a boundary does not count.
    """

    def __init__(self, headers: Headers, query: bytes) -> None:
        """Begin with what is known before the body."""
        content_type = headers.get("content-type", "")
        header = Header()
        header["content-type"] = content_type
        boundary = header.get_boundary("") if content_type.startswith("multipart/") else ""
        self._boundary = boundary.encode("latin-1", "replace")
        kind = content_type.replace(boundary, "") if boundary else content_type
        self._hash = hashlib.sha256(kind.encode() + b"\n" + query + b"\n")
        self._rest = b""
        # Of a body that was not announced nothing will come, even if its sender has gone.
        announced = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self.complete = not announced

    def add(self, message: Message) -> None:
        """Take in what came."""
        if message["type"] == "http.request":
            self._take(message.get("body", b""))
            self.complete = not message.get("more_body", False)

    async def read(self, receive: Receive, most: float = math.inf) -> bool:
        """Take in what has not come yet.

        Args:
            receive: Gives the next piece.
            most: After how many bytes to give up.

        Returns:
            Whether all has come.
        """
        while not self.complete and most > 0:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            self.add(message)
            most -= len(message["body"])
        return self.complete

    def digest(self) -> str:
        """SHA-256 of all that came."""
        whole = self._hash.copy()
        whole.update(self._rest)
        return whole.hexdigest()

    def _take(self, piece: bytes) -> None:
        if not self._boundary:
            self._hash.update(piece)
            return
        *parts, rest = (self._rest + piece).split(self._boundary)
        for part in parts:
            self._hash.update(part)
            self._hash.update(b"\0")
        # The end may be the beginning of a boundary.
        cut = max(0, len(rest) - len(self._boundary) + 1)
        self._hash.update(rest[:cut])
        self._rest = rest[cut:]


class _First:
    """The first request with its key."""

    def __init__(self, app: ASGIApp, answers: Answers, name: str, payload: Payload) -> None:
        self.app, self.answers, self.name, self.payload = app, answers, name, payload
        self.start: Message = {}
        self.held = b""
        self.over = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, and keep its answer."""

        async def hashed() -> Message:
            message = await receive()
            self.payload.add(message)
            return message

        async def kept(message: Message) -> None:
            if self.over:
                await send(message)
            elif message["type"] == "http.response.start" and _worth_keeping(message):
                self.start = message
            elif message["type"] == "http.response.start":
                await self._release()
                await send(message)
            else:
                self.held += message.get("body", b"")
                last = not message.get("more_body", False)
                if not last and len(self.held) < LONGEST:
                    return
                await (self._keep(receive) if last else self._release())
                await send(self.start)
                await send({**message, "body": self.held})

        try:
            await self.app(scope, hashed, kept)
        finally:
            # A process that is ended here is found dead by the next request with the key.
            if not self.over:
                await self._release()

    async def _keep(self, receive: Receive) -> None:
        """Keep the answer, unless most of the payload was not even looked at."""
        if len(self.held) >= LONGEST or not await self.payload.read(receive, LONGEST):
            return await self._release()
        self.over = True
        headers = Headers(raw=self.start["headers"])
        chosen = {name: headers[name] for name in HEADERS if name in headers}
        said = Said(self.payload.digest(), self.start["status"], chosen, self.held.decode())
        try:
            await run_in_threadpool(self.answers.keep, self.name, said)
        except SQLAlchemyError:  # what was done is done; a job is found by its id
            logger.exception("an answer could not be kept")

    async def _release(self) -> None:
        self.over = True
        try:
            await run_in_threadpool(self.answers.release, self.name)
        except SQLAlchemyError:  # the key is free again when the row is old
            logger.exception("an Idempotency-Key could not be released")


def _name(scope: Scope, key: str) -> str:
    """Name of a row: two principals may use the same key, one may for two paths."""
    principal: Principal = scope["state"]["principal"]
    parts = (principal.id, scope["method"], scope["path"], key)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _worth_keeping(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    plain = not kind or kind == "application/json" or kind.endswith("+json")
    return plain and start["status"] < 500 and start["status"] not in PASSING
