"""Tells a container engine whether a worker is at work: ``python -m service.jobs.probe``."""

import fcntl
import os
import sys
import time
from pathlib import Path
from urllib.parse import quote


def lock_of(home: Path, executor: str) -> Path:
    """File that a worker holds while it is at work, and touches whenever it says so.

    >>> lock_of(Path("home"), "worker-1").as_posix()
    'home/workers/worker-1.lock'
    """
    return home / "workers" / f"{quote(executor, safe='')}.lock"


def at_work(lock: Path, seconds: float = 30.0) -> bool:
    """Whether a living worker holds its lock.

    Args:
        lock: See :func:`lock_of`.
        seconds: After how long a silence it does not count as living.
    """
    if not lock.exists() or time.time() - lock.stat().st_mtime > seconds:
        return False
    with lock.open("r") as file:
        try:
            # Shared: two probes at once do not take each other for a worker.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    # Read without the settings class: a probe runs every half minute and should cost nothing.
    home = Path(os.environ.get("EVENSCAN_HOME") or ".evenscan")
    executor = os.environ.get("EVENSCAN_EXECUTOR") or "worker-1"
    seconds = float(os.environ.get("EVENSCAN_TAKEOVER_SECONDS") or 30)
    sys.exit(0 if at_work(lock_of(home, executor), seconds) else 1)
