"""The networks are those of the paper, and any other fits the images it says it fits."""

import subprocess
import sys
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evaluation.errors import InputError
from training.decoder import convolutional_decoder, sides
from training.imaging import InputContract
from training.method import make_method
from training.network import Head, Network
from training.networks import NetworkName, chosen_network, make_decoder, make_encoder
from training.paper_networks import PAPER_SIZES
from training.vae import VariationalAutoencoder

MONAI_ENCODERS = [name for name in get_args(NetworkName) if name not in ("auto", "paper")]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("size", "channels", "total_z_dim", "count"), [(28, 1, 16, 290_339), (64, 3, 64, 5_977_545)]
)
def test_parameter_counts_of_the_paper(size, channels, total_z_dim, count):
    contract = InputContract(size=size, channels=channels)
    assert parameters(VariationalAutoencoder(contract, total_z_dim // 2)) == count


@pytest.mark.parametrize("size", PAPER_SIZES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_shapes_and_range_of_the_paper(size, channels):
    contract = InputContract(size=size, channels=channels)
    image = torch.rand(2, channels, size, size)
    encoder = make_encoder("auto", contract)
    decoded = make_decoder("auto", contract, 6)(torch.randn(2, 6))
    assert encoder(image).shape == (2, encoder.width) == (2, 2048)
    assert decoded.shape == image.shape
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_the_decoder_of_the_paper_normalises_after_its_linear_layer():
    decoder = make_decoder("paper", InputContract(size=28, channels=1), 16)
    assert isinstance(decoder.layers[1], nn.BatchNorm1d)
    assert decoder.layers[1].num_features == 2048


def test_head_of_the_paper():
    head = Head(2048, 7)
    assert [type(m) for m in head.hidden] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert head(torch.rand(3, 2048)).shape == (3, 7)
    assert parameters(head) == 2048 * 256 + 256 + 2 * 256 + 256 * 7 + 7


@pytest.mark.parametrize(
    ("size", "dimensions", "expected"),
    [(28, 2, "paper"), (64, 2, "paper"), (96, 2, "resnet18"), (64, 3, "resnet10")],
)
def test_auto_takes_the_network_of_the_paper_where_there_is_one(size, dimensions, expected):
    assert chosen_network("auto", InputContract(size=size, dimensions=dimensions)) == expected


@pytest.mark.parametrize("contract", [{"size": 32}, {"size": 64, "dimensions": 3}])
@pytest.mark.parametrize("make", [make_encoder, lambda *given: make_decoder(*given, 6)])
def test_the_paper_has_no_other_network(make, contract):
    with pytest.raises(InputError, match=r"paper has no network.*28 and 64.*'resnet18'"):
        make("paper", InputContract(**contract))


CASES = [
    ("resnet10", 28, 2, 4),
    ("resnet18", 96, 2, 3),
    ("resnet18", 224, 2, 1),
    ("resnet34", 8, 2, 1),
    ("resnet50", 33, 2, 2),
    ("densenet121", 32, 2, 1),
    ("densenet169", 64, 2, 3),
    ("efficientnet-b0", 28, 2, 4),
    ("efficientnet-b1", 8, 2, 1),
    ("densenet121", 28, 2, 1),
    ("efficientnet-b2", 33, 2, 1),
    ("efficientnet-b3", 64, 2, 2),
    ("resnet10", 28, 3, 1),
    ("densenet121", 32, 3, 2),
    ("efficientnet-b0", 28, 3, 4),
]


@pytest.mark.parametrize(("name", "size", "dimensions", "channels"), CASES)
def test_encoders_read_and_learn(name, size, dimensions, channels):
    contract = InputContract(size=size, channels=channels, dimensions=dimensions)
    encoder = make_encoder(name, contract)
    code = encoder(torch.rand(2, *contract.shape))
    assert code.shape == (2, encoder.width)
    code.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_every_network_is_tried():
    assert {name for name, *_ in CASES} == set(MONAI_ENCODERS)


@given(
    size=st.integers(8, 224),
    dimensions=st.sampled_from([2, 3]),
    channels=st.integers(1, 4),
)
@settings(max_examples=15, deadline=None)
def test_the_decoder_meets_every_size(size, dimensions, channels):
    if dimensions == 3:
        size = min(size, 40)
    contract = InputContract(size=size, channels=channels, dimensions=dimensions)
    decoded = convolutional_decoder(contract, 3).eval()(torch.randn(1, 3))
    assert decoded.shape == (1, *contract.shape)
    assert 0 <= decoded.min() <= decoded.max() <= 1


@given(st.integers(1, 2048))
def test_sides_double_and_end_at_the_image(size):
    grown = sides(size)
    assert grown[-1] == size
    assert grown[0] <= 4
    assert all(2 * small - larger in (0, 1) for small, larger in pairwise(grown))


def test_a_network_gives_float32_in_every_precision():
    network = Network(nn.Linear(4, 3), 3)
    value = torch.rand(2, 4)
    exact = network(value)
    network.precision = torch.bfloat16
    mixed = network(value)
    assert mixed.dtype == torch.float32
    assert not mixed.equal(exact)
    torch.testing.assert_close(mixed, exact, rtol=0.02, atol=0.02)


def test_features_are_those_of_monai():
    from monai.networks.nets import resnet18

    contract = InputContract(size=96, channels=3)
    torch.manual_seed(0)
    encoder = make_encoder("resnet18", contract).eval()
    torch.manual_seed(0)
    plain = resnet18(
        pretrained=False,
        spatial_dims=2,
        n_input_channels=3,
        num_classes=1,
        conv1_t_size=7,
        conv1_t_stride=2,
    ).eval()
    image = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(plain.fc(encoder(image)), plain(image))


@pytest.mark.parametrize(
    ("size", "dimensions", "side"),
    [(28, 2, 28), (64, 2, 64), (65, 2, 17), (28, 3, 14), (32, 3, 16), (33, 3, 9)],
)
def test_the_stem_of_a_resnet_leaves_enough_of_small_images(size, dimensions, side):
    contract = InputContract(size=size, channels=1, dimensions=dimensions)
    with torch.device("meta"):
        network = make_encoder("resnet10", contract)
        found = []
        network.layers.layer1.register_forward_pre_hook(lambda _, given: found.append(given))
        network(torch.rand(2, *contract.shape))
    assert found[0][0].shape == (2, 64, *[side] * dimensions)


@pytest.mark.parametrize("name", MONAI_ENCODERS)
def test_running_statistics_follow_within_tens_of_steps(name):
    with torch.device("meta"):
        encoder = make_encoder(name, InputContract(size=64, channels=1))
    kinds = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert kinds
    assert {each.momentum for each in kinds} == {0.1}


@pytest.mark.parametrize("name", ["resnet10", "densenet121", "efficientnet-b0"])
def test_the_seed_alone_says_the_weights(name):
    contract = InputContract(size=28, channels=1)
    made = [
        make_method("erm", {"network": name}, contract, classes=2, seed=seed).state_dict()
        for seed in (1, 1, 2)
    ]
    assert all(made[0][key].equal(made[1][key]) for key in made[0])
    assert not all(made[0][key].equal(made[2][key]) for key in made[0])


@pytest.mark.parametrize("name", ["paper", "resnet10", "densenet121", "efficientnet-b0"])
def test_every_weight_learns_from_a_batch(name):
    contract = InputContract(size=64, channels=1)
    torch.manual_seed(0)
    # In eval mode no branch of an EfficientNet is dropped by chance.
    encoder = make_encoder(name, contract).eval()
    decoder = make_decoder(name, contract, 6).eval()
    (encoder(torch.rand(2, 1, 64, 64)) ** 2).sum().backward()
    (decoder(torch.randn(2, 6)) ** 2).sum().backward()
    for network in (encoder, decoder):
        assert all(parameter.grad.any() for parameter in network.parameters())


def test_a_single_sample_cannot_be_normalised_in_training_and_can_be_read():
    contract = InputContract(size=28, channels=1)
    decoder = make_decoder("resnet18", contract, 6)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        decoder(torch.randn(1, 6))
    assert decoder.eval()(torch.randn(1, 6)).isfinite().all()


def test_an_unknown_network_names_the_nearest():
    contract = InputContract(size=28, channels=1)
    with pytest.raises(InputError, match=r"'resnet19'. Did you mean 'resnet1[08]'\? Available"):
        make_method("erm", {"network": "resnet19"}, contract, classes=2, seed=0)


def test_monai_is_imported_only_when_one_of_its_networks_is_made():
    code = (
        "import sys, training.networks, training.method\n"
        "assert not [name for name in sys.modules if name.startswith('monai')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
