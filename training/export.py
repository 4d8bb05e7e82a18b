"""Writes a method as ONNX and checks that the file computes the same."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evaluation.files import atomic_path
from training.method import Method

#: Largest difference of any output between ONNX Runtime and torch, as a share of the largest
#: value of the output where that is above 1: codes have no unit, and single precision rounds
#: large ones more.
TOLERANCE = 1e-4

#: Sizes of the batches that are compared: a single image must work, and so must others.
CHECKED_BATCHES = (1, 5)


class ExportError(Exception):
    """The ONNX file does not compute what the method does."""


class _Served(nn.Module):
    """What is served: probabilities and codes of images."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        probability = self.method.logits(image).softmax(dim=1)
        content, style = self.method.embed(image)
        return (probability, content) if style is None else (probability, content, style)


class _Decoder(nn.Module):
    """Images from codes."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, content: Tensor, style: Tensor) -> tuple[Tensor, ...]:
        image = self.method.decode(content, style)
        assert image is not None
        return (image,)


def export_onnx(method: Method, path: Path) -> None:
    """Write a method as one ONNX file, weights included.

    Input ``image`` is ``[batch, channel, *space]`` float32 in [0, 1], any batch >= 1. Outputs
    are ``probability [batch, class]``, ``content [batch, content]`` and, if the method has such
    a code, ``style [batch, style]``.

    Args:
        method: A trained method; it is left in eval mode.
        path: File to write. An earlier one is replaced at once, and stays as it is on an error.

    Raises:
        ExportError: An output differs from torch by more than 1e-4 on random images.
    """
    served = _Served(method).eval()
    example = _blank(method)
    with torch.no_grad():
        outputs = ["probability", "content", "style"][: len(served(example))]
    _export(served, path, {"image": example}, outputs, _random_images)


def export_decoder(method: Method, path: Path) -> bool:
    """Write a method's decoder as one ONNX file, if it has one.

    Inputs are ``content [batch, content]`` and ``style [batch, style]`` float32, any batch
    >= 1; the output is ``image [batch, channel, *space]`` in [0, 1].

    Args:
        method: A trained method; it is left in eval mode.
        path: File to write. An earlier one is replaced at once, and stays as it is on an error.

    Returns:
        Whether there is a decoder, and so a file.

    Raises:
        ExportError: The output differs from torch by more than 1e-4 on random codes.
    """
    decoder = _Decoder(method).eval()
    with torch.no_grad():
        content, style = method.embed(_blank(method))
        if style is None or method.decode(content, style) is None:
            return False
    _export(decoder, path, {"content": content, "style": style}, ["image"], _random_codes)
    return True


def _blank(method: Method) -> Tensor:
    # Two images: a batch of one would be taken for a constant.
    return torch.zeros(2, *method.contract.shape, device=next(method.parameters()).device)


#: Random numbers of a shape to compare with.
_Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float32]]


def _random_images(
    generator: np.random.Generator, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    return generator.random(shape, dtype=np.float32)


def _random_codes(
    generator: np.random.Generator, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    return generator.standard_normal(shape, dtype=np.float32)


def _export(
    module: nn.Module, path: Path, example: dict[str, Tensor], outputs: list[str], draw: _Draw
) -> None:
    """Write a module that maps some ``[2, ...]`` to a tuple, and compare it with the file."""
    batch = torch.export.Dim("batch")
    with atomic_path(path) as partial:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module,
                tuple(example.values()),
                dynamo=True,
                input_names=list(example),
                output_names=outputs,
                dynamic_shapes={name: {0: batch} for name in example},
                verbose=False,
            )
        assert program is not None
        # Each node remembers the source lines it came from, with the paths of this machine.
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()
        program.save(partial, external_data=False)
        _compare(module, partial, example, draw)


def _compare(module: nn.Module, path: Path, example: dict[str, Tensor], draw: _Draw) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    generator = np.random.default_rng(0)
    for batch in CHECKED_BATCHES:
        values = {
            name: draw(generator, (batch, *each.shape[1:])) for name, each in example.items()
        }
        with torch.no_grad():
            given = (
                torch.from_numpy(value).to(example[name].device)
                for name, value in values.items()
            )
            expected = module(*given)
        actual = session.run(names, values)
        for name, ours, theirs in zip(names, expected, actual, strict=True):
            exact = ours.cpu().numpy()
            scale = max(1.0, float(np.abs(exact).max()))
            difference = float(np.abs(exact - theirs).max()) / scale
            # Not "difference > TOLERANCE", which NaN would pass.
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"ONNX Runtime and torch differ by {difference:.1e} in '{name}' at batch "
                    f"{batch}, more than {TOLERANCE:.0e}. The file was not written."
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without messages of the exporter that no user can act on."""

    def relevant(record: logging.LogRecord) -> bool:
        return "torchvision is not installed" not in record.getMessage()

    loggers = [logging.getLogger(name) for name in _EXPORTER_LOGGERS]
    for logger in loggers:
        logger.addFilter(relevant)
    try:
        with warnings.catch_warnings():
            # The exporter calls a test of torch that torch itself has deprecated.
            warnings.filterwarnings("ignore", ".*treespec, LeafSpec", FutureWarning)
            # Two inputs are meant to have one size of the batch.
            warnings.filterwarnings("ignore", ".*shares the same shape", UserWarning)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(relevant)


_EXPORTER_LOGGERS = ("torch.onnx._internal.exporter._registration",)
