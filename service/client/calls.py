"""What the calls of every subject stand on."""

from collections.abc import Mapping
from typing import Any

from service.client.address import own_path, quoted
from service.client.answers import content, read
from service.client.connection import Connection
from service.client.error import foreign
from service.client.form import Files
from service.client.types import Answer, Job


class Begun(Answer):
    """That a job was taken on."""

    job: str


class Calls:
    """A connection, and how a job is begun over it."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection."""
        self._connection = connection

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path, such as one of a job's links.

        Raises:
            InputError: It is no path of the service.
        """
        answer = self._connection.send("GET", own_path(path))
        found = content(answer)
        if not isinstance(found, dict):
            raise foreign(answer.status_code)
        return found

    def job(self, job: str) -> Job:
        """One job."""
        return self._connection.get(f"/v1/jobs/{quoted(job)}", Job)

    def _begin(
        self,
        path: str,
        json: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, Any] | None = None,
        files: Files | None = None,
    ) -> Job:
        """Ask for a job, and what it is at."""
        answer = self._connection.send("POST", path, json=json, form=form, files=files)
        return self.job(read(answer, Begun).job)
