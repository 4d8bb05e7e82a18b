"""Listens for requests, in one process or several, with a worker beside them."""

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evaluation.errors import Fault, InputError
from service.children import SHARED, Child, kept_alive
from service.layout import Layout
from service.settings import ServiceSettings
from service.storage.database import Database

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
            from service.answering import answer  # who only watches over others needs no app

            with kept_alive(workers, settings.environment()):
                answer(settings, listener, announce)
        else:
            stop = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            with _answering(settings, listener, announce, workers):
                stop.wait()


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
            from prometheus_client.multiprocess import mark_process_dead

            mark_process_dead(process, folder)  # type: ignore[no-untyped-call]  # no types

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
