"""Another try for what fails for a passing reason."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from service.client.error import ServiceError

Done = TypeVar("Done")

#: Answers that say that another try may do.
PASSING: Final = (429, 503)

#: Kind of the 409 that says that the first try is not over.
UNDER_WAY: Final = "urn:evenscan:problem:under-way"

#: Seconds to the second try, if the service does not say; doubled with each.
FIRST_WAIT: Final = 0.5


def patiently(once: Callable[[], Done], patience: float) -> Done:
    """Try until it works, it is refused for good, or patience ends.

    Args:
        once: One try.
        patience: Seconds within which another one may begin.

    Raises:
        ServiceError: What the last try raised.
    """
    deadline, wait = time.monotonic() + patience, FIRST_WAIT
    while True:
        try:
            return once()
        except ServiceError as error:
            passing = error.status in (None, *PASSING) or error.kind == UNDER_WAY
            pause = max(wait, error.after)
            if not passing or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        wait *= 2
