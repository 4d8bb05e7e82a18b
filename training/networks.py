"""The convolutional networks of the CLEAR paper, chosen by the size of the image."""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from evaluation.errors import Fault, InputError
from training.imaging import InputContract

#: Length of the vector between the convolutions and everything else, at every size.
TRUNK_WIDTH = 2048

#: Width of the hidden layer of a classification head.
HEAD_WIDTH = 256


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


def network_sizes() -> list[int]:
    """Sides of the images, in pixels, that there is a network for.

    >>> network_sizes()
    [28, 64]
    """
    return sorted(_BY_SIZE)


def make_trunk(contract: InputContract) -> nn.Sequential:
    """The encoder without its heads.

    Args:
        contract: Size and channels of the images.

    Returns:
        Module from ``[batch, channel, size, size]`` to ``[batch, 2048]`` >= 0: convolutions of
        stride 2, each with BatchNorm and ReLU.

    Raises:
        InputError: There is no network for the size.
    """
    shape = _convolutions(contract)
    layers: list[nn.Module] = []
    for inward, outward in pairwise((contract.channels, *shape.channels)):
        layers += [
            nn.Conv2d(inward, outward, shape.kernel, stride=2, padding=1),
            nn.BatchNorm2d(outward),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Flatten())


def make_decoder(contract: InputContract, latent: int) -> nn.Sequential:
    """The mirror of the trunk.

    Args:
        contract: Size and channels of the images.
        latent: Dimension of the code, content and style together.

    Returns:
        Module from ``[batch, latent]`` to ``[batch, channel, size, size]`` in [0, 1].

    Raises:
        InputError: There is no network for the size.
    """
    shape = _convolutions(contract)
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
    return nn.Sequential(*layers)


class Head(nn.Module):
    """Classification head: Linear, BatchNorm, ReLU, Linear."""

    def __init__(self, width: int, classes: int) -> None:
        """Build the head.

        Args:
            width: Dimension of the input.
            classes: Number of classes.
        """
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(width, HEAD_WIDTH), nn.BatchNorm1d(HEAD_WIDTH), nn.ReLU()
        )
        self.output = nn.Linear(HEAD_WIDTH, classes)

    def forward(self, code: Tensor) -> Tensor:
        """Logits ``[batch, classes]`` of ``code [batch, width]``."""
        logits: Tensor = self.output(self.hidden(code))
        return logits


def check_size(contract: InputContract) -> None:
    """Nothing, if there is a network for the size of the images.

    Raises:
        InputError: There is none; the message names the sizes that exist.
    """
    if contract.size not in _BY_SIZE:
        listed = ", ".join(map(str, network_sizes()))
        raise InputError(
            Fault(
                "input contract",
                f"there is no network for images of {contract.size} pixels",
                f"Set size to one of: {listed}.",
                column="size",
            )
        )


def _convolutions(contract: InputContract) -> _Convolutions:
    check_size(contract)
    return _BY_SIZE[contract.size]
