"""The convolutional networks of the CLEAR paper, for images of 28 and 64 pixels."""

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from training.imaging import InputContract
from training.network import Network

#: Length of the vector between the convolutions and everything else, at both sizes.
TRUNK_WIDTH = 2048


@dataclass(frozen=True)
class _Convolutions:
    """Stride-2 convolutions of one image size; the decoder mirrors the encoder.

    Attributes:
        channels: Output channels of each layer of the encoder.
        kernel: Side of the kernel, in pixels.
        side: Side of the smallest feature map, in pixels.
        output_padding: Of each layer of the decoder: a row and column more, where the encoder
            rounded down.
    """

    channels: tuple[int, ...]
    kernel: int
    side: int
    output_padding: tuple[int, ...]


_BY_SIZE = {
    28: _Convolutions((32, 64, 128), kernel=3, side=4, output_padding=(0, 1, 1)),
    64: _Convolutions((32, 64, 128, 256, 512), kernel=4, side=2, output_padding=(0,) * 5),
}

#: Sides of the images, in pixels, that the paper has a network for.
PAPER_SIZES = tuple(_BY_SIZE)


def paper_encoder(contract: InputContract) -> Network:
    """The encoder without its heads.

    Args:
        contract: Of images whose size is one of ``PAPER_SIZES``.

    Returns:
        Module from ``[batch, channel, size, size]`` to ``[batch, 2048]`` >= 0: convolutions of
        stride 2, each with BatchNorm and ReLU.
    """
    shape = _BY_SIZE[contract.size]
    layers: list[nn.Module] = []
    for inward, outward in pairwise((contract.channels, *shape.channels)):
        layers += [
            nn.Conv2d(inward, outward, shape.kernel, stride=2, padding=1),
            nn.BatchNorm2d(outward),
            nn.ReLU(),
        ]
    return Network(nn.Sequential(*layers, nn.Flatten()), TRUNK_WIDTH)


def paper_decoder(contract: InputContract, latent: int) -> Network:
    """The mirror of the trunk.

    Args:
        contract: Of images whose size is one of ``PAPER_SIZES``.
        latent: Dimension of the code, content and style together.

    Returns:
        Module from ``[batch, latent]`` to ``[batch, channel, size, size]`` in [0, 1].
    """
    shape = _BY_SIZE[contract.size]
    inward = shape.channels[-1]
    layers: list[nn.Module] = [
        nn.Linear(latent, TRUNK_WIDTH),
        nn.BatchNorm1d(TRUNK_WIDTH),
        nn.ReLU(),
        nn.Unflatten(1, (inward, shape.side, shape.side)),
    ]
    outward = (*reversed(shape.channels[:-1]), contract.channels)
    for (before, after), padding in zip(
        pairwise((inward, *outward)), shape.output_padding, strict=True
    ):
        layers += [
            nn.ConvTranspose2d(
                before, after, shape.kernel, stride=2, padding=1, output_padding=padding
            ),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    layers[-1] = nn.Sigmoid()  # pixels are in [0, 1]
    return Network(nn.Sequential(*layers), math.prod(contract.shape))
