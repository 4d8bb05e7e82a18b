"""Every family of networks leaves as ONNX, encoder and decoder, images and volumes."""

import pytest
import torch

from training.export import export_decoder, export_onnx
from training.imaging import InputContract
from training.method import make_method

slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("network", "contract"),
    [
        ("resnet18", {"size": 33}),
        ("resnet10", {"size": 16, "dimensions": 3}),
        pytest.param("efficientnet-b0", {"size": 28, "channels": 4}, marks=slow),
        pytest.param("efficientnet-b0", {"size": 33, "dimensions": 3}, marks=slow),
        pytest.param("densenet121", {"size": 28, "channels": 1}, marks=slow),
        pytest.param("densenet121", {"size": 33, "dimensions": 3}, marks=slow),
    ],
)
def test_files_compute_what_the_method_does(tmp_path, network, contract):
    contract = InputContract(**{"channels": 2} | contract)
    settings = {"network": network, "total_z_dim": 8}
    method = make_method("clear_vae", settings, contract, classes=2, seed=0)
    with torch.no_grad():  # so that the running statistics are not those of the start
        method.train().vae.trunk(torch.rand(4, *contract.shape))
    export_onnx(method, tmp_path / "model.onnx")  # compares with torch itself
    assert export_decoder(method, tmp_path / "decoder.onnx")
    assert {each.name for each in tmp_path.iterdir()} == {"model.onnx", "decoder.onnx"}
