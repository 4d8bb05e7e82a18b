"""Writes a method as ONNX and checks that the file computes the same."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from evaluation.files import atomic_path
from training.method import Method

#: Largest difference of any output between ONNX Runtime and torch.
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


def export_onnx(method: Method, path: Path) -> None:
    """Write a method as one ONNX file, weights included.

    Input ``image`` is ``[batch, channel, size, size]`` float32 in [0, 1], any batch >= 1.
    Outputs are ``probability [batch, class]``, ``content [batch, content]`` and, if the method
    has such a code, ``style [batch, style]``.

    Args:
        method: A trained method; it is left in eval mode.
        path: File to write. An earlier one is replaced at once, and stays as it is on an error.

    Raises:
        ExportError: An output differs from torch by more than 1e-4 on random images.
    """
    served = _Served(method).eval()
    contract = method.contract
    shape = (contract.channels, contract.size, contract.size)
    device = next(method.parameters()).device

    with atomic_path(path) as partial:
        # Two images: a batch of one would be taken for a constant.
        example = torch.zeros(2, *shape, device=device)
        with torch.no_grad():
            outputs = ["probability", "content", "style"][: len(served(example))]
            with _quiet():
                program = torch.onnx.export(
                    served,
                    (example,),
                    dynamo=True,
                    input_names=["image"],
                    output_names=outputs,
                    dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                    verbose=False,
                )
        assert program is not None
        # Each node remembers the source lines it came from, with the paths of this machine.
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()
        program.save(partial, external_data=False)
        _compare(served, partial, shape, device)


def _compare(
    served: _Served, path: Path, shape: tuple[int, int, int], device: torch.device
) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    generator = np.random.default_rng(0)
    for batch in CHECKED_BATCHES:
        image = generator.random((batch, *shape), dtype=np.float32)
        with torch.no_grad():
            expected = served(torch.from_numpy(image).to(device))
        actual = session.run(names, {"image": image})
        for name, ours, theirs in zip(names, expected, actual, strict=True):
            difference = float(np.abs(ours.cpu().numpy() - theirs).max())
            # Not "difference > TOLERANCE", which NaN would pass.
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"ONNX Runtime and torch differ by {difference:.1e} in '{name}' at batch "
                    f"{batch}, more than {TOLERANCE:.0e}. The file was not written."
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without two messages of the exporter that no user can act on."""

    def relevant(record: logging.LogRecord) -> bool:
        return "torchvision is not installed" not in record.getMessage()

    loggers = [logging.getLogger(name) for name in _EXPORTER_LOGGERS]
    for logger in loggers:
        logger.addFilter(relevant)
    try:
        with warnings.catch_warnings():
            # The exporter calls a test of torch that torch itself has deprecated.
            warnings.filterwarnings("ignore", ".*treespec, LeafSpec", FutureWarning)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(relevant)


_EXPORTER_LOGGERS = ("torch.onnx._internal.exporter._registration",)
