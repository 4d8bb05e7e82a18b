"""A convolutional decoder for images and volumes of any size."""

import math
from itertools import pairwise

from torch import nn

from training.imaging import InputContract
from training.network import Network

#: The smallest feature map is at most this wide, in pixels.
_LARGEST_SEED = 4

#: Channels of the layer below the image; they double downwards ...
_FIRST_CHANNELS = 32

#: ... to so many at most, of volumes to half as many.
_MOST_CHANNELS = 256


def sides(size: int) -> list[int]:
    """Sides of the feature maps from the smallest to the image, in pixels.

    Each is twice the one before, or one less, so that every size is met exactly.

    >>> sides(28), sides(33)
    ([4, 7, 14, 28], [3, 5, 9, 17, 33])
    """
    found = [size]
    while found[0] > _LARGEST_SEED:
        found.insert(0, math.ceil(found[0] / 2))
    return found


def convolutional_decoder(contract: InputContract, latent: int) -> Network:
    """A decoder of transposed convolutions that double the side, each with BatchNorm and ReLU.

    Args:
        contract: Size, channels and dimensions of the images.
        latent: Dimension of the code.

    Returns:
        Network from ``[batch, latent]`` to ``[batch, channel, *space]`` in [0, 1].
    """
    volume = contract.dimensions == 3
    convolution = nn.ConvTranspose3d if volume else nn.ConvTranspose2d
    norm = nn.BatchNorm3d if volume else nn.BatchNorm2d
    grown = sides(contract.size)
    most = _MOST_CHANNELS // 2 if volume else _MOST_CHANNELS
    widths = [min(_FIRST_CHANNELS * 2**k, most) for k in reversed(range(len(grown) - 1))]
    seed = widths[0] * grown[0] ** contract.dimensions
    layers: list[nn.Module] = [
        nn.Linear(latent, seed),
        nn.BatchNorm1d(seed),
        nn.ReLU(),
        nn.Unflatten(1, (widths[0], *[grown[0]] * contract.dimensions)),
    ]
    for (before, after), (side, larger) in zip(
        pairwise([*widths, contract.channels]), pairwise(grown), strict=True
    ):
        extra = larger - (2 * side - 1)
        layers += [
            convolution(before, after, 3, stride=2, padding=1, output_padding=extra),
            norm(after),
            nn.ReLU(),
        ]
    layers[-1] = nn.Sigmoid()  # pixels are in [0, 1]
    return Network(nn.Sequential(*layers), math.prod(contract.shape))
