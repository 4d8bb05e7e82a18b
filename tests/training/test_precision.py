"""Networks run as the recipe says while they are trained, and as before afterwards."""

import shutil

import pytest
import torch

from tests.training.runs import run
from tests.training.synthetic import small
from training.network import Network
from training.precision import half, running
from training.recipe import Recipe

CPU = torch.device("cpu")


def networks(method):
    return [module for module in method.modules() if isinstance(module, Network)]


@pytest.mark.parametrize(
    ("known", "expected"), [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, None)]
)
def test_auto_asks_the_hardware(monkeypatch, known, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert half("auto", CPU) == expected


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert half("auto", CPU) is None


def test_networks_are_as_before_afterwards():
    method = small("clear_vae")
    with running(method, Recipe(precision="bfloat16"), CPU):
        assert {network.precision for network in networks(method)} == {torch.bfloat16}
    assert {network.precision for network in networks(method)} == {None}


def test_weights_stay_float32_and_so_does_what_is_exported():
    method = small("clear_vae")
    run(method, recipe=Recipe(precision="bfloat16"))
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}
    assert {network.precision for network in networks(method)} == {None}


@pytest.mark.parametrize(
    ("kind", "side", "stride"),
    [
        (torch.nn.Conv2d, 1, 2),
        (torch.nn.Conv3d, 1, 2),
        (torch.nn.Conv3d, 2, 1),
        (torch.nn.ConvTranspose2d, 1, 2),
        (torch.nn.ConvTranspose3d, 1, 2),
    ],
)
def test_gradients_of_kernels_larger_than_the_image_are_right(kind, side, stride):
    torch.manual_seed(0)
    layer = kind(16, 8, 3, stride, 1, bias=False)
    network = Network(layer, 8)
    image = torch.randn(4, 16, *[side] * (layer.weight.ndim - 2))
    network(image).square().sum().backward()
    expected, layer.weight.grad = layer.weight.grad.clone(), None
    with running(network, Recipe(precision="bfloat16"), CPU):
        for _ in range(20):
            # Memory that was used before, as it is during a training.
            del [torch.full(layer.weight.shape, torch.nan) for _ in range(4)][:]
            layer.weight.grad = None
            network(image).square().sum().backward()
            torch.testing.assert_close(layer.weight.grad, expected, rtol=0.05, atol=0.05)
    assert "forward" not in vars(layer)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # its own
def test_compiled_networks_learn_the_same():
    losses = []
    for compiled in (False, True):
        method = small("erm")
        history = run(method, recipe=Recipe(precision="float32", compile=compiled))
        losses.append(history.table["total"].to_list())
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
