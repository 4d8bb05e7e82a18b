"""Listens for requests, with a worker beside it that is kept alive."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

import uvicorn

from evaluation.errors import Fault, InputError
from service.app import create_app
from service.connections import watched
from service.database import Database
from service.layout import Layout
from service.services import Services
from service.settings import ServiceSettings

logger = logging.getLogger(__name__)

#: Pause before a worker that stopped is started again, in seconds; doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0

#: How long a thread may keep the others waiting for the interpreter, in seconds. The event loop
#: is busy and the model's thread needs it for moments only: with the usual 5 ms the model
#: stands still for most of the time.
SWITCH = 0.0005

#: How long requests in flight may take when the service stops, in seconds.
GRACE = 10


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
    sys.setswitchinterval(SWITCH)
    Layout(settings)
    Database.opened(settings.database).close()  # a home that cannot be used is told of before
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
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
    shown = f"[{host}]" if ":" in host else host
    server.announce = lambda: on_listening(f"Evenscan listens on http://{shown}:{port}")
    # uvicorn stops at these signals and then raises them again, which would end this process
    # before the worker has been stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with listener, worker_kept_alive(settings) if with_worker else nullcontext():
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it has started, and to those who wait for news when it stops."""

    announce: Callable[[], object]
    parts: Callable[[], Services]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, at a signal."""
        if self.started:
            self.parts().readiness.stopping = True
        super().handle_exit(sig, frame)

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


@contextmanager
def worker_kept_alive(settings: ServiceSettings) -> Iterator[None]:
    """A worker process while the block runs; if it dies it is started again."""
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_alive, args=[settings, stop], daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep_alive(settings: ServiceSettings, stop: threading.Event) -> None:
    pause = FIRST_PAUSE
    while not stop.is_set():
        began = time.monotonic()
        # It stops when its input ends, so also when this process is killed.
        worker = subprocess.Popen(
            [sys.executable, "-m", "service", "worker", "--while-stdin-is-open"],
            stdin=subprocess.PIPE,
            env=os.environ | settings.environment(),
        )
        while worker.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            worker.communicate()
        else:
            logger.error("the worker stopped with %s; it is started again", worker.returncode)
            stop.wait(pause)
            lived = time.monotonic() - began
            pause = FIRST_PAUSE if lived > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
