"""Keeps the other processes of a service alive."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

#: Variable that names the folder in which the processes of one service add up what they count;
#: without it there is only one. prometheus_client reads it when it is first imported.
SHARED = "PROMETHEUS_MULTIPROC_DIR"

#: Pause before a process that stopped is started again, in seconds; doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


@dataclass(frozen=True)
class Child:
    """A process that runs beside this one.

    Attributes:
        name: What it is, for the log.
        command: Arguments of ``python -m service``. It has to stop when its standard input
            ends, so that it outlives this process in no case.
        handed: Files that it gets, open, under the same numbers.
        on_end: Told its process id when it has ended, whatever the way.
    """

    name: str
    command: Sequence[str]
    handed: Sequence[int] = field(default=())
    on_end: Callable[[int], object] = lambda number: None


@contextmanager
def kept_alive(children: Sequence[Child], variables: Mapping[str, str]) -> Iterator[None]:
    """Processes while the block runs; one that dies is started again.

    Args:
        children: What is run.
        variables: Of their environment, beside those of this process.
    """
    stop = threading.Event()
    environment = os.environ | variables
    keepers = [
        threading.Thread(target=_keep_alive, args=[each, environment, stop], daemon=True)
        for each in children
    ]
    for keeper in keepers:
        keeper.start()
    try:
        yield
    finally:
        stop.set()
        for keeper in keepers:
            keeper.join()


def _keep_alive(child: Child, environment: Mapping[str, str], stop: threading.Event) -> None:
    pause = FIRST_PAUSE
    while not stop.is_set():
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *child.command],
            stdin=subprocess.PIPE,
            env=environment,
            pass_fds=child.handed,
        )
        while process.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            process.communicate()  # which ends its input
        else:
            logger.error(
                "%s stopped with %s; it is started again", child.name, process.returncode
            )
            stop.wait(pause)
            lived = time.monotonic() - began
            pause = FIRST_PAUSE if lived > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
        child.on_end(process.pid)
