"""Classifiers whose predictions are looked at: a run's own, and any ONNX file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from training.imaging import InputContract, Pixels
from training.predictor import LARGEST_BATCH, Predictor

# How far rows of probabilities may be from a sum of 1.
_FROM_ONE = 1e-3

_INPUT = "It takes one float32 input [batch, channel, *space] in [0, 1], sized as the run's."
_OUTPUT = (
    "Its output is 'probability' or the only one: [batch] or [batch, 1] scores of the positive "
    "class, or [batch, class] probabilities, all in [0, 1]."
)


class Classifier(Protocol):
    """Anything that gives class probabilities of images."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def probability(self, images: Pixels) -> NDArray[np.float64]:
        """Probabilities ``[n, class]`` of ``[n, channel, *space]`` uint8, n >= 1."""


class OwnClassifier:
    """The classifier of a run, which encodes the images anew."""

    def __init__(self, predictor: Predictor) -> None:
        """Take the model of a run."""
        self.predictor, self.name = predictor, predictor.method

    def probability(self, images: Pixels) -> NDArray[np.float64]:
        """Probabilities ``[n, class]``."""
        return self.predictor.predict(images).probability.astype(float)


class OnnxClassifier:
    """A classifier in an ONNX file, of any origin.

    Its one input is ``[batch, channel, *space]`` float32 in [0, 1], of the size and channels of
    the run's images; whatever normalisation it needs is part of the file. Its output is called
    ``probability`` or is the only one: scores of the positive class ``[batch]`` or ``[batch,
    1]``, or probabilities ``[batch, class]`` whose rows sum to 1. Logits are refused.
    """

    def __init__(self, path: Path, contract: InputContract, classes: int) -> None:
        """Load the file and try it on one blank image.

        Args:
            path: The file; its stem is the classifier's name.
            contract: Of the images that it will be given.
            classes: How many classes it must tell.

        Raises:
            InputError: It cannot be loaded, takes other images, or gives no probabilities.
        """
        self.name, self._where, self._classes = path.stem, str(path), classes
        if not path.is_file():
            raise InputError(Fault(str(path), "no such file", "Check the path."))
        try:
            self._session = onnxruntime.InferenceSession(
                path, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001  the runtime has no common base of its errors
            found = f"it is no ONNX model that can be loaded: {error}"
            raise self._refused(found, "Export the classifier anew.") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        names = [output.name for output in outputs]
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            kinds = ", ".join(f"{each.name} {each.type}" for each in inputs)
            raise self._refused(f"its inputs are {kinds}", _INPUT)
        taken, given = inputs[0].shape, contract.shape
        if len(taken) != len(given) + 1 or any(
            isinstance(one, int) and one != other
            for one, other in zip(taken[1:], given, strict=True)
        ):
            found = f"it takes {_shape(taken)}, the images are {_shape(['batch', *given])}"
            raise self._refused(found, _INPUT)
        if len(names) > 1 and "probability" not in names:
            raise self._refused(f"its outputs are {', '.join(names)}", _OUTPUT)
        self._input = inputs[0].name
        self._output = "probability" if "probability" in names else names[0]
        # A file may be made for batches of one size only.
        fixed = taken[0] if isinstance(taken[0], int) and taken[0] > 0 else None
        self._fixed, self._batch = fixed is not None, fixed or LARGEST_BATCH
        self.probability(np.zeros((1, *given), np.uint8))

    def probability(self, images: Pixels) -> NDArray[np.float64]:
        """Probabilities ``[n, class]``.

        Raises:
            InputError: It fails on the images, or what it gives are no probabilities.
        """
        blocks = [
            self._block(images[start : start + self._batch])
            for start in range(0, len(images), self._batch)
        ]
        return np.concatenate(blocks)

    def _block(self, images: Pixels) -> NDArray[np.float64]:
        scaled = images.astype(np.float32) / np.float32(255)
        if self._fixed:
            missing = self._batch - len(images)
            scaled = np.concatenate([scaled, np.zeros((missing, *scaled.shape[1:]), "f4")])
        try:
            (found,) = self._session.run([self._output], {self._input: scaled})
        except Exception as error:  # noqa: BLE001  the runtime has no common base of its errors
            raise self._refused(f"it fails on images: {error}", _INPUT) from None
        if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
            raise self._refused("its output holds no floating-point numbers", _OUTPUT)
        return self._checked(found.astype(float), len(scaled))[: len(images)]

    def _checked(self, found: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
        columns = found.size // max(rows, 1)
        if found.shape not in ((rows,), (rows, columns)) or columns not in (1, self._classes):
            classes = f"the run has {self._classes} classes"
            raise self._refused(f"it gives {_shape(found.shape)}, {classes}", _OUTPUT)
        if columns == 1 and self._classes != 2:
            found_here = f"it gives one score, the run has {self._classes} classes"
            raise self._refused(found_here, _OUTPUT)
        # Not "any outside", which NaN would pass.
        if not ((found >= 0) & (found <= 1)).all():
            first = found[~((found >= 0) & (found <= 1))][0]
            raise self._refused(f"it gives {first:.3g}, which is no probability", _OUTPUT)
        if columns == 1:
            score = found.reshape(rows)
            return np.stack([1 - score, score], axis=1)
        if np.abs(found.sum(axis=1) - 1).max() > _FROM_ONE:
            total = found.sum(axis=1)[0]
            raise self._refused(f"its probabilities sum to {total:.3g}, not 1", _OUTPUT)
        return found

    def _refused(self, found: str, remedy: str) -> InputError:
        return InputError(Fault(self._where, found, remedy))


def _shape(sizes: Iterable[object]) -> str:
    return "[" + ", ".join(map(str, sizes)) + "]"
