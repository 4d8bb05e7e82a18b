"""The rows of a training: checks, random order, batches, and how what they hold is gathered."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.errors import Fault, InputError
from training.imaging import InputContract

Rows = NDArray[np.int64]

#: From row positions ``[n]`` to what a stage reads of them, ``[n, ...]``, on its device.
Read = Callable[[Rows], Tensor]


@dataclass(frozen=True)
class TrainingData:
    """Pixels and labels of a cohort, and which rows are for what.

    Attributes:
        pixels: ``[n, channel, size, size]`` uint8, an array or a memory map.
        label: Class of each row, ``[n]``.
        train: Row positions to learn from.
        validation: Row positions to choose the epoch by.
    """

    pixels: NDArray[np.uint8]
    label: Rows
    train: Rows
    validation: Rows

    def check(self, contract: InputContract, classes: int) -> None:
        """Nothing, if a method with this input contract and these classes can learn from it.

        Raises:
            InputError: Pixels, labels or rows do not fit; one fault for each.
        """
        n, faults = len(self.label), []
        shape = (n, contract.channels, contract.size, contract.size)
        if self.pixels.shape != shape or self.pixels.dtype != np.uint8:
            found = f"they are {self.pixels.dtype} {list(self.pixels.shape)}"
            remedy = f"This method reads uint8 {list(shape)}."
            faults.append(Fault("pixels", found, remedy))
        if len(self.train) < 2:
            found = f"{len(self.train)} rows are for training"
            faults.append(Fault("split", found, "Training needs at least two."))
        for name, rows in (("training", self.train), ("validation", self.validation)):
            if ((rows < 0) | (rows >= n)).any():
                found = f"some {name} rows are not in 0 ... {n - 1}"
                faults.append(Fault("split", found, "Give positions of rows."))
        wrong = np.flatnonzero((self.label < 0) | (self.label >= classes))
        if len(wrong):
            row = int(wrong[0])
            found = f"{len(wrong)} are not in 0 ... {classes - 1}, first {self.label[row]}"
            faults.append(Fault("labels", found, "Declare all classes.", row=row + 1))
        if faults:
            raise InputError(*faults)

    def digest(self) -> str:
        """Hash of labels and rows. The pixels are not read: they may be many."""
        digest = hashlib.sha256()
        for rows in (self.label, self.train, self.validation):
            digest.update(len(rows).to_bytes(8, "big") + np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()


def epoch_seed(*parts: object) -> int:
    """A seed that is a function of ``parts`` only: the same in every process.

    Args:
        parts: Such as seed, name of the stage and epoch; told apart by their ``repr``.

    Returns:
        A whole number in [0, 2**63).

    Examples:
        >>> epoch_seed(0, "classifier", 1) == epoch_seed(0, "classifier", 1)
        True
        >>> epoch_seed(0, "classifier", 1) == epoch_seed(0, "classifier", 2)
        False
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def shuffled(rows: Rows, seed: int) -> Rows:
    """The rows in a random order that is a function of the seed."""
    return np.random.default_rng(seed).permutation(rows)


def batches(rows: Rows, size: int, *, drop_single: bool = False) -> list[Rows]:
    """The rows cut into batches, in order.

    Args:
        rows: Row positions, ``[n]``.
        size: Rows a batch.
        drop_single: Whether a last batch of one row is left out: BatchNorm cannot be trained on
            a single sample, which has no variance.

    Returns:
        Batches of ``size`` rows, the last one shorter if it does not divide n.

    Examples:
        >>> [len(batch) for batch in batches(np.arange(9), 4)]
        [4, 4, 1]
        >>> [len(batch) for batch in batches(np.arange(9), 4, drop_single=True)]
        [4, 4]
    """
    cut = [rows[start : start + size] for start in range(0, len(rows), size)]
    return cut[:-1] if drop_single and cut and len(cut[-1]) == 1 else cut


def from_pixels(pixels: NDArray[np.uint8], device: torch.device) -> Read:
    """Reads images from decoded pixels.

    Args:
        pixels: ``[n, channel, *space]`` uint8, an array or memory map. Only the rows asked for
            are read, so it may be larger than the memory.
        device: Where the images go; one byte a value is moved there.

    Returns:
        Function from row positions to images ``[batch, channel, *space]`` float32 in [0, 1], in
        the memory layout that convolutions are fastest in.
    """

    def read(rows: Rows) -> Tensor:
        image = torch.from_numpy(np.ascontiguousarray(pixels[rows])).to(device)
        layout: Any = torch.channels_last if image.ndim == 4 else torch.contiguous_format
        return image.to(torch.float32, memory_format=layout).div_(255)

    return read


def from_features(
    features: Callable[[Tensor], Tensor], read: Read, rows: Rows, size: int
) -> tuple[Read, Iterator[int]]:
    """Reads features that are computed once.

    Args:
        features: Maps images to features ``[batch, ...]``.
        read: Reads the images.
        rows: Row positions that will be asked for.
        size: Images to compute at a time.

    Returns:
        Function from row positions to features, and the work that must be run through before
        it is called: it yields the number of rows done after each batch.
    """
    known: list[Tensor] = []
    rows = np.unique(rows)

    def work() -> Iterator[int]:
        done = 0
        for batch in batches(rows, size):
            with torch.no_grad():
                known.append(features(read(batch)))
            done += len(batch)
            yield done
        known[:] = [torch.cat(known)]

    def read_features(asked: Rows) -> Tensor:
        position = torch.from_numpy(np.searchsorted(rows, asked))
        return known[0][position.to(known[0].device)]

    return read_features, work()
