"""Gathers the images of several requests into one call of a model."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.imaging import Pixels
from training.predictor import LARGEST_BATCH

logger = logging.getLogger(__name__)

#: What a model says of some images: arrays by name, a row an image.
Rows = Mapping[str, NDArray[Any]]

#: After how many seconds without work the thread of a model ends; the next request starts one.
IDLE: Final = 30.0


class QueueFull(Exception):
    """More images wait for a model than may."""


@dataclass
class Place:
    """A place in the queue of a model, for the images of one request.

    Attributes:
        count: Number of images.
        answer: What the model says of them, once there is one; to cancel it leaves the queue.
        pixels: Of the images, once they are decoded.
        left: Whether it is in the queue no longer.
    """

    count: int
    answer: "Future[Rows]" = field(default_factory=Future)
    pixels: Pixels | None = None
    left: bool = False


class Batcher:
    """Runs a model on what came while it was busy.

    It never waits for more: with one client each request is a batch of its own, and with many
    the batches grow by themselves. Requests are served in the order in which their images were
    decoded, a request is never split unless it alone is larger than a batch, and one whose
    sender has gone is dropped. A batch that fails fails its own requests only.

    The model has a thread of its own, unless it needs so little time that the event loop had
    better run it: see :meth:`submit_here`.
    """

    def __init__(
        self,
        run: Callable[[Pixels], Rows],
        most: int,
        on_batch: Callable[[int], object] = lambda size: None,
    ) -> None:
        """Start with an empty queue; the thread starts with the first request.

        Args:
            run: The model: ``[n, channel, *space]`` uint8 to arrays of n rows each.
            most: Images that may wait. A single request may bring more if nothing waits.
            on_batch: Told the size of each batch.
        """
        self._run, self._most, self._on_batch = run, most, on_batch
        self._queue: deque[tuple[Place, Pixels]] = deque()
        self._here: deque[tuple[Place, Pixels]] = deque()
        self._changed = Condition()
        self._running = self._retired = False
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Images that wait, those that are being decoded included."""
        return self._waiting

    def reserve(self, count: int) -> Place:
        """A place for some images, before they are decoded.

        Raises:
            QueueFull: So many do not fit.
        """
        with self._changed:
            if self._waiting and self._waiting + count > self._most:
                raise QueueFull(f"{self._waiting} images wait for this model")
            self._waiting += count
        return Place(count)

    def submit(self, place: Place, pixels: Pixels) -> None:
        """Give the images of a place, ``[n, channel, *space]``."""
        place.pixels = pixels
        with self._changed:
            self._queue.append((place, pixels))
            if not self._running:
                self._running = True
                Thread(target=self._work, name="model", daemon=True).start()
            self._changed.notify()

    def submit_here(self, place: Place, pixels: Pixels) -> None:
        """The same, to be run by the event loop that this is called from.

        It runs when all that has come by now was looked at, so these requests share a batch.
        For a model that answers within a fraction of a millisecond: two threads that take turns
        with the interpreter would lose several times as much.
        """
        place.pixels = pixels
        self._here.append((place, pixels))
        if len(self._here) == 1:
            asyncio.get_running_loop().call_soon(self._work_here)

    def give_up(self, place: Place, error: BaseException) -> None:
        """Leave a place without images; its answer is the error. The first one counts."""
        with self._changed:
            if place.left:
                return
            place.left = True
            self._waiting -= place.count
        if place.answer.set_running_or_notify_cancel():
            place.answer.set_exception(error)

    def retire(self) -> None:
        """Let the thread end when it has done what waits; what comes later is done too."""
        with self._changed:
            self._retired = True
            self._changed.notify()

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is left to do; whether that came about in time."""
        self.retire()
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _work_here(self) -> None:
        with self._changed:
            batch = self._taken(self._here)
        if self._here:  # others have their turn in between
            asyncio.get_running_loop().call_soon(self._work_here)
        if batch:
            self._answer(batch)

    def _next(self) -> list[tuple[Place, Pixels]]:
        """What is to be done now; empty if the thread is to end."""
        with self._changed:
            while True:
                if batch := self._taken(self._queue):
                    return batch
                if self._retired or (not self._changed.wait(IDLE) and not self._queue):
                    self._running = False
                    self._changed.notify_all()
                    return []

    def _taken(self, queue: deque[tuple[Place, Pixels]]) -> list[tuple[Place, Pixels]]:
        """The next batch of a queue, without those that nobody waits for."""
        batch: list[tuple[Place, Pixels]] = []
        size = 0
        while queue and (not batch or size + queue[0][0].count <= LARGEST_BATCH):
            place, pixels = queue.popleft()
            place.left = True
            self._waiting -= place.count
            if place.answer.set_running_or_notify_cancel():
                batch.append((place, pixels))
                size += place.count
        return batch

    def _answer(self, batch: list[tuple[Place, Pixels]]) -> None:
        try:
            self._run_on(batch)
        except BaseException as error:  # noqa: BLE001  it is the requests' answer
            logger.error("a batch failed with %s", type(error).__name__)
            for place, _ in batch:
                place.answer.set_exception(error)

    def _run_on(self, batch: list[tuple[Place, Pixels]]) -> None:
        joined = batch[0][1] if len(batch) == 1 else np.concatenate([each for _, each in batch])
        self._on_batch(len(joined))
        found = self._run(joined)
        start = 0
        for place, _ in batch:
            rows = slice(start, start + place.count)
            start += place.count
            place.answer.set_result({name: each[rows] for name, each in found.items()})
