"""Images as one array."""

import ast
import struct
from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from training.imaging import InputContract, Pixels

#: Most bytes of the header of an array.
LONGEST_HEADER: Final = 4096


def read_npy(body: bytes, contract: InputContract) -> Pixels:
    """Pixels of a numpy array, see :func:`service.inference.inputs.read_images`.

    Nothing of it is ever unpickled, and nothing is allocated before the header fits.

    Raises:
        InputError: It is no such array; every fault is named.
    """
    dtype, shape, order, start = _npy_header(body)
    faults = list(_array_faults(dtype, shape, order, contract))
    if not faults and len(body) - start != prod(shape) * dtype.itemsize:
        found = f"it holds {len(body) - start} bytes of data"
        faults = [Fault("body", found, f"The header says {prod(shape) * dtype.itemsize}.")]
    if faults:
        raise InputError(*faults)
    return as_pixels(np.frombuffer(body, dtype, offset=start).reshape(shape), contract)


def _npy_header(body: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    wide = body[6:7] != b"\1"
    begin = 12 if wide else 10
    try:
        if not body.startswith(b"\x93NUMPY") or body[6:7] not in (b"\1", b"\2", b"\3"):
            raise ValueError
        (length,) = struct.unpack_from("<I" if wide else "<H", body, 8)
        if length > LONGEST_HEADER:
            raise ValueError
        header = ast.literal_eval(body[begin : begin + length].decode("utf-8"))
        shape, name = header["shape"], header["descr"]
        if not (isinstance(shape, tuple) and all(type(side) is int for side in shape)):
            raise ValueError
        if not isinstance(name, str):
            raise ValueError
        return np.dtype(name), shape, bool(header["fortran_order"]), begin + length
    except (
        ValueError,
        SyntaxError,
        KeyError,
        TypeError,
        struct.error,
        RecursionError,
        MemoryError,
    ):
        found = "it is no numpy array"
        raise InputError(Fault("body", found, "Write it with numpy.save.")) from None


def _array_faults(
    dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool, contract: InputContract
) -> Iterator[Fault]:
    if dtype not in (np.dtype(np.uint8), np.dtype("<f4")):
        yield Fault("body", f"its numbers are {dtype}", "Send uint8, or float32 in [0, 1].")
    if fortran:
        yield Fault("body", "its first axis varies fastest", "Use numpy.ascontiguousarray.")
    if not any(shape[1:] == taken for taken in shapes(contract)) or shape[0] < 1:
        taken = " or ".join(str(["batch", *each]).replace("'", "") for each in shapes(contract))
        yield Fault("body", f"its shape is {list(shape)}"[:200], f"The model takes {taken}.")


def shapes(contract: InputContract) -> list[tuple[int, ...]]:
    """Shapes of one image that an array may have: channels first, or last, or left out.

    >>> shapes(InputContract(size=28, channels=1))
    [(1, 28, 28), (28, 28, 1), (28, 28)]
    """
    channels, *space = contract.shape
    taken = [contract.shape, (*space, channels)]
    return [*taken, tuple(space)] if channels == 1 else taken


def as_pixels(values: NDArray[Any], contract: InputContract) -> Pixels:
    """An array of one of the shapes as the model takes it.

    Args:
        values: ``[batch, ...]`` uint8 or float32.
        contract: What the model takes.

    Raises:
        InputError: Some number is not in [0, 1]; or some image is constant.
    """
    if values.dtype != np.uint8:
        if not (values.min(initial=0) >= 0 and values.max(initial=0) <= 1):
            found = "some numbers are not in [0, 1]"
            raise InputError(Fault("body", found, "Divide by the largest value of the range."))
        values = np.rint(values * np.float32(255)).astype(np.uint8)
    if values.shape[1:] != contract.shape:
        if values.ndim == len(contract.shape) + 1:
            values = np.moveaxis(values, -1, 1)
        values = values.reshape(len(values), *contract.shape)
    flat = values.reshape(len(values), -1)
    same = np.flatnonzero((flat == flat[:, :1]).all(axis=1))
    if len(same):
        found = "every pixel is the same: it shows nothing"
        raise InputError(
            *(Fault("body", found, "Send the original.", row=int(row) + 1) for row in same)
        )
    return np.ascontiguousarray(values)
