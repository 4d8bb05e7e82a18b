"""Decodes the images of requests on a few threads, with bounded memory."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np

from evaluation.errors import Fault, InputError
from service.inference.batcher import Batcher, Place
from service.inference.refusals import constant, refused
from training.image_header import ImageHeader, image_header
from training.imaging import LARGEST_IMAGE, InputContract, Pixels, decode

#: Width times height up to which images are decoded side by side. A larger one may take a
#: gigabyte while it is decoded, so that only one of them is at a time.
SMALL: Final = 4_000_000

#: Width times height, and bytes, up to which a lone image is decoded where its request is read:
#: that takes some tenths of a millisecond, and to hand it to a thread and back takes longer.
TINY: Final = 128 * 128
FEW_BYTES: Final = 2**15

#: Bytes of the images of one request that one thread decodes in a row. Two threads that decode
#: small images wait for each other more than they decode.
RUN: Final = 2**19

#: A name and what is in the file.
File = tuple[str, bytes]


@dataclass
class _Task:
    """The images of one request.

    Attributes:
        files: Name and content of each.
        contract: What the model takes.
        modality: Likewise; empty: any.
        batcher: Where the pixels go.
        place: Reserved there.
        pixels: Those decoded.
        faults: Of each image that is refused.
        left: Images that are not decoded yet.
    """

    files: Sequence[File]
    contract: InputContract
    modality: tuple[str, ...]
    batcher: Batcher
    place: Place
    pixels: dict[int, Pixels] = field(default_factory=dict)
    faults: dict[int, Sequence[Fault]] = field(default_factory=dict)
    left: int = 0
    lock: Lock = field(default_factory=Lock)


class Decoding:
    """Threads that decode: small images side by side, large ones one at a time."""

    def __init__(self) -> None:
        """Make the threads when they are needed."""
        cores = len(os.sched_getaffinity(0))
        self._small = ThreadPoolExecutor(min(max(cores, 1), 4), "decoding")
        self._large = ThreadPoolExecutor(1, "decoding large")

    def start(
        self,
        files: Sequence[File],
        contract: InputContract,
        batcher: Batcher,
        place: Place,
        modality: tuple[str, ...] = (),
    ) -> None:
        """Decode files and submit them at their place; its answer tells of faults.

        Args:
            files: Name and content of each image, at least one.
            contract: What the model takes.
            batcher: Where the pixels go.
            place: Reserved there for so many.
            modality: Of DICOM files that the model takes; empty: any.
        """
        task = _Task(files, contract, modality, batcher, place, left=len(files))
        for rows in _runs(files):
            _report(self._small.submit(self._decode, task, rows), task)

    def close(self) -> None:
        """Finish what was begun, and end the threads."""
        self._small.shutdown()
        self._large.shutdown()

    def _decode(self, task: _Task, rows: range) -> None:
        for row in rows:
            if task.place.answer.cancelled():
                _done(task)
                continue
            name, data = task.files[row]
            try:
                header = None if _one_at_a_time(data) else image_header(data, name)
            except InputError:
                header = None
            if header is not None and header.width * header.height <= SMALL:
                _look(task, row, header)
            else:
                _report(self._large.submit(_look, task, row, None), task)


def decode_here(
    files: Sequence[File], contract: InputContract, modality: tuple[str, ...] = ()
) -> Pixels | None:
    """Pixels of a lone, tiny image, ``[1, channel, *space]``; None of any other, or of several.

    Raises:
        InputError: It cannot be decoded, or is refused.
    """
    if len(files) > 1:
        return None
    ((name, data),) = files
    if len(data) > FEW_BYTES or _one_at_a_time(data):
        return None
    header = image_header(data, name)
    if header is None or header.width * header.height > TINY:
        return None
    return _checked(name, data, header, contract, modality)[np.newaxis]


def _runs(files: Sequence[File]) -> Iterator[range]:
    """Rows that are decoded by one thread each."""
    start = size = 0
    for row, (_, data) in enumerate(files):
        if size and size + len(data) > RUN:
            yield range(start, row)
            start, size = row, 0
        size += len(data)
    yield range(start, len(files))


def _one_at_a_time(data: bytes) -> bool:
    """Whether even the header may be costly: deflated DICOM is inflated as a whole."""
    return not data.startswith((b"\x89PNG", b"\xff\xd8\xff")) or data[128:132] == b"DICM"


def _look(task: _Task, row: int, header: ImageHeader | None) -> None:
    """Check and decode one image of several."""
    name, data = task.files[row]
    try:
        if not task.place.answer.cancelled():
            found = _checked(name, data, header, task.contract, task.modality)
            task.pixels[row] = found
    except InputError as error:
        task.faults[row] = error.faults
    finally:
        _done(task)


def _checked(
    name: str,
    data: bytes,
    header: ImageHeader | None,
    contract: InputContract,
    modality: tuple[str, ...],
) -> Pixels:
    """Pixels of an image, ``[channel, *space]``.

    Raises:
        InputError: It cannot be decoded, or is refused.
    """
    header = header or image_header(data, name)
    # one that is too large to be decoded is told so, and nothing else
    if header is not None and header.width * header.height <= LARGEST_IMAGE:
        faults = list(refused(header, contract, modality, name))
        if faults:
            raise InputError(*faults)
    with warnings.catch_warnings():
        # Pillow warns of damaged notes beside the pixels; what matters is raised.
        warnings.simplefilter("ignore")
        pixels = decode(data, contract, name)
    if (fault := constant(pixels, name)) is not None:
        raise InputError(fault)
    return pixels


def _done(task: _Task) -> None:
    with task.lock:
        task.left -= 1
        if task.left:
            return
    if task.faults:
        faults = [fault for row in sorted(task.faults) for fault in task.faults[row]]
        task.batcher.give_up(task.place, InputError(*faults))
    elif len(task.pixels) < len(task.files):
        task.batcher.give_up(task.place, RuntimeError("not every image was decoded"))
    else:
        ordered = [task.pixels[row] for row in range(len(task.files))]
        task.batcher.submit(task.place, np.stack(ordered))


def _report(work: "Future[None]", task: _Task) -> None:
    """Let no failure of a thread go unheard: the request would wait for ever."""

    def heard(done: "Future[None]") -> None:
        if (error := done.exception()) is not None and not task.place.answer.done():
            task.batcher.give_up(task.place, error)

    work.add_done_callback(heard)
