"""Images that come with a request, in each of the forms they may have."""

import ast
import binascii
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import orjson
import pybase64
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from training.imaging import InputContract, Pixels

MULTIPART: Final = "multipart/form-data"
NPY: Final = "application/x-npy"
JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"

#: Bodies that are one image; which kind it really is its content says.
RAW: Final = ("image/png", "image/jpeg", "image/tiff", "application/dicom")

AGAIN: Final = "Correct the body."

#: Most bytes of the names of a part of a form.
LONGEST_HEADER: Final = 4096

#: How long a name may be in an answer.
LONGEST_NAME: Final = 200


@dataclass(frozen=True)
class Given:
    """What a request brings.

    Attributes:
        parts: Name and content of each file, by the part or field they came in.
        pixels: ``[batch, channel, *space]`` uint8, of a numpy body; then there are no files.
    """

    parts: Mapping[str, list[tuple[str, bytes]]]
    pixels: Pixels | None = None

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """The images that are asked about."""
        return self.parts.get("images", [])

    @property
    def names(self) -> list[str]:
        """Name of each image."""
        if self.pixels is not None:
            return [f"image {row}" for row in range(1, len(self.pixels) + 1)]
        return [name for name, _ in self.files]


def read_images(content_type: str, body: bytes, contract: InputContract) -> Given:
    """The images of a body.

    Args:
        content_type: The header: ``multipart/form-data`` with parts ``images``; the type of a
            single image; ``application/x-npy``, an array ``[batch, channel, side, side]`` or
            ``[batch, side, side(, channel)]`` of uint8, or of float32 in [0, 1];
            ``application/json``, ``{"images": [{"name", "data": base64}]}``; or
            ``application/vnd.apache.arrow.stream`` with columns ``name`` and ``image``.
        body: All of it.
        contract: What the model takes; the shape of an array must be exactly its.

    Raises:
        HTTPException: 400, the body is not what the header says; 415, it is of another type.
        InputError: What is in it does not fit.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in RAW:
        return Given({"images": [("image 1", body)]})
    reader = _READERS.get(kind)
    if reader is None:
        taken = ", ".join([*_READERS, NPY, *RAW])
        if kind != NPY:
            detail = f"The body is {kind[:80] or 'of no declared type'}. Send one of {taken}."
            raise HTTPException(415, detail)
        return Given({}, read_npy(body, contract))
    return Given(reader(content_type, body))


def _multipart(content_type: str, body: bytes) -> dict[str, list[tuple[str, bytes]]]:
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary or len(boundary) > 70:
        raise HTTPException(400, "The Content-Type of the body names no boundary of its parts.")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks(), max_header_size=LONGEST_HEADER)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(400, f"The body is no form: {error}") from None
    if not form.ended:
        raise HTTPException(400, "The body ends before the last boundary of its parts.")
    if form.faults:
        raise InputError(*form.faults)
    return form.parts


class _Form:
    """Takes the parts of a form as the parser finds them."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[str, bytes]]] = {}
        self.faults: list[Fault] = []
        self.ended = False
        self._begin()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._add,
            "on_part_end": self._finish,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._data: list[bytes] = []
        self._disposition = self._field = self._text = b""

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._text
        self._field = self._text = b""

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _finish(self) -> None:
        # As bytes: what the library makes of text is Latin-1, and names are UTF-8.
        options = parse_options_header(self._disposition)[1]
        field = options.get(b"name", b"").decode("latin-1")
        if b"filename" not in options:
            found = f"the part '{field[:80]}' is not a file"
            self.faults.append(Fault("body", found, "Send files.", column=field[:80]))
            return
        files = self.parts.setdefault(field, [])
        name = _shown(options[b"filename"]) or f"image {len(files) + 1}"
        files.append((name, b"".join(self._data)))

    def _end(self) -> None:
        self.ended = True


def _shown(name: bytes) -> str:
    """A file's name as it came, on one line and not longer than it needs."""
    text = name.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text[:LONGEST_NAME]
    return "".join(each if each.isprintable() else "?" for each in text)[:LONGEST_NAME]


def _json(content_type: str, body: bytes) -> dict[str, list[tuple[str, bytes]]]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"The body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise InputError(Fault("body", "it is no object", 'Send {"images": [...]}.'))
    unknown = set(given) - {"images", "partners"}
    faults = [Fault("body", f"unknown key '{key[:80]}'", "Remove it.") for key in unknown]
    parts: dict[str, list[tuple[str, bytes]]] = {}
    for field in ("images", "partners"):
        items = given.get(field, [])
        if not isinstance(items, list):
            faults.append(Fault("body", "it is no list", "Send a list.", column=field))
            continue
        parts[field] = []
        for row, item in enumerate(items, start=1):
            try:
                parts[field].append(_encoded(item, row))
            except (ValueError, TypeError, KeyError):
                found = "it is no image with 'data' in base64"
                remedy = 'Send {"name": TEXT, "data": BASE64}.'
                faults.append(Fault("body", found, remedy, row, field))
    if faults:
        raise InputError(*faults)
    return parts


def _encoded(item: Any, row: int) -> tuple[str, bytes]:
    name = item.get("name", "") if isinstance(item, dict) else ""
    if not isinstance(item, dict) or set(item) - {"name", "data"} or not isinstance(name, str):
        raise TypeError
    return _shown(name.encode("utf-8", "replace")) or f"image {row}", from_base64(item["data"])


def from_base64(text: Any) -> bytes:
    """Bytes of base64.

    Raises:
        TypeError: It is no text.
        ValueError: It is not base64.
    """
    if not isinstance(text, str):
        raise TypeError("it is no text")
    try:
        return pybase64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _arrow(content_type: str, body: bytes) -> dict[str, list[tuple[str, bytes]]]:
    from service.inference.arrow import read_arrow  # 60 MB that most services do without

    return {"images": [(_shown(name.encode()), data) for name, data in read_arrow(body)]}


_READERS: Final[dict[str, Callable[[str, bytes], dict[str, list[tuple[str, bytes]]]]]] = {
    MULTIPART: _multipart,
    JSON: _json,
    ARROW: _arrow,
}


def read_npy(body: bytes, contract: InputContract) -> Pixels:
    """Pixels of a numpy array, see :func:`read_images`.

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
