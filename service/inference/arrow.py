"""Arrow streams: images that come in one, and answers that go out as one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from service.inference.refusals import too_many

#: Number of the field of a record batch's description that says how it is compressed.
COMPRESSION = 3

#: Kind of a message that is a record batch, and of one with values of a dictionary.
BATCH, DICTIONARY = 3, 2


def read_arrow(body: bytes, most: int) -> list[tuple[str, bytes]]:
    """Name and content of each image of a stream.

    Args:
        body: With columns ``name`` (text) and ``image`` (binary), not compressed: images are
            already, and what a compressed column grows to is not known before.
        most: Images that it may have.

    Raises:
        HTTPException: 400, it is no Arrow stream.
        InputError: Its columns are others, it is compressed, or it has too many rows.
    """
    try:
        if any(map(_packed, pa.ipc.MessageReader.open_stream(body))):
            remedy = "Write the stream without compression and without dictionaries."
            raise InputError(Fault("body", "its columns are packed", remedy))
        with pa.ipc.open_stream(body) as stream:
            _check(stream.schema)
            table = stream.read_all()
        if table.num_rows > most:
            raise InputError(too_many(table.num_rows, most))
        table.validate(full=True)
        names, images = (table.column(name).to_pylist() for name in ("name", "image"))
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise HTTPException(400, f"The body is no Arrow stream: {str(error)[:200]}") from None
    faults = [
        Fault("body", "it is empty", "Send an image.", row, "image")
        for row, image in enumerate(images, start=1)
        if image is None
    ]
    if faults:
        raise InputError(*faults)
    pairs = zip(names, images, strict=True)
    return [(name or f"image {row}", image) for row, (name, image) in enumerate(pairs, 1)]


def _check(schema: pa.Schema) -> None:
    taken = {
        "name": (pa.string(), pa.large_string()),
        "image": (pa.binary(), pa.large_binary()),
    }
    faults = [
        Fault(
            "body",
            f"there is no column of {' or '.join(map(str, kinds))}",
            "Add it.",
            column=name,
        )
        for name, kinds in taken.items()
        if schema.names.count(name) != 1 or schema.field(name).type not in kinds
    ]
    if faults:
        raise InputError(*faults)


def _packed(message: pa.Message) -> bool:
    """Whether a message is a compressed record batch, or holds values of a dictionary.

    The description is a flatbuffer; pyarrow does not say what it holds. See "Message.fbs" of
    https://arrow.apache.org/docs/format/Columnar.html.
    """
    if message.type != "record batch":
        return bool(message.type == "dictionary")
    buffer = memoryview(message.metadata)
    table = _Table(buffer, _number(buffer, 0, 4))
    header = table.place(2)
    if header is None:
        raise ValueError("a record batch is not described")
    batch = _Table(buffer, header + _number(buffer, header, 4))
    return batch.place(COMPRESSION) is not None


class _Table:
    """A table of a flatbuffer: where its fields are."""

    def __init__(self, buffer: memoryview, start: int) -> None:
        self.buffer, self.start = buffer, start
        self.directory = start - _number(buffer, start, 4, signed=True)
        self.size = _number(buffer, self.directory, 2)

    def place(self, field: int) -> int | None:
        """Where a field begins; None if it is not there."""
        entry = 4 + 2 * field
        offset = _number(self.buffer, self.directory + entry, 2) if entry < self.size else 0
        return self.start + offset if offset else None


def _number(buffer: memoryview, start: int, size: int, *, signed: bool = False) -> int:
    if start < 0 or start + size > len(buffer):
        raise ValueError("a record batch is described outside of its message")
    return int.from_bytes(buffer[start : start + size], "little", signed=signed)


def write_arrow(columns: Mapping[str, Any], metadata: Mapping[str, bytes]) -> bytes:
    """A stream with these columns; one of ``[n, k]`` becomes a list of k numbers a row."""
    arrays = {name: _column(values) for name, values in columns.items()}
    table = pa.table(arrays, metadata=dict(metadata))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _column(values: Any) -> pa.Array:
    if not isinstance(values, np.ndarray):
        return pa.array(values)
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
