"""Runs a trained model without torch: what is audited is what is served."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from training.imaging import InputContract, Pixels

#: Images in one call: past this the runtime gets slower per image and takes more memory.
LARGEST_BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """What a model says of some images.

    Attributes:
        probability: ``[n, class]`` float32, rows sum to 1.
        content: ``[n, c]`` float32, what the diagnosis is read from.
        style: ``[n, s]`` float32, everything else; None if the method has no such code.
    """

    probability: NDArray[np.float32]
    content: NDArray[np.float32]
    style: NDArray[np.float32] | None


class ModelContract(Settings):
    """What is stored beside a model as ``contract.json``, so that it can be served alone.

    Attributes:
        input: Size, channels and fit of the images.
        classes: Class names, in the order of the probabilities.
        method: Name of the method that trained it.
        modality: Modalities of DICOM files that it takes; none: all.
    """

    input: InputContract
    classes: tuple[str, ...]
    method: str
    modality: tuple[str, ...] = ()


class Predictor:
    """The model of a run directory.

    Attributes:
        contract: What it takes as input.
        classes: Class names, in the order of the probabilities.
        method: Name of the method that trained it.
        modality: Modalities of DICOM files that it takes; none: all.
        has_style: Whether it gives style embeddings.
        code_widths: Numbers in each code, by its name.
        has_decoder: Whether it can draw images from embeddings.
    """

    def __init__(self, directory: Path, threads: int | None = None) -> None:
        """Load ``model.onnx`` with its ``contract.json``.

        Args:
            directory: A run directory.
            threads: Threads of one call; None leaves the choice to the runtime. Serving takes
                one and scales by processes: with more, calls that meet on busy cores slow each
                other down a hundredfold.

        Raises:
            InputError: The directory holds no model, or a damaged one.
        """
        try:
            saved = json.loads((directory / "contract.json").read_text(encoding="utf-8"))
            options = onnxruntime.SessionOptions()
            if threads is not None:
                options.intra_op_num_threads = threads
            self._session = onnxruntime.InferenceSession(
                directory / "model.onnx", options, providers=["CPUExecutionProvider"]
            )
        except FileNotFoundError as error:
            name = Path(str(error.filename)).name
            raise InputError(
                Fault(
                    str(directory),
                    f"there is no {name}",
                    "Give the directory of a finished run.",
                )
            ) from None
        except Exception as error:  # noqa: BLE001  the runtime has no common base of its errors
            found = f"the model cannot be loaded: {error}"
            raise InputError(
                Fault(str(directory), found, "Train or register it anew.")
            ) from None
        known = ModelContract.parse(saved, str(directory / "contract.json"))
        self.contract, self.classes, self.method = known.input, known.classes, known.method
        self.modality = known.modality
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.has_style = "style" in self._outputs
        self.code_widths: dict[str, int] = {
            output.name: output.shape[1]
            for output in self._session.get_outputs()
            if output.name in ("content", "style")
        }
        self._decoder_path, self._options = directory / "decoder.onnx", options
        self.has_decoder = self._decoder_path.is_file()

    def predict(self, images: Pixels) -> Prediction:
        """Predict images.

        Args:
            images: ``[n, channel, size, size]`` uint8 as the reader gives them; n may be 0.

        Raises:
            ValueError: The shape is not that of the contract.
        """
        expected = self.contract.shape
        if images.shape[1:] != expected:
            raise ValueError(f"images must be [n, {expected}], got {images.shape}.")
        blocks = [
            self._block(images[start : start + LARGEST_BATCH])
            for start in range(0, max(len(images), 1), LARGEST_BATCH)
        ]
        joined = blocks[0]
        if len(blocks) > 1:
            joined = {
                name: np.concatenate([block[name] for block in blocks])
                for name in self._outputs
            }
        return Prediction(joined["probability"], joined["content"], joined.get("style"))

    @cached_property
    def _decoder(self) -> onnxruntime.InferenceSession:
        # Loaded when it is needed: serving never draws.
        try:
            return onnxruntime.InferenceSession(
                self._decoder_path, self._options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001  the runtime has no common base of its errors
            found = f"the decoder cannot be loaded: {error}"
            raise InputError(
                Fault(str(self._decoder_path), found, "Train a method that has a decoder.")
            ) from None

    def decode(self, content: NDArray[np.float32], style: NDArray[np.float32]) -> Pixels:
        """Draw images from codes.

        Args:
            content: ``[n, c]`` float32, as of :meth:`predict`; n may be 0.
            style: ``[n, s]`` float32, likewise; maybe of other images.

        Returns:
            ``[n, channel, *space]`` uint8, rounded as a file would hold the images, so that
            :meth:`predict` and every other classifier look at the same.

        Raises:
            InputError: The method has no decoder, or the file is damaged.
        """
        blocks = [np.zeros((0, *self.contract.shape), np.uint8)]
        for start in range(0, len(content), LARGEST_BATCH):
            here = slice(start, start + LARGEST_BATCH)
            codes = {"content": content[here], "style": style[here]}
            (image,) = self._decoder.run(["image"], codes)
            blocks.append(np.rint(255 * image.clip(0, 1)).astype(np.uint8))
        return np.concatenate(blocks)

    def _block(self, images: Pixels) -> dict[str, Any]:
        # An empty batch is not run: the runtime may refuse one. It is cut off a batch of one.
        count = len(images)
        if count == 0:
            images = np.zeros((1, *images.shape[1:]), np.uint8)
        scaled = images.astype(np.float32)
        scaled /= np.float32(255)
        values = self._session.run(self._outputs, {"image": scaled})
        return {name: value[:count] for name, value in zip(self._outputs, values, strict=True)}
