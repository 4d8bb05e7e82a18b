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
