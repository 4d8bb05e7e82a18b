"""Tensors of the Open Inference Protocol as images: numbers, or files."""

import struct
from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError, unknown_name
from service.inference.array_body import as_pixels
from service.inference.inputs import Given
from service.inference.json_body import from_base64
from service.inference.tensor_models import RequestInput
from training.imaging import InputContract, Pixels

#: Types of numbers that an image may be of, and how they are read.
NUMBERS: Final[dict[str, np.dtype[Any]]] = {
    "UINT8": np.dtype(np.uint8),
    "FP32": np.dtype("<f4"),
}

#: What files are of.
FILES: Final = "BYTES"


def read_tensor(
    tensor: RequestInput, raw: bytes | None, contract: InputContract, most: int
) -> Given:
    """The images of a tensor.

    Args:
        tensor: As the JSON of a request describes it.
        raw: Its bytes; None: its data are in the JSON.
        contract: What the model takes.
        most: Most images.

    Raises:
        InputError: It is no such tensor.
    """
    if tensor.name != "image":
        raise unknown_name("input", tensor.name, ["image"], "body")
    if (count := tensor.shape[0]) > most:
        found = f"there are {count} images in one request"
        raise InputError(Fault("body", found, f"Send at most {most}.", column="inputs"))
    if tensor.datatype == FILES:
        return Given({"images": _files(tensor, raw)})
    return Given({}, _pixels(tensor, raw, contract))


def _files(tensor: RequestInput, raw: bytes | None) -> list[tuple[str, bytes]]:
    contents = tensor.data or [] if raw is None else list(_elements(raw, tensor.shape[0]))
    if tensor.shape != [len(contents)] or not contents:
        found = f"its shape is {tensor.shape} and it holds {len(contents)} images"
        raise _odd(found, "Send one or more, and say how many.")
    if raw is not None:
        return [(f"image {row}", each) for row, each in enumerate(contents, start=1)]
    files, faults = [], []
    for row, each in enumerate(contents, start=1):
        try:
            files.append((f"image {row}", from_base64(each)))
        except (TypeError, ValueError):
            faults.append(Fault("body", "it is not base64", "Encode the file.", row, "image"))
    if faults:
        raise InputError(*faults)
    return files


def _elements(raw: bytes, most: int) -> Iterator[bytes]:
    """Elements of a tensor of bytes, each after its length, and at most one too many."""
    at = 0
    for _ in range(most + 1):
        if at == len(raw):
            return
        try:
            (length,) = struct.unpack_from("<I", raw, at)
        except struct.error:
            length = len(raw)
        begin = at + 4
        if (at := begin + length) > len(raw):
            raise _odd(
                "its bytes end within an image", "Put its length before each, in 4 bytes."
            )
        yield raw[begin:at]


def _pixels(tensor: RequestInput, raw: bytes | None, contract: InputContract) -> Pixels:
    shape = tuple(tensor.shape)
    if shape[1:] != contract.shape or shape[0] < 1:
        remedy = f"The model takes {['batch', *contract.shape]}."
        raise _odd(f"its shape is {list(shape)}", remedy)
    dtype, count = NUMBERS[tensor.datatype], prod(shape)
    if raw is None:
        values = _numbers(tensor, count)
    elif len(raw) == count * dtype.itemsize:
        values = np.frombuffer(raw, dtype)
    else:
        found = f"it has {len(raw)} bytes"
        raise _odd(found, f"{count} numbers of {tensor.datatype} are {count * dtype.itemsize}.")
    return as_pixels(values.astype(dtype, copy=False).reshape(shape), contract)


def _numbers(tensor: RequestInput, count: int) -> NDArray[Any]:
    """The numbers of a list, or of lists within lists."""
    try:
        values = np.array(tensor.data)
        whole = tensor.datatype == "UINT8"
        fits = values.dtype.kind in ("iu" if whole else "iuf") and values.size == count
        fits = fits and (not whole or bool(values.min() >= 0 and values.max() <= 255))
    except (ValueError, TypeError, OverflowError):
        fits = False
    if not fits:
        found = f"its data are not {count} numbers of {tensor.datatype}"
        raise _odd(found, "Send as many as its shape says, in range.")
    return values


def _odd(found: str, remedy: str) -> InputError:
    return InputError(Fault("body", found, remedy, column="image"))
