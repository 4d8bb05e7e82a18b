"""Tells a container engine whether a worker is at work: ``python -m service.probe``."""

import fcntl
import os
import sys
from pathlib import Path


def at_work(lock: Path) -> bool:
    """Whether a living worker holds the lock of its home."""
    if not lock.exists():
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
    sys.exit(0 if at_work(home / "worker.lock") else 1)
