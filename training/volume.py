"""Resamples a volume to a cube."""

import numpy as np
from numpy.typing import NDArray

#: Voxels of all channels of the largest volume that is decoded. A computed tomography of the
#: chest has about 130 million.
LARGEST_VOLUME = 200_000_000


def cubed(
    volume: NDArray[np.uint8], size: int, fit: str, spacing: tuple[float, ...]
) -> NDArray[np.uint8]:
    """A volume as a cube, trilinear, with antialiasing where it shrinks.

    Each axis is convolved with a triangle, which is as wide as two voxels of the cube or of
    the volume, whichever is larger; it is the filter that Pillow calls bilinear.

    Args:
        volume: ``[channel, depth, height, width]``.
        size: Voxels along each edge of the cube.
        fit: ``crop`` keeps the centre, ``pad`` adds black slabs, ``stretch`` changes the
            proportions.
        spacing: Distance of voxels along depth, height and width, > 0, in any unit.

    Returns:
        ``[channel, size, size, size]``. It equals the volume if that has the size and equal
        spacing (with ``stretch``, any spacing).
    """
    extents = [n * step for n, step in zip(volume.shape[1:], spacing, strict=True)]
    side = min(extents) if fit == "crop" else max(extents)
    values: NDArray[np.generic] = volume
    # the longest axis comes first: what is left to do is least then
    order = sorted(range(3), key=lambda axis: -volume.shape[axis + 1])
    lengths = [
        max(1, round(size * extent / side)) if fit == "pad" else size for extent in extents
    ]
    for axis in order:
        n = volume.shape[axis + 1]
        kept = side / spacing[axis] if fit == "crop" else float(n)
        values = _resized(values, axis + 1, (n - kept) / 2, kept, lengths[axis])
    whole: NDArray[np.uint8] = np.rint(np.asarray(values)).clip(0, 255).astype(np.uint8)
    if fit != "pad":
        return whole
    cube = np.zeros((len(volume), size, size, size), np.uint8)
    inner = tuple(slice((size - n) // 2, (size - n) // 2 + n) for n in lengths)
    cube[(slice(None), *inner)] = whole
    return cube


def _resized(
    values: NDArray[np.generic], axis: int, start: float, length: float, n: int
) -> NDArray[np.generic]:
    """Weigh the part of an axis that begins at ``start`` to ``n`` values."""
    weights = triangle(values.shape[axis], start, length, n)
    used = np.flatnonzero(weights.any(axis=0))
    part = slice(used[0], used[-1] + 1)
    kept = values[(slice(None),) * axis + (part,)]
    if len(used) == n and np.array_equal(weights[:, part], np.eye(n, dtype=np.float32)):
        return kept
    summed = np.tensordot(weights[:, part], kept.astype(np.float32), (1, axis))
    return np.moveaxis(summed, 0, axis)


def triangle(source: int, start: float, length: float, n: int) -> NDArray[np.float32]:
    """How much each of ``source`` values counts for each of ``n`` resampled ones.

    Args:
        source: Number of values there are.
        start: Where the part to resample begins, in values, may lie between two.
        length: How long it is, in values, > 0.
        n: Number of values wanted.

    Returns:
        ``[n, source]`` >= 0; each row sums to 1.

    Examples:
        >>> triangle(3, 0, 3, 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        >>> triangle(2, 0, 2, 4)[:2].tolist()
        [[1.0, 0.0], [0.75, 0.25]]
    """
    scale = length / n
    centre = start + (np.arange(n)[:, np.newaxis] + 0.5) * scale - 0.5
    distance = np.abs(np.arange(source) - centre) / max(scale, 1.0)
    weights = (1 - distance).clip(min=0)
    shares: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)
