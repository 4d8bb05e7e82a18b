"""The networks are those of the paper."""

import pytest
import torch
from torch import nn

from evaluation.errors import InputError
from training.imaging import InputContract
from training.networks import Head, make_decoder, make_trunk, network_sizes
from training.vae import VariationalAutoencoder


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("size", "channels", "total_z_dim", "count"), [(28, 1, 16, 290_339), (64, 3, 64, 5_977_545)]
)
def test_parameter_counts_of_the_paper(size, channels, total_z_dim, count):
    contract = InputContract(size=size, channels=channels)
    assert parameters(VariationalAutoencoder(contract, total_z_dim // 2)) == count


@pytest.mark.parametrize("size", network_sizes())
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_range(size, channels):
    contract = InputContract(size=size, channels=channels)
    image = torch.rand(2, channels, size, size)
    code = make_trunk(contract)(image)
    decoded = make_decoder(contract, 6)(torch.randn(2, 6))
    assert code.shape == (2, 2048)
    assert decoded.shape == image.shape
    assert decoded.min() >= 0
    assert decoded.max() <= 1


def test_the_decoder_normalises_after_its_linear_layer():
    decoder = make_decoder(InputContract(size=28, channels=1), 16)
    assert isinstance(decoder[1], nn.BatchNorm1d)
    assert decoder[1].num_features == 2048


def test_head_of_the_paper():
    head = Head(2048, 7)
    assert [type(m) for m in head.hidden] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert head(torch.rand(3, 2048)).shape == (3, 7)
    assert parameters(head) == 2048 * 256 + 256 + 2 * 256 + 256 * 7 + 7


@pytest.mark.parametrize("make", [make_trunk, lambda contract: make_decoder(contract, 6)])
def test_a_size_without_network_names_those_that_exist(make):
    with pytest.raises(InputError, match=r"images of 32 pixels.*28, 64"):
        make(InputContract(size=32, channels=1))
