"""Removing what nobody needs any more: on the disk of a worker, and in the store."""

import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from service.audit.files import Audits
from service.jobs.jobs import kept
from service.jobs.workflow import Workplace
from service.storage.store import UPLOADS, WORK, StoreUnavailable, job_of

logger = logging.getLogger(__name__)

#: What is being copied, sent or removed may be in use until it is so old, in seconds.
LEFT_ALONE: Final = 3600.0


class Sweeping:
    """What failed and cancelled jobs were given, once nobody may try them again, goes.

    So does what processes left that died: uploads without a job, copies half made, and what
    they were about to remove.
    """

    def __init__(self, place: Workplace) -> None:
        """Sweep a workplace."""
        self.place = place
        self._jobless: dict[str, float] = {}

    def sweep(self) -> None:
        """Remove what nobody needs any more."""
        layout = self.place.layout
        given = [*layout.uploads.glob("[!.]*"), *layout.jobs.glob("[!.]*")]
        strays = [folder for folder in given if self._is_over(folder)]
        strays += _hidden(layout.models, layout.audits, layout.cohorts, layout.uploads)
        for folder in strays:
            logger.info("removing %s, which nobody needs any more", folder)
            shutil.rmtree(folder, ignore_errors=True)
        try:
            self._sweep_store()
        except StoreUnavailable:
            logger.exception("the store is swept later")

    def _sweep_store(self) -> None:
        """Remove finished folders that nobody needs: of what was deleted or given up."""
        place = self.place
        self._sweep_jobs()
        Audits(place.database, place.store).sweep()
        place.cohorts.sweep()
        place.registry.sweep()

    def _sweep_jobs(self) -> None:
        """Remove what jobs were given and worked on, when they cannot be tried again."""
        place, jobless = self.place, {}
        for name in (*place.store.names(UPLOADS), *place.store.names(WORK)):
            last = place.jobs.last_of(job_of(name))
            if last is None:
                jobless[name] = self._jobless.get(name, time.monotonic())
            elif not kept(last, place.settings):
                place.store.remove(name)
        self._jobless = jobless
        for name, since in jobless.items():
            if time.monotonic() - since > self._young:
                place.store.remove(name)

    def _is_over(self, folder: Path) -> bool:
        """Whether no job needs what is in a folder of its name."""
        last = self.place.jobs.last_of(folder.name)
        if last is None:
            return _age(folder) > self._young
        return not kept(last, self.place.settings)

    @property
    def _young(self) -> float:
        """Until when an upload may belong to a request that is still checked, in seconds."""
        return 2 * self.place.settings.check_seconds


def _hidden(*parents: Path) -> Iterable[Path]:
    """What was being copied into a folder or removed from it when its process died."""
    found = [path for parent in parents for path in parent.glob(".*")]
    return [path for path in found if _age(path) > LEFT_ALONE]


def _age(path: Path) -> float:
    """Seconds since the last change; 0 if it is gone, for then somebody else saw to it."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
