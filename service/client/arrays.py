"""Images that go out and embeddings that come back as arrays of numpy."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import httpx2
import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from service.client.error import foreign

#: Media type of an array.
NPY: Final = "application/x-npy"


@dataclass(frozen=True)
class EmbeddingArray:
    """Embeddings as numbers.

    Attributes:
        version: Of the model that made them. Those of two versions cannot be compared.
        values: ``[n, code]`` float32, in the order of the images; content before style.
    """

    version: int
    values: NDArray[np.float32]


def npy(images: NDArray[Any]) -> bytes:
    """Images as a service reads them.

    Args:
        images: ``[n, channel, *space]``, or the channel last, or without one if the model
            takes one; uint8, or floats in [0, 1].

    Raises:
        InputError: It holds no numbers.
    """
    if images.dtype.kind not in "uif":
        found = f"its numbers are {images.dtype}"
        raise InputError(Fault("images", found, "Give uint8, or floats in [0, 1]."))
    if images.dtype.kind == "f":
        images = images.astype("<f4")
    file = BytesIO()
    np.save(file, np.ascontiguousarray(images), allow_pickle=False)
    return file.getvalue()


def read_embeddings(response: httpx2.Response) -> EmbeddingArray:
    """The array of an answer.

    Raises:
        ServiceError: It is something else.
    """
    try:
        version = int(response.headers["evenscan-model-version"])
        values = np.load(BytesIO(response.content), allow_pickle=False)
    except (ValueError, KeyError, EOFError):
        raise foreign(response.status_code) from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f":
        raise foreign(response.status_code)
    return EmbeddingArray(version, values.astype(np.float32, copy=False))
