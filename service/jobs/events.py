"""Following jobs as they go on: one query for all streams, and nothing held between two."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from fastapi.concurrency import run_in_threadpool

from service.jobs.jobs import ENDED, Jobs
from service.storage.tables import Job, JobEvent

logger = logging.getLogger(__name__)


class Follower:
    """Tells streams when the jobs that they follow have changed.

    A stream that waits holds neither a thread nor a connection: one task looks for all of them
    which rows have changed, and only while there is a stream.
    """

    def __init__(self, jobs: Jobs, seconds: float) -> None:
        """Look every so many seconds."""
        self.jobs, self.seconds = jobs, seconds
        self._followed: Counter[str] = Counter()
        self._marks: dict[str, datetime] = {}
        self._news = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None
        self._stopping = False

    async def stop(self) -> None:
        """End all streams; their readers go on where they were when they ask again."""
        self._stopping = True
        async with self._news:
            self._news.notify_all()

    async def follow(self, job: str, after: int) -> AsyncIterator[tuple[Job, list[JobEvent]]]:
        """What happens to a job until it has ended.

        Args:
            job: Id of a job that there is.
            after: Id of the last event that the reader knows; 0 for none.

        Yields:
            The job and the events since the last time, the oldest first; there may be none.
        """
        with self._following(job):
            mark = None
            while True:
                row, events = await run_in_threadpool(self._read, job, after)
                after = events[-1].id if events else after
                yield row, list(events)
                if row.state in ENDED:
                    return
                mark = await self._newer(job, mark)
                if self._stopping:
                    return

    def _read(self, job: str, after: int) -> tuple[Job, Sequence[JobEvent]]:
        # The row first: when it says that the job has ended, the last event is there too.
        row = self.jobs.get(job)
        if row is None:
            raise LookupError(f"there is no job {job}")
        return row, self.jobs.events(job, after)

    @contextmanager
    def _following(self, job: str) -> Iterator[None]:
        self._followed[job] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            yield
        finally:
            self._followed[job] -= 1
            if not self._followed[job]:
                del self._followed[job]
                self._marks.pop(job, None)

    async def _newer(self, job: str, mark: datetime | None) -> datetime | None:
        async with self._news:
            await self._news.wait_for(
                lambda: self._stopping or self._marks.get(job) not in (None, mark)
            )
            return self._marks.get(job)

    async def _look(self) -> None:
        while self._followed:
            try:
                marks = await run_in_threadpool(self.jobs.marks, list(self._followed))
            except Exception:  # the database may be back the next time
                logger.exception("the followed jobs could not be read")
            else:
                async with self._news:
                    self._marks = {job: marks[job] for job in self._followed if job in marks}
                    self._news.notify_all()
            await asyncio.sleep(self.seconds)
