"""How long and how large what comes before a request may be, and who keeps answers waiting."""

import asyncio
from typing import Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

#: Largest head of a request, its first line and headers, in bytes. It is looked at piece by
#: piece, so one that comes at once may be larger by what is read at once, 256 KiB.
LARGEST_HEAD: Final = 2**16

#: Said to who sends more; then the connection is closed.
TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)

#: How often a connection is looked at while its time runs.
LOOKS: Final = 4


class Connection(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen at import
    """A connection that is closed if it holds its place for nothing.

    The server has a limit for the pause between two requests, but none for a head that comes a
    letter at a time, and none for a sender who never reads the answer.

    Attributes:
        seconds: How long a head may take, and how long none of an answer may be read.
    """

    seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self._head, self._in_head = 0, False
        self._mark: tuple[object, int] | None = None
        self._since = self.loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._look()

    def on_message_begin(self) -> None:
        """Note that a head begins. The other parser, h11, has a limit of its own."""
        super().on_message_begin()
        self._head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        """Note that it ends."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is a head without an end."""
        super().data_received(data)
        self._head += len(data)
        if self._in_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.cancel()

    def _look(self) -> None:
        """Close the connection if nothing has moved for too long."""
        unread = self.transport.get_write_buffer_size()
        waiting = self.cycle is None or self.cycle.response_complete
        mark = (self.cycle, unread) if waiting or unread else None
        if mark is None or mark != self._mark:
            self._mark, self._since = mark, self.loop.time()
        if self.loop.time() - self._since >= self.seconds:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(self.seconds / LOOKS, self._look)


def watched(seconds: float) -> type[Connection]:
    """Connections with a limit, for the server to make.

    Args:
        seconds: The limit, greater than 0.
    """
    return type("Watched", (Connection,), {"seconds": seconds})
