"""Models in memory, to answer with."""

import json
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from evaluation.errors import Fault, InputError
from service.registry import ModelRegistry
from service.tables import ModelVersion
from training.imaging import Pixels, decode
from training.predictor import Prediction, Predictor


@dataclass(frozen=True)
class LoadedModel:
    """A model version that is ready to answer.

    Attributes:
        version: Its row.
        predictor: Its network, which runs on one thread: several requests share the cores.
        threshold: The positive class is decided from this probability on, in [0, 1]; None if
            there are not two classes. Frozen by the audit that came with the run.
    """

    version: ModelVersion
    predictor: Predictor
    threshold: float | None

    def decide(self, probability: Sequence[float]) -> str:
        """The class that is decided for one image, from its probabilities by class."""
        if self.threshold is None:
            return self.predictor.classes[int(np.argmax(probability))]
        return self.predictor.classes[int(probability[1] >= self.threshold)]

    def predict(self, files: Sequence[tuple[str, bytes]]) -> Prediction:
        """Codes and probabilities of encoded images.

        Args:
            files: Name and content of each image.

        Raises:
            InputError: Some cannot be decoded; the message names them all.
        """
        pixels: list[Pixels] = []
        faults: list[Fault] = []
        for name, data in files:
            try:
                with _DECODING, warnings.catch_warnings():
                    # Pillow warns of damaged notes beside the pixels; what matters is raised.
                    warnings.simplefilter("ignore")
                    pixels.append(decode(data, self.predictor.contract, name))
            except InputError as error:
                faults.extend(error.faults)
        if faults:
            raise InputError(*faults)
        return self.predictor.predict(np.stack(pixels))


#: A large image takes a gigabyte while it is decoded, so only one is at a time. The lock costs
#: others nothing to speak of: decoding holds a core anyway.
_DECODING = Lock()


def load_predictor(run: Path) -> Predictor:
    """The model of a run on one thread."""
    return Predictor(run, threads=1)


class Runtime:
    """The versions in memory; the one used least recently makes room."""

    def __init__(
        self,
        registry: ModelRegistry,
        size: int,
        load: Callable[[Path], Predictor] = load_predictor,
    ) -> None:
        """Keep at most ``size`` versions of a registry loaded."""
        self.registry, self.size, self._load = registry, size, load
        self._loaded: OrderedDict[int, LoadedModel] = OrderedDict()
        self._lock = Lock()

    def model(self, name: str) -> LoadedModel:
        """The model of an alias or version number, loaded if need be.

        Raises:
            InputError: There is none of this name.
        """
        version = self.registry.get(name)
        # Held while loading too: a second request for the version waits instead of loading it.
        with self._lock:
            if version.id not in self._loaded:
                self._loaded[version.id] = self._read(version)
            self._loaded.move_to_end(version.id)
            while len(self._loaded) > self.size:
                self._loaded.popitem(last=False)
            return self._loaded[version.id]

    def _read(self, version: ModelVersion) -> LoadedModel:
        directory = self.registry.directory(version)
        try:
            predictor = self._load(directory)
        except InputError as error:
            # The model was whole when it was registered: no fault of the request.
            raise RuntimeError(f"version {version.id} cannot be loaded: {error}") from error
        threshold = frozen_threshold(directory) if len(predictor.classes) == 2 else None
        return LoadedModel(version, predictor, threshold)


def frozen_threshold(run: Path) -> float:
    """The threshold that the run's audit chose on validation rows.

    Read as plain JSON: the classes of an audit need pandas and scikit-learn.
    """
    audit = json.loads((run / "audit.json").read_text(encoding="utf-8"))
    return float(audit["thresholds"][0]["value"])
