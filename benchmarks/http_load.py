"""Load on a web server: connections that ask again as soon as they are answered."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Point(NamedTuple):
    """What was measured at one load."""

    requests: float
    median: float
    slow: float
    failures: int


def request(path: str, kind: str, body: bytes, accept: str = "*/*") -> bytes:
    """A whole HTTP request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    return f"{head}Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, asked: Sequence[bytes], until: float, seconds: list[float]) -> None:
        """Take turns with these requests until a moment, and note how long each took."""
        self.asked, self.until, self.seconds = asked, until, seconds
        self.turn, self.failures, self.buffer, self.wanted = id(self) % len(asked), 0, b"", -1
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        if self.began >= self.until:
            self.done.set_result(None)
            self.transport.close()
            return
        self.turn += 1
        asked = self.asked[self.turn % len(self.asked)]
        self.transport.write(asked)  # type: ignore[attr-defined]  # typed as one that only reads

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        self.buffer += data
        if self.wanted < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            place = head.index(b"content-length:") + 15
            self.wanted = end + 4 + int(head[place:].split(b"\r\n", 1)[0])
            self.failures += not head.startswith(b"http/1.1 200")
        if len(self.buffer) >= self.wanted:
            self.buffer, self.wanted = b"", -1
            if self.answered:  # the first one waits for all connections to be made
                self.seconds.append(time.perf_counter() - self.began)
            self.answered += 1
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """The server has hung up."""
        if not self.done.done():
            self.failures += 1
            self.done.set_result(None)


async def load(port: int, asked: Sequence[bytes], clients: int, seconds: float) -> Point:
    """Ask from some connections at once."""
    loop, taken = asyncio.get_running_loop(), list[float]()
    began = time.perf_counter()
    callers = [
        (
            await loop.create_connection(
                lambda: Caller(asked, began + seconds, taken), "127.0.0.1", port
            )
        )[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*(each.done for each in callers))
    lasted = time.perf_counter() - began
    median, slow = np.percentile(taken, [50, 99]) * 1000 if taken else (np.nan, np.nan)
    answered, failures = (
        sum(getattr(each, name) for each in callers) for name in ("answered", "failures")
    )
    return Point(answered / lasted, median, slow, failures)
