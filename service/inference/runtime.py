"""Models in memory, to answer with."""

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from time import thread_time
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from evaluation.errors import InputError
from service.inference.batcher import Batcher, Rows
from service.inference.lookups import Lookups
from service.inference.meaning import meaning
from service.models.registry import ModelRegistry
from service.storage.tables import ModelVersion
from training.imaging import Pixels
from training.outliers import Outliers
from training.predictor import Predictor
from training.weak_groups import Frozen, read_audit

logger = logging.getLogger(__name__)

#: Seconds for one image up to which the event loop itself runs a model: about what it takes to
#: wake a thread and to get the interpreter back from it while requests come in. Of 64 images at
#: once each takes a fraction of that, so others are held up for some hundredths of a second.
SHORT: Final = 0.001

#: How long the work of loaded models may take when the service stops, in seconds.
GRACE: Final = 10.0

#: Versions that are loaded at one time. More would only take each other's cores and memory, and
#: with one alone a store that hangs would hold up all others.
LOADS: Final = 4


@dataclass(frozen=True)
class LoadedModel:
    """A model version that is ready to answer.

    Attributes:
        version: Its row.
        folder: Its run directory.
        predictor: Its network, which runs on one thread: several requests share the cores.
        audit: What its audit says that every answer has to.
        outliers: What images are compared with; None if the run has no such file.
        batcher: Its queue.
        quick: Whether the event loop may run it itself.
    """

    version: ModelVersion
    folder: Path
    predictor: Predictor
    audit: Frozen
    outliers: Outliers | None
    batcher: Batcher
    quick: bool

    @cached_property
    def groups(self) -> orjson.Fragment:
        """What its audit says of groups, as JSON: it is the same in every answer."""
        return orjson.Fragment(self.audit.weaknesses.model_dump_json())

    @cached_property
    def meaning(self) -> str:
        """How ``farther`` is to be read, or why it is not known."""
        return meaning(self.outliers)

    @property
    def threshold(self) -> float | None:
        """The second of two classes is decided from this probability on; frozen by the audit.

        None if there are not two classes.
        """
        return self.audit.threshold if len(self.predictor.classes) == 2 else None

    def decide(self, probability: Sequence[float]) -> str:
        """The class that is decided for one image, from its probabilities by class."""
        threshold = self.threshold
        if threshold is None or math.isnan(threshold):
            return self.predictor.classes[int(np.argmax(probability))]
        return self.predictor.classes[int(probability[1] >= threshold)]

    def decided(self, rows: Rows) -> list[str]:
        """The class that is decided for each image."""
        return [self.decide(each) for each in rows["probability"].tolist()]


def load_predictor(run: Path) -> Predictor:
    """The model of a run on one thread."""
    return Predictor(run, threads=1)


class Runtime:
    """The versions in memory; the one used least recently makes room.

    One that made room, or was deleted, finishes what it was given.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        size: int,
        load: Callable[[Path], Predictor] = load_predictor,
        most_waiting: int = 256,
        on_batch: Callable[[int], object] = lambda size: None,
    ) -> None:
        """Keep at most ``size`` versions of a registry loaded.

        Args:
            registry: Knows the versions.
            size: Most versions in memory.
            load: Makes a predictor of a run directory.
            most_waiting: Images that may wait for one model.
            on_batch: Told the size of each batch that a model runs.
        """
        self.registry, self.size, self._load = registry, size, load
        self._most_waiting, self._on_batch = most_waiting, on_batch
        self._loaded: OrderedDict[int, LoadedModel] = OrderedDict()
        self._loading: dict[int, Future[LoadedModel]] = {}
        # Threads of their own: a load may take minutes, and those of the event loop are few.
        self._loads = ThreadPoolExecutor(LOADS, "evenscan-load")
        self._lock = Lock()
        self._lookups = Lookups(registry)

    @property
    def waiting(self) -> int:
        """Images that wait for any model."""
        with self._lock:
            return sum(each.batcher.waiting for each in self._loaded.values())

    @property
    def loaded(self) -> list[int]:
        """Numbers of the versions in memory."""
        with self._lock:
            return list(self._loaded)

    def model(self, name: str) -> LoadedModel:
        """The model of an alias or version number, loaded if need be.

        Raises:
            InputError: There is none of this name.
        """
        found = self._of(self.registry.get(name))
        return found.result() if isinstance(found, Future) else found

    async def find(self, name: str) -> LoadedModel:
        """The same, for the event loop: those who wait for a version hold no thread.

        Raises:
            InputError: There is none of this name.
        """
        found = self._of(await self._lookups.get(name))
        if isinstance(found, Future):
            # Others may wait for it when this one goes.
            return await asyncio.shield(asyncio.wrap_future(found))
        return found

    def forget(self, version: int) -> None:
        """Let go of a version that was deleted. It finishes what it was given."""
        with self._lock:
            found = self._loaded.pop(version, None)
        if found is not None:
            found.batcher.retire()

    def close(self) -> None:
        """Finish what was taken on, within some seconds, and the loads that have begun."""
        self._loads.shutdown(cancel_futures=True)
        with self._lock:
            models = list(self._loaded.values())
            self._loaded.clear()
        self._lookups.close()
        for each in models:
            if not each.batcher.drain(GRACE):
                logger.error("version %s did not finish in time", each.version.id)

    def _of(self, version: ModelVersion) -> LoadedModel | Future[LoadedModel]:
        """The model of a version, or its load, which all who ask meanwhile share."""
        with self._lock:
            if (found := self._loaded.get(version.id)) is not None:
                self._loaded.move_to_end(version.id)
                return found
            if (load := self._loading.get(version.id)) is None:
                load = self._loads.submit(self._take_in, version)
                self._loading[version.id] = load
            return load

    def _take_in(self, version: ModelVersion) -> LoadedModel:
        """Load a version, and let others go for which there is no room any more."""
        try:
            found = self._read(version)
            with self._lock:
                self._loaded[version.id] = found
                while len(self._loaded) > self.size:
                    self._loaded.popitem(last=False)[1].batcher.retire()
            return found
        finally:
            with self._lock:
                del self._loading[version.id]

    def _read(self, version: ModelVersion) -> LoadedModel:
        folder = self.registry.directory(version)
        try:
            predictor = self._load(folder)
            outliers = Outliers.read(folder) if (folder / "outliers.npz").is_file() else None
            audit = read_audit(folder)
        except InputError as error:
            # The model was whole when it was registered: no fault of the request.
            raise RuntimeError(f"version {version.id} cannot be loaded: {error}") from error
        run = partial(_run, predictor, outliers)
        quick = _is_quick(run, np.zeros((1, *predictor.contract.shape), np.uint8))
        batcher = Batcher(run, self._most_waiting, self._on_batch)
        return LoadedModel(version, folder, predictor, audit, outliers, batcher, quick)


def _run(predictor: Predictor, outliers: Outliers | None, pixels: Pixels) -> Rows:
    """``probability``, ``content`` and, where the model has them, ``style`` and ``farther``."""
    found = predictor.predict(pixels)
    rows: dict[str, NDArray[Any]] = {"probability": found.probability, "content": found.content}
    if found.style is not None:
        rows["style"] = found.style
    if outliers is not None:
        rows["farther"] = outliers.share(found.content, pixels)
    return rows


def _is_quick(run: Callable[[Pixels], Rows], image: Pixels) -> bool:
    """Whether a model needs no more than :data:`SHORT` for an image, when it has its memory."""
    run(image)  # which allocates; it should not be a patient's
    for _ in range(3):
        began = thread_time()
        run(image)
        if (taken := thread_time() - began) <= SHORT:
            return True
        if taken > 10 * SHORT:  # no disturbance; and a large one may take seconds
            return False
    return False
