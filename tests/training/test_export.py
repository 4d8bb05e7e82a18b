"""ONNX files compute what the method does, or are not there."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tests.training.synthetic import small
from training import export
from training.export import ExportError, export_decoder, export_onnx


@pytest.mark.parametrize(("name", "style"), [("erm", False), ("clear_vae", True)])
def test_file_computes_what_the_method_does(tmp_path, caplog, name, style):
    method = small(name, classes=3).train()
    path = tmp_path / "model.onnx"
    export_onnx(method, path)
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]  # weights are inside
    assert "torchvision" not in caplog.text
    assert not method.training
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = ["probability", "content", "style"] if style else ["probability", "content"]
    assert [output.name for output in session.get_outputs()] == names
    for batch in (1, 4):
        image = np.random.default_rng(1).random((batch, 1, 28, 28), dtype=np.float32)
        actual = dict(zip(names, session.run(names, {"image": image}), strict=True))
        with torch.no_grad():
            expected = method.logits(torch.from_numpy(image)).softmax(dim=1)
            embedding = method.embed(torch.from_numpy(image))
        np.testing.assert_allclose(actual["probability"], expected, atol=1e-5)
        np.testing.assert_allclose(actual["content"], embedding.content, atol=1e-4)
        if style:
            np.testing.assert_allclose(actual["style"], embedding.style, atol=1e-4)


def test_a_decoder_draws_what_the_method_does(tmp_path):
    method, path = small("clear_vae"), tmp_path / "decoder.onnx"
    assert export_decoder(method, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 4):
        codes = np.random.default_rng(1).normal(size=(2, batch, method.dimension))
        content, style = codes.astype(np.float32)
        (actual,) = session.run(["image"], {"content": content, "style": style})
        with torch.no_grad():
            expected = method.decode(torch.from_numpy(content), torch.from_numpy(style))
        assert actual.shape == (batch, 1, 28, 28)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_method_without_a_decoder_leaves_no_file(tmp_path):
    assert not export_decoder(small("erm"), tmp_path / "decoder.onnx")
    assert list(tmp_path.iterdir()) == []


def test_file_holds_no_path_of_this_machine(tmp_path):
    export_onnx(small("erm"), tmp_path / "model.onnx")
    here = str(Path(export.__file__).parent.parent).encode()
    assert here not in (tmp_path / "model.onnx").read_bytes()


def test_no_file_is_written_if_the_outputs_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    path = tmp_path / "model.onnx"
    path.write_text("earlier")
    with pytest.raises(ExportError, match=r"differ by .* in 'probability' at batch 1"):
        export_onnx(small("erm"), path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
