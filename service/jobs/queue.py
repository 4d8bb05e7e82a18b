"""The API's side of the job store: it hands work over and never does any."""

import hashlib
import json
from typing import Any, Final
from uuid import uuid4

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request

from evaluation.errors import Fault, InputError
from service.jobs.checks import Checks
from service.jobs.jobs import add, kept
from service.protocol.context import current
from service.security.access import asking
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.tables import Job

#: Name of this application in the job store, at least three letters.
APPLICATION: Final = "evenscan"

#: Version of the workflows' steps. Raise it when their order changes: work that was begun under
#: another order cannot be taken up.
WORKFLOWS: Final = "evenscan-workflows-2"

#: What the store holds is plain JSON: it is read by two processes, and nobody should unpickle.
SERIALIZER: Final = DBOSPortableJSONSerializer()

#: Long work, one job at a time.
JOBS: Final = "jobs"

#: Messages to webhooks, which wait long for their next try and so for nothing else.
WEBHOOKS: Final = "webhooks"


def new_id(request: Request) -> str:
    """Id of what a request asks for, a job or the move of an alias: none can be guessed.

    It is drawn; but with an ``Idempotency-Key`` it follows from who asks, for what, and the
    key, so that the same request finds what it has done when the answer was lost.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return uuid4().hex
    parts = (asking(request).id, request.method, request.url.path, key)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def digest_of(kind: str, request: dict[str, Any]) -> str:
    """SHA-256 of what a job is asked to do."""
    text = json.dumps([kind, request], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
            # A request is told that the database is away; it does not hang until it is back.
            retry_connection_errors=False,
        )
        self._checks = Checks(self.client, settings)

    def check(self, kind: str, request: dict[str, Any]) -> None:
        """Let a worker check a request, see :meth:`service.jobs.checks.Checks.check`."""
        self._checks.check(kind, request)

    def submit(self, job: Job) -> None:
        """Record a job and its workflow, both or neither. The same job again is recorded once.

        Raises:
            InputError: There is another job of that id.
        """
        with self.database.write() as session:
            self._record(session, job)

    def retry(self, job: Job) -> None:
        """Record a job that tries its ``parent`` again.

        Raises:
            InputError: There is another job of that id.
            HTTPException: 409, the parent has not failed, or was tried again already.
        """
        with self.database.write() as session:
            parent = session.get_one(Job, job.parent)
            if parent.state not in ("failed", "cancelled"):
                detail = f"Job '{parent.id}' is {parent.state}: only what failed or was "
                raise HTTPException(409, f"{detail}cancelled can be tried again.")
            others = select(Job.id).where(Job.parent == parent.id, Job.id != job.id)
            if (other := session.scalar(others)) is not None:
                detail = f"Job '{parent.id}' was tried again as job '{other}'."
                raise HTTPException(409, detail)
            if not kept(parent, self.settings):
                detail = f"What job '{parent.id}' was given is not kept any more: ask anew."
                raise HTTPException(409, detail)
            self._record(session, job)

    def _record(self, session: Session, job: Job) -> None:
        job.digest = digest_of(job.kind, job.request)
        job.traceparent = current().traceparent
        if (known := session.get(Job, job.id)) is not None:
            if known.digest != job.digest:
                found = "the Idempotency-Key came with another request before"
                raise InputError(Fault("headers", found, "Draw a new key."))
            return
        options: EnqueueOptions = {
            "workflow_name": job.kind,
            "queue_name": JOBS,
            "workflow_id": job.id,
        }
        add(session, job)
        self.client.enqueue_in_transaction(session, options, job.id)

    def close(self) -> None:
        """Disconnect."""
        self.client.destroy()
