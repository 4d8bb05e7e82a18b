"""What a request waits for before it becomes a job: a worker's look at it."""

import logging
import time
from threading import BoundedSemaphore
from typing import Any, Final, TypedDict

from dbos import DBOSClient, EnqueueOptions
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from service.settings import ServiceSettings

logger = logging.getLogger(__name__)

#: The queue of these questions, so that they do not wait behind long work.
CHECKS: Final = "checks"

#: Requests that may wait for a worker at one time. Each holds one of the 40 threads that answer
#: requests; the other half is for those that need no worker, probes among them.
MOST_WAITING: Final = 20

#: Seconds after which a request that could not be checked may come again.
RETRY: Final = "10"


class Answer(TypedDict):
    """What a worker says of a request.

    Attributes:
        faults: Of the request; none if it can be done.
        away: What the worker could not reach, so that it knows nothing; empty if nothing was.
    """

    faults: list[dict[str, Any]]
    away: str


class Checks:
    """Asks workers. Methods and tables need libraries that the API does not load."""

    def __init__(self, client: DBOSClient, settings: ServiceSettings) -> None:
        """Ask over the job store."""
        self._client, self._settings = client, settings
        self._places = BoundedSemaphore(MOST_WAITING)

    def check(self, kind: str, request: dict[str, Any]) -> None:
        """Let a worker check a request before it becomes a job.

        Raises:
            InputError: It cannot be done; every fault is there.
            HTTPException: 503, no worker answered in time, or it could not reach what it needs,
                or too many requests wait for one.
            RuntimeError: The check broke off; the worker's log has the details.
        """
        if not self._places.acquire(blocking=False):
            raise _later(f"{MOST_WAITING} other requests wait for a worker. Try again later.")
        try:
            answer = self._answer(kind, request)
        finally:
            self._places.release()
        if answer["away"]:
            raise _later(f"The worker cannot reach {answer['away']}. Try again later.")
        if answer["faults"]:
            raise InputError(*(Fault(**fault) for fault in answer["faults"]))

    def _answer(self, kind: str, request: dict[str, Any]) -> Answer:
        options: EnqueueOptions = {
            "workflow_name": "check",
            "queue_name": CHECKS,
            "workflow_timeout": self._settings.check_seconds,
        }
        handle: Any = self._client.enqueue(options, kind, request)
        try:
            self._wait(handle)
            answer: Answer = handle.get_result()
            return answer
        finally:
            self._forget(handle.workflow_id)

    def _wait(self, handle: Any) -> None:
        deadline = time.monotonic() + self._settings.check_seconds
        while (state := handle.get_status().status) != "SUCCESS":
            if state == "ERROR":
                raise RuntimeError(f"check {handle.workflow_id} stopped; see the worker's log")
            if state == "CANCELLED" or time.monotonic() > deadline:
                raise _later(
                    f"No worker answered within {self._settings.check_seconds:g} s. Start one "
                    "with 'evenscan worker', or try again."
                )
            time.sleep(self._settings.poll_seconds / 2)

    def _forget(self, check: str) -> None:
        """Remove a check, also one that nobody has begun or ended; it may hold a request."""
        try:
            self._client.delete_workflow(check)
        except SQLAlchemyError:  # what was found out counts all the same
            logger.exception("check %s could not be removed", check)


def _later(detail: str) -> HTTPException:
    return HTTPException(503, detail, {"Retry-After": RETRY})
