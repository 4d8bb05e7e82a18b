"""The API's side of the job store: it hands work over and never does any."""

import time
from typing import Any, Final
from uuid import uuid4

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from service.database import Database
from service.jobs import add
from service.settings import ServiceSettings

#: Name of this application in the job store, at least three letters.
APPLICATION: Final = "evenscan"

#: Version of the workflows' steps. Raise it when their order changes: work that was begun under
#: another order cannot be taken up.
WORKFLOWS: Final = "evenscan-workflows-1"

#: What the store holds is plain JSON: it is read by two processes, and nobody should unpickle.
SERIALIZER: Final = DBOSPortableJSONSerializer()

#: Long work, one job at a time.
JOBS: Final = "jobs"

#: Questions that a request waits for, so they do not queue behind long work.
CHECKS: Final = "checks"


def new_id() -> str:
    """Id of a job: no two are the same and none can be guessed."""
    return uuid4().hex


class JobQueue:
    """Puts jobs into the store, where the worker finds them."""

    def __init__(self, settings: ServiceSettings, database: Database) -> None:
        """Connect to the store; its tables are made if they are not there."""
        DBOS.migrate(settings.database)
        self.settings, self.database = settings, database
        self.client = DBOSClient(
            system_database_url=settings.database,
            application_name=APPLICATION,
            serializer=SERIALIZER,
        )

    def check(self, kind: str, request: dict[str, Any]) -> None:
        """Let the worker check a request before it becomes a job.

        Methods and tables need libraries that the API does not load.

        Raises:
            InputError: It cannot be done; every fault is there.
            HTTPException: 503 if no worker answered in time.
        """
        options: EnqueueOptions = {
            "workflow_name": "check",
            "queue_name": CHECKS,
            "workflow_timeout": self.settings.check_seconds,
        }
        handle: Any = self.client.enqueue(options, kind, request)
        deadline = time.monotonic() + self.settings.check_seconds
        while (state := handle.get_status().status) != "SUCCESS":
            if state == "ERROR":
                raise RuntimeError(f"check {handle.workflow_id} stopped; see the worker's log")
            if state == "CANCELLED" or time.monotonic() > deadline:
                self.client.cancel_workflow(handle.workflow_id)
                raise HTTPException(
                    503,
                    f"No worker answered within {self.settings.check_seconds:g} s. Start one "
                    "with 'evenscan worker', or try again.",
                    {"Retry-After": "10"},
                )
            time.sleep(self.settings.poll_seconds / 2)
        faults = handle.get_result()
        self.client.delete_workflow(handle.workflow_id)
        if faults:
            raise InputError(*(Fault(**fault) for fault in faults))

    def submit(self, job: str, kind: str, request: dict[str, Any]) -> None:
        """Record a job and its workflow, both or neither."""
        options: EnqueueOptions = {
            "workflow_name": kind,
            "queue_name": JOBS,
            "workflow_id": job,
        }
        with self.database.write() as session:
            add(session, job, kind, request)
            session.flush()
            self.client.enqueue_in_transaction(session, options, job)

    def close(self) -> None:
        """Disconnect."""
        self.client.destroy()
