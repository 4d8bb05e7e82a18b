"""What a picture is like at a glance: how bright, how strong in contrast, how fine."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.imaging import Pixels

#: Least deviation that is told from none, as a share of the full range: half a grey level.
LEAST: Final = 0.002


def picture_statistics(pixels: Pixels) -> NDArray[np.float32]:
    """Mean, contrast and fineness of each channel of each image.

    Contrast is the standard deviation, fineness the root mean square of the steps from pixel to
    pixel along the last axis; of both the logarithm, so that twice as much is as far as half.

    Args:
        pixels: ``[n, channel, *space]`` uint8.

    Returns:
        ``[n, 3 * channel]``: means in [0, 1], then contrasts, then finenesses.

    >>> flat = picture_statistics(np.full((1, 1, 2, 4), 51, np.uint8))
    >>> print(flat.round(2))
    [[ 0.2  -6.21 -6.21]]
    """
    values = pixels.astype(np.float32)
    flat = values.reshape(*values.shape[:2], -1)
    mean = flat.mean(axis=2)
    flat -= mean[:, :, None]
    steps = np.diff(values, axis=-1).reshape(*values.shape[:2], -1)
    moments = [np.einsum("ncp,ncp->nc", each, each) / each.shape[2] for each in (flat, steps)]
    rough = [np.log(np.sqrt(each) / 255 + LEAST) for each in moments]
    return np.concatenate([mean / 255, *rough], axis=1)
