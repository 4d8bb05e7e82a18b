"""Who asked for what, and when: a line a request, that is only ever added to."""

import errno
import json
import logging
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.errors import problem

logger = logging.getLogger(__name__)

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

#: Methods that change nothing.
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

#: Probes come every few seconds and read nothing of anybody; they have no lines.
PROBES: Final = ("/health/", "/v2/health/")

#: Most lines that are kept in memory while they cannot be written.
WAITING: Final = 10_000


class AccessLog:
    """One file of JSON lines a day, ``YYYY-MM-DD.jsonl`` in UTC.

    Each line is one write to a file opened for appending, so that processes may share the
    folder and a process that is killed loses none it has written. A crash of the machine may:
    nothing waits for the disk. Lines that cannot be written wait in memory, in their order;
    of more than :data:`WAITING` the oldest are lost.
    """

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made when the first line comes."""
        self.folder = folder
        self._file: int | None = None
        self._day = ""
        self._waiting: deque[bytes] = deque(maxlen=WAITING)
        self._torn = False
        self._writing = Lock()

    def add(self, entry: dict[str, Any]) -> None:
        """Write a line. If it cannot be written it waits; :meth:`check` tells."""
        sound = not self._waiting
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        self._waiting.append(line.encode())
        try:
            self.check()
        except OSError as error:
            if sound:
                logger.error("the access log cannot be written: %s", error.strerror)

    def check(self) -> None:
        """Write what waits.

        Raises:
            OSError: It cannot be written.
        """
        with self._writing:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()

    def close(self) -> None:
        """Close the file of the day."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._day = None, ""

    def _write(self, line: bytes) -> None:
        file = self._opened()
        whole = b"\n" + line if self._torn else line
        written = os.write(file, whole)
        # The disk is full: what follows begins on a line of its own.
        self._torn = written < len(whole)
        if written < len(whole) - 1:  # without the end of line alone the entry is whole
            raise OSError(errno.ENOSPC, "the disk is full")

    def _opened(self) -> int:
        """The file of this day, also if somebody has taken the last one away."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        if self._file is not None and (day != self._day or not os.fstat(self._file).st_nlink):
            self.close()
        if self._file is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.folder / f"{day}.jsonl", how, 0o600)
            self._day = day
        return self._file


def note_inference(request: Request, version: int, images: int) -> None:
    """Say what a request had a model do, for its line in the access log."""
    request.state.inference = {"model": version, "images": images}


class Logged:
    """Middleware that writes a line a request, before its sender has all of the answer.

    While lines cannot be written, requests that could change something are refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["path"].startswith(PROBES):
            return await self.app(scope, receive, send)
        log: AccessLog = scope["app"].state.services.access_log
        line = _Line(scope, log)

        async def counted() -> Message:
            message = await receive()
            line.brought += len(message.get("body", b""))
            return message

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                line.status = message["status"]
            elif message["type"] == "http.response.body":
                line.taken += len(message.get("body", b""))
                if not message.get("more_body", False):
                    line.write()
            await send(message)

        try:
            if scope["method"] not in READING and (refused := _refusal(log, scope)):
                return await refused(scope, receive, noted)
            await self.app(scope, counted, noted)
        finally:
            line.write()


class _Line:
    """What is known of a request so far."""

    def __init__(self, scope: Scope, log: AccessLog) -> None:
        self.scope, self.log = scope, log
        self.began, self.time = perf_counter(), datetime.now(UTC)
        self.status, self.brought, self.taken = 500, 0, 0
        self.written = False

    def write(self) -> None:
        """Write it, once."""
        if self.written:
            return
        self.written = True
        scope, state = self.scope, self.scope.get("state", {})
        # Paths and queries may hold whatever a sender puts there; a route's template may not.
        route = getattr(scope.get("route"), "path", None)
        method = scope["method"] if scope["method"] in METHODS else None
        client = scope.get("client")
        principal = state.get("principal")
        entry = {
            "time": self.time.isoformat(timespec="milliseconds"),
            "request": state.get("request_id"),
            "principal": (principal and principal.id) or None,
            "address": client and client[0],
            "method": method,
            "route": route,
            # what was found is named by the service, and by nobody else
            "target": (self.status < 400 and scope.get("path_params")) or None,
            "status": self.status,
            "bytes_in": self.brought,
            "bytes_out": self.taken,
            "milliseconds": round(1000 * (perf_counter() - self.began), 1),
            **state.get("inference", {}),
        }
        self.log.add(entry)


def _refusal(log: AccessLog, scope: Scope) -> ASGIApp | None:
    try:
        log.check()
    except OSError:
        detail = "The access log cannot be written, so nothing may be changed. Try again later."
        return problem(503, detail, scope["path"], headers={"Retry-After": "30"})
    return None
