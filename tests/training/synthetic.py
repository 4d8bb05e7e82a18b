"""A problem that a network learns in a few steps: bright upper or lower half of the image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.imaging import InputContract
from training.method import METHODS, Method, make_method

CONTRACT = InputContract(size=28, channels=1)
SMALL_VAE = {"representation_epochs": 3, "classifier_epochs": 3, "batch_size": 16}
SMALL = {name: {"epochs": 3, "batch_size": 16} for name in ("erm", "lam")}

#: Every method, and CLEAR-VAE with every penalty that differs in code.
VARIANTS = [(name, {}) for name in METHODS.names()] + [
    ("clear_vae", {"style_penalty": penalty})
    for penalty in ("negated", "club", "l1out", "tc", "none")
]


def variant_id(variant: tuple[str, dict[str, Any]]) -> str:
    return "-".join([variant[0], *map(str, variant[1].values())])


def images(n: int = 50, classes: int = 2) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels ``[n, 1, 28, 28]`` and labels ``[n]``, where the label is the bright band."""
    generator = np.random.default_rng(0)
    label = np.arange(n) % classes
    pixels = generator.integers(0, 100, (n, 1, 28, 28))
    band = 28 // classes
    for row, k in enumerate(label):
        pixels[row, :, k * band : (k + 1) * band] += 120
    return pixels.astype(np.uint8), label


def small(name: str, *, classes: int = 2, seed: int = 0, **settings: Any) -> Method:
    """An untrained method with few epochs."""
    values = SMALL.get(name, SMALL_VAE) | settings
    return make_method(name, values, CONTRACT, classes=classes, seed=seed)
