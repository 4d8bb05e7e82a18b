"""Listens for requests, in one process or several, with a worker beside them."""

import logging
import math
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from threadpoolctl import threadpool_limits

from evaluation.errors import Fault, InputError
from service.children import Child, kept_alive
from service.connections import watched
from service.database import Database
from service.layout import Layout
from service.metrics import SHARED
from service.settings import ServiceSettings

if TYPE_CHECKING:
    from service.services import Services

logger = logging.getLogger(__name__)

#: How long a thread may keep the others waiting for the interpreter, in seconds. The event loop
#: is busy and the model's thread needs it for moments only: with the usual 5 ms the model
#: stands still for most of the time.
SWITCH = 0.0005

#: How long requests in flight may take when the service stops, in seconds.
GRACE = 10

#: What does the jobs. It stops when its input ends, so also when this process is killed.
WORKER = Child("the worker", ("worker", "--while-stdin-is-open"))


def serve(
    settings: ServiceSettings, *, with_worker: bool, on_listening: Callable[[str], object]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: Of the service.
        with_worker: Whether to run a worker too.
        on_listening: Called with a line that names the address, once requests are accepted.

    Raises:
        InputError: The address is taken.
    """
    Layout(settings)
    Database.opened(settings.database).close()  # a home that cannot be used is told of before
    workers = [WORKER] if with_worker else []
    with _listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host

        def announce() -> None:
            on_listening(f"Evenscan listens on http://{shown}:{port}")

        if settings.processes == 1:
            with kept_alive(workers, settings.environment()):
                answer(settings, listener, announce)
        else:
            stop = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            with _answering(settings, listener, announce, workers):
                stop.wait()


def answer(
    settings: ServiceSettings, listener: socket.socket, announce: Callable[[], object]
) -> None:
    """Answer requests in this process, until SIGINT or SIGTERM.

    Args:
        settings: Of the service.
        listener: Where they come in; other processes may take from it too.
        announce: Called once requests are accepted.
    """
    from service.app import create_app  # 60 MB that who only watches over others does without

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


@contextmanager
def _answering(
    settings: ServiceSettings,
    listener: socket.socket,
    announce: Callable[[], object],
    workers: list[Child],
) -> Iterator[None]:
    """Several processes that answer, while the block runs."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="evenscan-") as folder:

        def ended(process: int) -> None:
            mark_process_dead(process, folder)  # type: ignore[no-untyped-call]

        files = (listener.fileno(), writing)
        command = ("answer", "--listener", str(files[0]), "--started", str(writing))
        processes = [
            Child(f"API process {number}", command, files, ended)
            for number in range(1, settings.processes + 1)
        ]

        def wait() -> None:
            waiting = settings.processes
            while waiting > 0:
                waiting -= len(os.read(reading, waiting))
            announce()

        with kept_alive([*processes, *workers], settings.environment() | {SHARED: folder}):
            threading.Thread(target=wait, daemon=True).start()
            yield


class _Server(uvicorn.Server):
    """A server that says when it has started, and to those who wait for news when it stops."""

    announce: Callable[[], object]
    parts: "Callable[[], Services]"
    drain: float
    closes_at = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
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


def _listen(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends at once, without gathering small packets, only if the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        remedy = "Choose another with --port, or 0 for a free one."
        raise InputError(
            Fault(where, f"cannot listen there: {error.strerror}", remedy)
        ) from None
    return listener
