"""Classifiers of any origin: what is understood, and what is refused in words."""

import numpy as np
import pytest
from onnx import helper

from evaluation.errors import InputError
from tests.training.made_model import CONTRACT, images, write_classifier, write_model
from training.classifier import OnnxClassifier
from training.imaging import InputContract

PIXELS = images([10] * 70, np.arange(70).tolist())
EXPECTED = np.arange(70) / 255


@pytest.mark.parametrize("output", ["score", "probability"])
@pytest.mark.parametrize("batch", ["batch", 1, 32])
def test_one_score_or_two_probabilities_in_batches_of_any_size(tmp_path, output, batch):
    path = write_classifier(tmp_path / "other.onnx", output=output, batch=batch)
    found = OnnxClassifier(path, CONTRACT, 2)
    assert found.name == "other"
    actual = found.probability(PIXELS)
    np.testing.assert_allclose(actual[:, 1], EXPECTED, atol=1e-6)
    np.testing.assert_allclose(actual.sum(axis=1), 1, atol=1e-6)


def refused(path, contract=CONTRACT, classes=2, pixels=PIXELS):
    with pytest.raises(InputError) as caught:
        OnnxClassifier(path, contract, classes).probability(pixels)
    return str(caught.value)


def test_logits_are_refused(tmp_path):
    path = write_classifier(tmp_path / "a.onnx", scale=9.0)
    assert "which is no probability" in refused(path, pixels=images([0], [255]))


def test_rows_that_do_not_sum_to_one_are_refused(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "column"], ["wide"]),
        helper.make_node("Concat", ["wide", "wide"], ["out"], axis=1),
    ]
    given = [("image", ["n", *CONTRACT.shape])]
    values = {"column": np.array([-1, 1])}
    path = write_model(tmp_path / "a.onnx", nodes, given, [("out", ["n", 2])], values)
    assert "sum to 0, not 1" in refused(path)


def test_other_sizes_classes_and_files_are_refused(tmp_path):
    path = write_classifier(tmp_path / "a.onnx")
    larger = InputContract(size=16, channels=1)
    message = refused(path, larger)
    assert "it takes [batch, 1, 8, 8], the images are [batch, 1, 16, 16]" in message
    assert "gives one score, the run has 3 classes" in refused(path, classes=3)
    two = write_classifier(tmp_path / "b.onnx", output="probability")
    assert "it gives [1, 2], the run has 3 classes" in refused(two, classes=3)
    assert "no such file" in refused(tmp_path / "none.onnx")
    (tmp_path / "c.onnx").write_text("nothing")
    assert "no ONNX model" in refused(tmp_path / "c.onnx")


def test_two_outputs_without_the_known_name_are_refused(tmp_path):
    nodes = [helper.make_node("Identity", ["image"], [name]) for name in ("a", "b")]
    shape = ["n", *CONTRACT.shape]
    path = write_model(
        tmp_path / "a.onnx", nodes, [("image", shape)], [("a", shape), ("b", shape)], {}
    )
    assert "its outputs are a, b" in refused(path)
