"""In which precision, and how, the networks of a method run while it is trained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import ge
from typing import Any

import torch
from torch import Tensor, nn

from training.network import Network
from training.recipe import Precision, Recipe

#: Instructions of a CPU that compute products of bfloat16.
_PRODUCTS = ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16")


def half(precision: Precision, device: torch.device) -> torch.dtype | None:
    """What the networks are computed in on a device; None is float32.

    >>> half("bfloat16", torch.device("cpu"))
    torch.bfloat16
    """
    if precision == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else None
    return torch.bfloat16 if precision == "bfloat16" else None


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Elsewhere it would be emulated, which is slower than float32. Releases of torch that
    # cannot tell get float32.
    tell = getattr(torch.cpu, "get_capabilities", dict)
    known: dict[str, Any] = tell() if device.type == "cpu" else {}
    return any(known.get(name, False) for name in _PRODUCTS)


@contextmanager
def running(method: nn.Module, recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Runs the networks of a method as the recipe says, and as before afterwards."""
    networks = [module for module in method.modules() if isinstance(module, Network)]
    precision = half(recipe.precision, device)
    guarded = _convolutions(networks) if precision and device.type == "cpu" else []
    for convolution in guarded:
        convolution.forward = partial(_convolved, convolution)
    for network in networks:
        network.precision = precision
        if recipe.compile:
            mode = "reduce-overhead" if device.type == "cuda" else None
            network.compiled = torch.compile(network.layers, mode=mode)
    try:
        yield
    finally:
        for network in networks:
            network.precision, network.compiled = None, None
        for convolution in guarded:
            del convolution.forward


def _convolutions(networks: list[Network]) -> list[nn.Module]:
    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    return [
        each for network in networks for each in network.modules() if isinstance(each, kinds)
    ]


def _convolved(convolution: Any, image: Tensor) -> Tensor:
    """What a convolution gives: in float32 where the kernel is larger than the image.

    There the gradient of the weights in bfloat16 holds memory that nothing was written to
    (torch 2.13 with oneDNN, any number of dimensions): numbers, or NaN, by chance.
    """
    forward = type(convolution).forward
    sides: Sequence[int] = image.shape[2:]
    if convolution.transposed:
        shape = (convolution.stride, convolution.padding, convolution.output_padding)
        sides = [
            (side - 1) * stride - 2 * padding + extent + extra
            for side, extent, stride, padding, extra in zip(
                sides, convolution.kernel_size, *shape, strict=True
            )
        ]
    if all(map(ge, sides, convolution.kernel_size)):
        given: Tensor = forward(convolution, image)
        return given
    with torch.autocast("cpu", enabled=False):
        exact: Tensor = forward(convolution, image.float())
    return exact
