"""Which networks there are, and which of them fits which images."""

from typing import Literal

from evaluation.errors import Fault, InputError
from training.decoder import convolutional_decoder
from training.imaging import InputContract
from training.monai_encoders import monai_encoder
from training.network import Network
from training.paper_networks import PAPER_SIZES, paper_decoder, paper_encoder

#: ``auto``: that of the paper where it has one, else ``resnet18``, or ``resnet10`` of volumes.
NetworkName = Literal[
    "auto",
    "paper",
    "resnet10",
    "resnet18",
    "resnet34",
    "resnet50",
    "densenet121",
    "densenet169",
    "efficientnet-b0",
    "efficientnet-b1",
    "efficientnet-b2",
    "efficientnet-b3",
]


def chosen_network(name: NetworkName, contract: InputContract) -> NetworkName:
    """The network that a name means for these images; never ``auto``.

    Args:
        name: What was asked for.
        contract: Size, channels and dimensions of the images.

    Raises:
        InputError: The network cannot read such images.

    Examples:
        >>> chosen_network("auto", InputContract(size=64)), chosen_network(
        ...     "auto", InputContract(size=224))
        ('paper', 'resnet18')
    """
    drawn = contract.dimensions == 2 and contract.size in PAPER_SIZES
    if name == "auto":
        residual: NetworkName = "resnet18" if contract.dimensions == 2 else "resnet10"
        name = "paper" if drawn else residual
    if name == "paper" and not drawn:
        sizes = " and ".join(map(str, PAPER_SIZES))
        kind = "images" if contract.dimensions == 2 else "volumes"
        found = f"the paper has no network for {kind} of {contract.size} pixels"
        remedy = f"It has them for images of {sizes} pixels; set network to 'resnet18'."
        raise InputError(Fault("input contract", found, remedy, column="size"))
    return name


def make_encoder(name: NetworkName, contract: InputContract) -> Network:
    """An encoder with random weights.

    Args:
        name: As of :func:`chosen_network`.
        contract: Size, channels and dimensions of the images.

    Returns:
        Network from ``[batch, channel, *space]`` to ``[batch, width]``.

    Raises:
        InputError: The network cannot read such images.
    """
    name = chosen_network(name, contract)
    return paper_encoder(contract) if name == "paper" else monai_encoder(name, contract)


def make_decoder(name: NetworkName, contract: InputContract, latent: int) -> Network:
    """The decoder that goes with an encoder.

    Args:
        name: Of the encoder.
        contract: Size, channels and dimensions of the images.
        latent: Dimension of the code, content and style together.

    Returns:
        Network from ``[batch, latent]`` to ``[batch, channel, *space]`` in [0, 1].

    Raises:
        InputError: The network cannot read such images.
    """
    if chosen_network(name, contract) == "paper":
        return paper_decoder(contract, latent)
    return convolutional_decoder(contract, latent)
