"""Encoders of MONAI, with random weights and without their classification layer.

MONAI is imported when one is made: that takes seconds, and the networks of the paper need none.
"""

from importlib import import_module
from typing import Any

from torch import nn

from training.imaging import InputContract
from training.network import Network

#: Up to this side the stem of a ResNet, by dimensions: the one that was made for 224 pixels
#: quarters the side and would leave little of small images. The small stem keeps the side of
#: images and halves that of volumes, of which a full-size layer costs a hundred times as much.
_SMALL = {2: 64, 3: 32}

#: DenseNets and EfficientNets halve the side five times, so smaller images get a black frame.
_LEAST = 32


def monai_encoder(name: str, contract: InputContract) -> Network:
    """An encoder of MONAI.

    Args:
        name: One of ``training.networks.NetworkName`` but ``auto`` and ``paper``.
        contract: Size, channels and dimensions of the images.

    Returns:
        Network from ``[batch, channel, *space]`` to ``[batch, width]``, features averaged over
        space.
    """
    if name.startswith("resnet"):
        return _resnet(name, contract)
    if name.startswith("densenet"):
        return _densenet(name, contract)
    return _efficientnet(name, contract)


def _nets() -> Any:
    return import_module("monai.networks.nets")


def _resnet(name: str, contract: InputContract) -> Network:
    nets = _nets()
    stem: dict[str, Any] = {"conv1_t_size": 7, "conv1_t_stride": 2}
    if contract.size <= _SMALL[contract.dimensions]:
        stride = contract.dimensions - 1
        stem = {"conv1_t_size": 3, "conv1_t_stride": stride, "no_max_pool": True}
    network = getattr(nets, name)(
        pretrained=False,
        spatial_dims=contract.dimensions,
        n_input_channels=contract.channels,
        num_classes=1,
        **stem,
    )
    width = network.fc.in_features
    network.fc = nn.Identity()
    return Network(network, width)


def _densenet(name: str, contract: InputContract) -> Network:
    nets = _nets()
    make = {"densenet121": nets.DenseNet121, "densenet169": nets.DenseNet169}[name]
    network = make(
        spatial_dims=contract.dimensions, in_channels=contract.channels, out_channels=1
    )
    width = network.class_layers.out.in_features
    network.class_layers.out = nn.Identity()
    return Network(_framed(network, contract), width)


def _efficientnet(name: str, contract: InputContract) -> Network:
    nets = _nets()
    network = nets.EfficientNetBN(
        name,
        pretrained=False,
        spatial_dims=contract.dimensions,
        in_channels=contract.channels,
        num_classes=1,
        # MONAI's momentum 0.01 is for ImageNet: in a small cohort's few hundred steps the
        # running statistics would not get away from where they start.
        norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
    )
    # The kind that MONAI means for export.
    network.set_swish(memory_efficient=False)
    width = network._fc.in_features
    network._fc = network._dropout = nn.Identity()
    return Network(_framed(network, contract), width)


def _framed(network: nn.Module, contract: InputContract) -> nn.Module:
    missing = _LEAST - contract.size
    if missing <= 0:
        return network
    frame = (missing // 2, missing - missing // 2) * contract.dimensions
    pad: Any = nn.ConstantPad2d if contract.dimensions == 2 else nn.ConstantPad3d
    return nn.Sequential(pad(frame, 0.0), network)
