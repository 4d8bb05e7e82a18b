"""A model small enough to know by thought: one pixel is the content, another the style."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.imaging import InputContract, Pixels
from training.predictor import ModelContract, Predictor

CONTRACT = InputContract(size=8, channels=1)
CONTENT, STYLE = 0, 1


def write_model(path: Path, nodes, inputs, outputs, values) -> Path:
    """Write an ONNX graph; inputs and outputs are names with shapes."""
    made = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in some]
        for some in (inputs, outputs)
    ]
    held = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "made", *made, held)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def picks(pixels: int, which: Sequence[int]) -> NDArray[np.float32]:
    """``[pixels, which]``, a matrix that picks some pixels."""
    matrix = np.zeros((pixels, len(which)), np.float32)
    matrix[list(which), range(len(which))] = 1
    return matrix


def write_classifier(
    path: Path,
    reads: int = STYLE,
    contract: InputContract = CONTRACT,
    output: str = "score",
    scale: float = 1.0,
    batch: int | str = "batch",
) -> Path:
    """A classifier whose output is one pixel, ``[batch, 1]``, or two columns that sum to 1.

    Args:
        path: To write.
        reads: Which pixel.
        contract: Of the images.
        output: ``score`` or ``probability``.
        scale: Times which the pixel is given, so that it need not be a probability.
        batch: Images at a time.
    """
    size = int(np.prod(contract.shape))
    values = {
        "flat": np.array([-1, size]),
        "pick": scale * picks(size, [reads]),
        "one": np.ones(1, np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["pixels"]),
        helper.make_node(
            "MatMul", ["pixels", "pick"], ["positive" if output != "score" else output]
        ),
    ]
    if output != "score":
        nodes += [
            helper.make_node("Sub", ["one", "positive"], ["negative"]),
            helper.make_node("Concat", ["negative", "positive"], [output], axis=1),
        ]
    width = 1 if output == "score" else 2
    given = [("image", [batch, *contract.shape])]
    return write_model(path, nodes, given, [(output, [batch, width])], values)


def write_run(folder: Path, contract: InputContract = CONTRACT, blind: float = 1.0) -> Path:
    """``model.onnx``, ``decoder.onnx`` and ``contract.json`` of the model.

    The classifier reads the content pixel; the decoder draws both pixels and black elsewhere.

    Args:
        folder: To write to.
        contract: Of the images.
        blind: What the decoder draws of the content: 1 all, 0 nothing.
    """
    size = int(np.prod(contract.shape))
    values = {
        "flat": np.array([-1, size]),
        "content_pick": picks(size, [CONTENT]),
        "style_pick": picks(size, [STYLE]),
        "one": np.ones(1, np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "content_pick"], ["content"]),
        helper.make_node("MatMul", ["pixels", "style_pick"], ["style"]),
        helper.make_node("Sub", ["one", "content"], ["negative"]),
        helper.make_node("Concat", ["negative", "content"], ["probability"], axis=1),
    ]
    outputs = [("probability", ["n", 2]), ("content", ["n", 1]), ("style", ["n", 1])]
    write_model(
        folder / "model.onnx", nodes, [("image", ["n", *contract.shape])], outputs, values
    )
    drawn = picks(size, [CONTENT, STYLE]).T * np.array([[blind], [1]], np.float32)
    nodes = [
        helper.make_node("Concat", ["content", "style"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "draw"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "whole"], ["image"]),
    ]
    write_model(
        folder / "decoder.onnx",
        nodes,
        [("content", ["n", 1]), ("style", ["n", 1])],
        [("image", ["n", *contract.shape])],
        {"draw": np.ascontiguousarray(drawn), "whole": np.array([-1, *contract.shape])},
    )
    held = ModelContract(input=contract, classes=("absent", "present"), method="made")
    (folder / "contract.json").write_text(held.model_dump_json())
    return folder


def predictor(folder: Path, **how: float) -> Predictor:
    """The model, written and loaded."""
    return Predictor(write_run(folder, **how))


def images(content: Sequence[int], style: Sequence[int]) -> Pixels:
    """Images with these two pixels, ``[n, 1, 8, 8]``."""
    made = np.zeros((len(content), 64), np.uint8)
    made[:, CONTENT], made[:, STYLE] = content, style
    return made.reshape(-1, *CONTRACT.shape)
