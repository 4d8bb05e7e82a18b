"""Varies a batch of images at once, each by what its own key draws.

Every variation first draws its parameters, one set an image, and then applies a deterministic
function of images and parameters to the whole batch. The transforms of MONAI that do the same
take one image at a time, so only its batched resampling is used here; the tests compare with
the others.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augmentation import Augmentation, Rotation, Zoom
from training.loader import on_device

Keys = NDArray[np.uint64]
Draws = NDArray[np.float64]

#: Numbers in [0, 1) that one variation of one image may use.
_DRAWS = 10


@dataclass(frozen=True)
class _Variation:
    """One step of an augmentation.

    Attributes:
        stream: Tells its draws from those of the others, so that none changes when another is
            switched on.
        chosen: Which images it varies, ``[batch]`` bool, from their draws ``[batch, draw]``.
        apply: From the images that are, ``[m, channel, *space]``, their draws ``[m, draw]`` and
            keys ``[m]`` to varied images. It may overwrite them.
    """

    stream: int
    chosen: Callable[[Draws], NDArray[np.bool_]]
    apply: Callable[[Tensor, Tensor, Keys], Tensor]


class Augmenter:
    """Varies batches of images."""

    def __init__(self, settings: Augmentation, dimensions: int) -> None:
        """Set up the steps.

        Args:
            settings: What to do; it fits the dimensions.
            dimensions: 2 for images, 3 for volumes.
        """
        self._steps = list(_steps(settings, dimensions))

    def __call__(self, image: Tensor, keys: Keys) -> Tensor:
        """Vary images.

        Args:
            image: ``[batch, channel, *space]`` float32 in [0, 1], all sides equal; it may be
                overwritten.
            keys: What decides about each image, ``[batch]``, see :func:`image_keys`.

        Returns:
            The same shape, device and range. An image's result is a function of image, key and
            settings, and does not depend on the batch around it (up to rounding).
        """
        image = image.contiguous()
        for step in self._steps:
            draws = uniform(keys, step.stream, _DRAWS)
            chosen = np.flatnonzero(step.chosen(draws))
            if len(chosen) == 0:
                continue
            drawn = on_device(draws[chosen].astype(np.float32), image.device)
            if len(chosen) == len(image):
                image = step.apply(image, drawn, keys)
                continue
            rows = on_device(chosen, image.device)
            varied = step.apply(image.index_select(0, rows), drawn, keys[chosen])
            image.index_copy_(0, rows, varied)
        layout: Any = torch.channels_last if image.ndim == 4 else torch.contiguous_format
        return image.clamp_(0, 1).contiguous(memory_format=layout)


def image_keys(seed: int, rows: NDArray[np.int64], repeat: NDArray[np.int64]) -> Keys:
    """What decides how each image of an epoch is varied.

    Args:
        seed: Of the epoch.
        rows: Row of each image, ``[n]`` >= 0.
        repeat: How often the row has been drawn in the epoch before, ``[n]`` >= 0.

    Returns:
        ``[n]``, a function of these three numbers alone: order and batches do not matter.
    """
    of_row = _mixed(_mixed(np.array([seed], np.uint64)) + rows.astype(np.uint64))
    return _mixed(of_row + repeat.astype(np.uint64))


def uniform(keys: Keys, stream: int, count: int) -> Draws:
    """Numbers of each key, uniform in [0, 1).

    A counter is mixed, so that no state is kept and every key has numbers of its own.

    Args:
        keys: ``[n]``.
        stream: Number whose draws are independent of those of every other.
        count: Draws a key.

    Returns:
        ``[n, count]``.

    References:
        Steele, Lea and Flood (2014), *Fast splittable pseudorandom number generators*, OOPSLA,
        doi:10.1145/2660193.2660195.

    Examples:
        >>> uniform(np.array([3, 4], np.uint64), stream=0, count=2).round(3)
        array([[0.738, 0.593],
               [0.626, 0.607]])
    """
    state = _mixed(keys + np.uint64(stream))[:, np.newaxis]
    counted = state + np.arange(count, dtype=np.uint64) * _GOLDEN
    return (_mixed(counted) >> np.uint64(11)).astype(float) * 2.0**-53


#: 2**64 over the golden ratio: its multiples are far apart.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(bits: Keys) -> Keys:
    """Spreads every bit over all of them; the constants are those of SplitMix64."""
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _steps(settings: Augmentation, dimensions: int) -> Iterator[_Variation]:
    if flip := settings.flip:
        for axis in flip.axes:
            place = {"depth": -3, "height": -2, "width": -1}[axis]
            yield _Variation(-place, _chance(flip.probability), _flip(place))
    if settings.rotation or settings.zoom:
        yield _resampling(settings.rotation, settings.zoom, dimensions)
    if blur := settings.blur:
        yield _Variation(5, _chance(blur.probability), _blur(blur.sigma))
    if contrast := settings.contrast:
        apply = _contrast(contrast.lowest, contrast.highest)
        yield _Variation(6, _chance(contrast.probability), apply)
    if brightness := settings.brightness:
        yield _Variation(7, _chance(brightness.probability), _brightness(brightness.reach))
    if noise := settings.noise:
        yield _Variation(8, _chance(noise.probability), _noise(noise.deviation))
    if erasing := settings.erasing:
        apply = _erasing(erasing.lowest, erasing.highest)
        yield _Variation(9, _chance(erasing.probability), apply)


def _chance(probability: float) -> Callable[[Draws], NDArray[np.bool_]]:
    return lambda draws: draws[:, 0] < probability


def _flip(axis: int) -> Callable[[Tensor, Tensor, Keys], Tensor]:
    return lambda image, draws, keys: image.flip(axis)


def _resampling(rotation: Rotation | None, zoom: Zoom | None, dimensions: int) -> _Variation:
    """Rotation and zoom in one: to interpolate twice would blur twice."""
    # Here and not above: it takes seconds, and most augmentations do without.
    from monai.networks.layers.spatial_transforms import AffineTransform

    resample = AffineTransform(
        normalized=True, padding_mode="border", align_corners=False, reverse_indexing=False
    )
    turned = rotation.probability if rotation else 0.0
    zoomed = zoom.probability if zoom else 0.0
    reach = math.radians(rotation.degrees) if rotation else 0.0
    lowest, highest = (zoom.lowest, zoom.highest) if zoom else (1.0, 1.0)

    def chosen(draws: Draws) -> NDArray[np.bool_]:
        return (draws[:, 0] < turned) | (draws[:, 1] < zoomed)

    def apply(image: Tensor, draws: Tensor, keys: Keys) -> Tensor:
        angles = _between(draws[:, 2:5], -reach, reach) * (draws[:, :1] < turned)
        factor = _between(draws[:, 5], lowest, highest)
        factor = torch.where(draws[:, 1] < zoomed, factor, 1.0)
        # The farthest that the window can go without leaving the image, or the image the frame.
        room = (1 - 1 / factor).abs()[:, None]
        matrix = torch.eye(dimensions + 1, device=image.device).repeat(len(image), 1, 1)
        turn = _rotation(angles, dimensions) / factor[:, None, None]
        matrix[:, :dimensions, :dimensions] = turn
        matrix[:, :dimensions, -1] = _between(draws[:, 6 : 6 + dimensions], -1, 1) * room
        resampled: Tensor = resample(image, matrix)
        return resampled

    return _Variation(4, chosen, apply)


def _rotation(angles: Tensor, dimensions: int) -> Tensor:
    """Matrices ``[m, d, d]`` of angles ``[m, 3]``; in two dimensions only the first counts."""
    cosine, sine = angles.cos(), angles.sin()
    result = torch.eye(dimensions, device=angles.device).repeat(len(angles), 1, 1)
    planes = [(0, 1)] if dimensions == 2 else [(0, 1), (0, 2), (1, 2)]
    for k, (one, other) in enumerate(planes):
        turn = torch.eye(dimensions, device=angles.device).repeat(len(angles), 1, 1)
        turn[:, one, one] = turn[:, other, other] = cosine[:, k]
        turn[:, one, other], turn[:, other, one] = -sine[:, k], sine[:, k]
        result = result @ turn
    return result


def _blur(largest: float) -> Callable[[Tensor, Tensor, Keys], Tensor]:
    radius = math.ceil(3 * largest)

    def apply(image: Tensor, draws: Tensor, keys: Keys) -> Tensor:
        sigma = _between(draws[:, 1:2], 0, largest).clamp(min=1e-3)
        distance = torch.arange(-radius, radius + 1, device=image.device)
        weight = (-(distance**2) / (2 * sigma**2)).exp()
        weight = weight / weight.sum(dim=1, keepdim=True)
        for axis in range(2, image.ndim):
            # Shifted sums, and not a convolution, as each image has a kernel of its own.
            size = image.shape[axis]
            place = torch.arange(-radius, size + radius, device=image.device)
            wide = image.index_select(axis, place.clamp(0, size - 1))
            image = torch.zeros_like(image)
            for k in range(2 * radius + 1):
                image.addcmul_(wide.narrow(axis, k, size), _over(weight[:, k], image))
        return image

    return apply


def _contrast(lowest: float, highest: float) -> Callable[[Tensor, Tensor, Keys], Tensor]:
    def apply(image: Tensor, draws: Tensor, keys: Keys) -> Tensor:
        mean = image.flatten(1).mean(dim=1)
        factor = _between(draws[:, 1], lowest, highest)
        return image.mul_(_over(factor, image)).add_(_over(mean * (1 - factor), image))

    return apply


def _brightness(reach: float) -> Callable[[Tensor, Tensor, Keys], Tensor]:
    return lambda image, draws, keys: image.add_(
        _over(_between(draws[:, 1], -reach, reach), image)
    )


def _noise(deviation: float) -> Callable[[Tensor, Tensor, Keys], Tensor]:
    def apply(image: Tensor, draws: Tensor, keys: Keys) -> Tensor:
        noise = torch.empty_like(image, memory_format=torch.contiguous_format)
        generator = torch.Generator(image.device)
        for row, key in zip(noise, keys.tolist(), strict=True):
            row.normal_(generator=generator.manual_seed(key >> 1))
        return image.addcmul_(noise, _over(draws[:, 1] * deviation, image))

    return apply


def _erasing(lowest: float, highest: float) -> Callable[[Tensor, Tensor, Keys], Tensor]:
    def apply(image: Tensor, draws: Tensor, keys: Keys) -> Tensor:
        size, axes = image.shape[-1], image.ndim - 2
        side = (_between(draws[:, 1], lowest, highest) * size).round().clamp(min=1)
        inside = torch.ones((), dtype=torch.bool, device=image.device)
        for axis in range(axes):
            start = (draws[:, 2 + axis] * (size - side + 1)).floor()[:, None]
            place = torch.arange(size, device=image.device)
            along = (place >= start) & (place < start + side[:, None])
            shape = [len(image), 1] + [size if k == axis else 1 for k in range(axes)]
            inside = inside & along.view(shape)
        mean = image.mean(dim=tuple(range(2, image.ndim)), keepdim=True)
        return torch.where(inside, mean, image)

    return apply


def _between(draws: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * draws


def _over(values: Tensor, image: Tensor) -> Tensor:
    """Values ``[m]`` that broadcast over the images ``[m, channel, *space]``."""
    return values.view(-1, *[1] * (image.ndim - 1))
