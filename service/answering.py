"""One process that answers requests."""

import gc
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from threadpoolctl import threadpool_limits

from service.app import create_app
from service.protocol.connections import watched
from service.services import Services
from service.settings import ServiceSettings

#: How long a thread may keep the others waiting for the interpreter, in seconds. The event loop
#: is busy and the model's thread needs it for moments only: with the usual 5 ms the model
#: stands still for most of the time.
SWITCH = 0.0005

#: How long requests in flight may take when the service stops, in seconds.
GRACE = 10


def answer(
    settings: ServiceSettings, listener: socket.socket, announce: Callable[[], object]
) -> None:
    """Answer requests in this process, until SIGINT or SIGTERM.

    Args:
        settings: Of the service.
        listener: Where they come in; other processes may take from it too.
        announce: Called once requests are accepted.
    """
    sys.setswitchinterval(SWITCH)
    # Products of small matrices: to spread them over cores takes longer than to compute them.
    threadpool_limits(1)
    app = create_app(settings)
    configuration = uvicorn.Config(
        app,
        http=watched(settings.body_seconds),
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(configuration)
    server.parts = lambda: app.state.services
    server.announce, server.drain = announce, settings.drain_seconds
    # uvicorn stops at these signals and then raises them again, which would end this process
    # before the worker has been stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])


def answer_while_stdin_is_open(settings: ServiceSettings, listener: int, started: int) -> None:
    """The same as one of several processes.

    Args:
        settings: Of the service.
        listener: Number of the file of the socket.
        started: Number of a file that gets a byte once requests are accepted.
    """

    def stop() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with socket.socket(fileno=listener) as shared:
        answer(settings, shared, lambda: os.write(started, b"."))


class _Server(uvicorn.Server):
    """A server that says when it has started, and to those who wait for news when it stops."""

    announce: Callable[[], object]
    parts: Callable[[], Services]
    drain: float
    closes_at = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there now stays. Left to the collector, it is gone through again and again
        # while many requests are in flight, and all of them wait a tenth of a second for it.
        gc.collect()
        gc.freeze()
        if self.started:
            self.announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop at a signal; at another one, at once."""
        waits = self.started and self.drain > 0 and not self.parts().readiness.stopping
        if self.started:
            self.parts().readiness.stopping = True
        if waits:
            self.closes_at = time.monotonic() + self.drain
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop, asked ten times a second."""
        self.should_exit = self.should_exit or time.monotonic() >= self.closes_at
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and finish those that are there."""
        await self.parts().follower.stop()
        await super().shutdown(sockets)
