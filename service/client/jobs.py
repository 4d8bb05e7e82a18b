"""Calls about jobs."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from service.client.address import quoted
from service.client.calls import Calls
from service.client.error import ServiceError
from service.client.types import Event, Job, Line

#: Seconds between two looks at a job whose stream has broken off.
AGAIN: Final = 1.0


class JobCalls(Calls):
    """Jobs: listed, followed, waited for, stopped, tried again."""

    def jobs(
        self, *, kind: str | None = None, state: str | None = None, who: str | None = None
    ) -> Iterator[Job]:
        """Jobs, the newest first."""
        return self._connection.pages("/v1/jobs", Job, kind=kind, state=state, who=who)

    def logs(self, job: str) -> Iterator[Line]:
        """What happened to a job, the oldest first."""
        return self._connection.pages(f"/v1/jobs/{quoted(job)}/logs", Line)

    def events(self, job: str, last: int = 0) -> Iterator[Event]:
        """What happens to a job, while it does, from the event after ``last`` to its end."""
        return self._connection.events(f"/v1/jobs/{quoted(job)}/events", last)

    def wait(
        self,
        job: str,
        on_event: Callable[[Event], None] | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Wait until a job has ended, however often the connection breaks.

        Args:
            job: Its id.
            on_event: Told what happens meanwhile, each event once.
            timeout: Seconds to wait; None: for ever.

        Raises:
            ServiceError: There is no such job, or the service stays away.
            TimeoutError: It has not ended in time; it goes on.
        """
        last, deadline = 0, None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                for event in self.events(job, last):
                    last = event.id if event.id is not None else last
                    if on_event is not None:
                        on_event(event)
                    _check_time(job, deadline)
            except ServiceError as error:
                # What keeps streams from passing leaves short answers through.
                if error.status is not None and error.status < 500 and error.status != 429:
                    raise
            if (now := self.job(job)).ended:
                return now
            _check_time(job, deadline)
            time.sleep(AGAIN)

    def cancel(self, job: str) -> Job:
        """Stop a job."""
        return self._begin(f"/v1/jobs/{quoted(job)}/cancel")

    def retry(self, job: str) -> Job:
        """Try a failed or cancelled job again, as a new one."""
        return self._begin(f"/v1/jobs/{quoted(job)}/retry")


def _check_time(job: str, deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise TimeoutError(f"job {job} has not ended in time; it goes on")
