"""What a workflow is: named steps, each done once whatever dies in between.

A kind of job derives a class from :class:`Workflow` in a file of its own and is named in
``service.jobs.kinds``::

    class Weighing(Workflow):
        def check(self) -> None:  # raise InputError for every fault of self.task.request
            ...

        def steps(self) -> Sequence[Step]:
            return [Step("read", self.read), Step("weigh", self.weigh, lasting=True)]

        def read(self, found: Found) -> Found:
            self.task.tell("reading", 0.5)  # progress; stops here if the job is cancelled
            return {"images": 3}  # plain JSON, the next steps find it in ``found``

        def weigh(self, found: Found) -> Found:
            return {"grams": 3 * found["images"], "reason": "They are light."}

What the steps return, all together, is the job's result, but ``reason``, which says why it
ended as it did. A step that a crash cuts off is done again from its start, so it has to come to
the same end when half of it has been done. It raises InputError for faults of the input; they
end the job and are told as they are, so they name no path of this machine and no patient.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evaluation.errors import Fault, InputError
from service.cohort.cohorts import Cohorts
from service.jobs.jobs import Jobs, Throttle
from service.layout import Layout
from service.models.registry import ModelRegistry
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import Store, open_store, upload_of, work_of

Found = dict[str, Any]

#: Parts of a job's work that are kept in the store until it ends.
PARTS: Final = ("split", "run")


class Cancelled(Exception):
    """The job is not wanted any more."""


class CutOff(BaseException):
    """The work cannot go on here: it is begun anew later or elsewhere, from its last step.

    It is no Exception, which the job store would take for the end of the work.
    """


@dataclass(frozen=True)
class Step:
    """One step of a workflow.

    Attributes:
        name: A word, such as ``train``.
        work: Does it, given what the steps before have found, and says what it found: plain
            JSON.
        only_if: Whether it is to be done, by what has been found.
        lasting: Whether it does what others see from then on. A job is not cancelled once such
            a step has begun: it would say that nothing happened.
    """

    name: str
    work: Callable[[Found], Found]
    only_if: Callable[[Found], bool] = lambda found: True
    lasting: bool = False


@dataclass(frozen=True)
class Workplace:
    """What the jobs of a worker work with.

    Attributes:
        settings: Of the service.
        database: States and pointers.
        layout: Folders of this machine.
        store: Finished folders.
        registry: Model versions.
        cohorts: Cohorts that the service holds.
        jobs: Rows of jobs.
    """

    settings: ServiceSettings
    database: Database
    layout: Layout
    store: Store
    registry: ModelRegistry
    cohorts: Cohorts
    jobs: Jobs

    @classmethod
    def of(cls, settings: ServiceSettings, database: Database) -> "Workplace":
        """The parts, made from a service's settings and database."""
        layout, store = Layout(settings), open_store(settings)
        registry = ModelRegistry(database, store, layout.models)
        cohorts = Cohorts(database, store, settings)
        return cls(settings, database, layout, store, registry, cohorts, Jobs(database))


@dataclass(frozen=True)
class Task:
    """A job, as its workflow sees it.

    Attributes:
        id: Of the job.
        request: What was asked for; it never changes.
        place: What it works with.
        origin: Id of the first job of the chain, if this one tries another again, else its
            own. What the job was given and what it works on is kept under this name, so that
            it goes on where the other one stopped.
        who: Who asked for it.
    """

    id: str
    request: dict[str, Any]
    place: Workplace
    origin: str = ""
    who: str = ""
    _progress: Throttle = field(init=False, repr=False, compare=False)
    _look: Throttle = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Begin to count the time between reports."""
        settings = self.place.settings
        object.__setattr__(self, "origin", self.origin or self.id)
        object.__setattr__(self, "_progress", Throttle(settings.progress_seconds))
        object.__setattr__(self, "_look", Throttle(settings.poll_seconds))

    @property
    def directory(self) -> Path:
        """Folder of this machine to work in. It goes when the job has succeeded.

        A later step may be done on another machine, where it is empty: what it needs of an
        earlier one is made again there, or is kept in the store, see :meth:`kept`.
        """
        return self.place.layout.jobs / self.origin

    @property
    def upload(self) -> Path:
        """Folder with what the request brought, fetched if need be. It is not to be changed.

        Raises:
            InputError: It brought nothing, or that is not kept any more.
        """
        try:
            return self.place.store.folder(upload_of(self.origin))
        except LookupError:
            found, remedy = "the upload is not kept any more", "Send the request again."
            raise InputError(Fault("the upload", found, remedy)) from None

    def keep(self, part: str, folder: Path) -> None:
        """Put a finished part of the work where every machine finds it; the folder goes.

        Args:
            part: One of :data:`PARTS`.
            folder: On the disk of the home.
        """
        self.place.store.keep(work_of(self.origin, part), folder)

    def kept(self, part: str) -> Path | None:
        """The folder of a part of the work, fetched if need be; None if there is none."""
        try:
            return self.place.store.folder(work_of(self.origin, part))
        except LookupError:
            return None

    def tell(self, doing: str, share: float) -> None:
        """Say what the step is at; may be called often.

        Args:
            doing: Such as ``train: epoch 3 of 8``.
            share: How much of that is done, in [0, 1].

        Raises:
            Cancelled: The job is not wanted any more. Let it pass.
        """
        if self._look.due() and self.place.jobs.is_cancelling(self.id):
            raise Cancelled
        if self._progress.due():
            self.place.jobs.progress(self.id, doing, share)

    def log(self, text: str) -> None:
        """Say something that people who follow the job should read: no path, no patient."""
        self.place.jobs.log(self.id, text)


class Workflow(ABC):
    """One kind of job; see the text of this file."""

    def __init__(self, task: Task) -> None:
        """Work on one job."""
        self.task = task

    @abstractmethod
    def check(self) -> None:
        """Refuse a request that cannot be done, before it becomes a job.

        The job has no row and no name then, only a request.

        Raises:
            InputError: Every fault of it.
        """

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """What is to be done, in order."""
