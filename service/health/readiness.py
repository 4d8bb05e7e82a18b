"""What has to be so for the service to answer, looked at when a probe asks."""

import logging
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final

from service.health.logs import said_of

logger = logging.getLogger(__name__)

#: How long an outcome is good for, in seconds: anybody may ask, and the checks cost something.
GOOD_FOR: Final = 1.0

#: How long somebody waits for the first look of all, if another has begun it, in seconds.
FIRST: Final = 1.0

#: How long a look may take before the service counts as one that does not answer, in seconds.
LONGEST: Final = 10.0

OK: Final = "ok"


class Readiness:
    """The checks of a service.

    Attributes:
        stopping: Whether the service is about to end, and should be asked nothing more.
    """

    def __init__(self, checks: Mapping[str, Callable[[], object]], first: str) -> None:
        """Use checks, which raise if something is amiss.

        Args:
            checks: By their names.
            first: Which of them has to succeed once before the service has started.
        """
        self.checks, self.first = dict(checks), first
        self.stopping = False
        self._found = dict.fromkeys(checks, "not checked yet")
        self._until = 0.0
        self._started = False
        self._lock = Lock()

    def found(self) -> dict[str, str]:
        """``ok``, or what is wrong, by check. Not older than :data:`GOOD_FOR`.

        While one looks, the others are told what was found before: each of them holds one of
        the threads that answer requests, and a look may have to wait for a database.
        """
        if self._lock.acquire(timeout=0 if self._until else FIRST):
            try:
                if time.monotonic() >= self._until:
                    self._look()
            finally:
                self._lock.release()
        found = dict(self._found)
        if 0 < self._until < time.monotonic() - LONGEST:
            found["looking"] = f"it takes longer than {LONGEST:g} s"
        return found | ({"running": "it is about to stop"} if self.stopping else {})

    def _look(self) -> None:
        found = {name: _outcome(check) for name, check in self.checks.items()}
        self._tell(found)
        self._found, self._until = found, time.monotonic() + GOOD_FOR
        self._started = self._started or found[self.first] == OK

    def started(self) -> dict[str, str]:
        """What the start waits for; once it is ``ok`` it stays so."""
        found = OK if self._started else self.found()[self.first]
        return {self.first: found}

    def _tell(self, found: dict[str, str]) -> None:
        for name, outcome in found.items():
            if outcome != self._found[name] and (outcome != OK or self._until):
                logger.log(
                    logging.INFO if outcome == OK else logging.ERROR, "%s: %s", name, outcome
                )


def _outcome(check: Callable[[], object]) -> str:
    try:
        check()
    except Busy as busy:
        return str(busy)
    except Exception as error:  # noqa: BLE001  whatever it is, the service is not ready
        # The text of an error may hold paths; its kind is enough for a probe.
        logger.debug("a check failed: %s", said_of(error))
        return f"failed with {type(error).__name__}"
    return OK


class Busy(Exception):
    """What is amiss, said so that anybody may read it."""
