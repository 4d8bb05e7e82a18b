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
from training.distributed import gather, own, world
from training.method import Batch, Method
from training.recipe import Recipe

Rows = NDArray[np.int64]

#: From row positions ``[n]`` to what a stage reads of them, ``[n, ...]``, on its device.
Read = Callable[[Rows], Tensor]

#: From the images of a part of an epoch's rows to these images, augmented.
Vary = Callable[[Tensor, slice], Tensor]

#: Images that are moved to a device at a time.
_BLOCK = 4096


@dataclass(frozen=True)
class TrainingData:
    """Pixels and labels of a cohort, and which rows are for what.

    Attributes:
        pixels: ``[n, channel, size, size]`` uint8, an array or a memory map.
        label: Class of each row, ``[n]``.
        train: Row positions to learn from.
        validation: Row positions to choose the epoch by.
        groups: Group of each row in each attribute that the method reads, ``[attribute, n]``,
            -1 where it is not known.
        recipe_groups: The same for the attributes that the recipe reads.
    """

    pixels: NDArray[np.uint8]
    label: Rows
    train: Rows
    validation: Rows
    groups: Rows
    recipe_groups: Rows

    def check(self, method: Method, recipe: Recipe) -> None:
        """Nothing, if the method can learn from it as the recipe says.

        Raises:
            InputError: Pixels, labels or rows do not fit; one fault for each.
        """
        n, classes = len(self.label), method.classes
        faults = recipe.faults(method.contract.dimensions)
        shape = (n, *method.contract.shape)
        if self.pixels.shape != shape or self.pixels.dtype != np.uint8:
            found = f"they are {self.pixels.dtype} {list(self.pixels.shape)}"
            remedy = f"This method reads uint8 {list(shape)}."
            faults.append(Fault("pixels", found, remedy))
        processes = world().size
        if len(self.train) < max(2, processes):
            found = f"{len(self.train)} rows are for training"
            remedy = "Training needs at least two, and one for each process."
            faults.append(Fault("split", found, remedy))
        for size in {stage.batch_size for stage in method.stages()}:
            if size % processes:
                found = f"{processes} processes cannot share batches of {size} equally"
                remedy = f"Set batch_size to a multiple of {processes}."
                faults.append(Fault("batch size", found, remedy))
        for name, rows in (("training", self.train), ("validation", self.validation)):
            if ((rows < 0) | (rows >= n)).any():
                found = f"some {name} rows are not in 0 ... {n - 1}"
                faults.append(Fault("split", found, "Give positions of rows."))
        wrong = np.flatnonzero((self.label < 0) | (self.label >= classes))
        if len(wrong):
            row = int(wrong[0])
            found = f"{len(wrong)} are not in 0 ... {classes - 1}, first {self.label[row]}"
            faults.append(Fault("labels", found, "Declare all classes.", row=row + 1))
        for reader, groups, reads in (
            ("method", self.groups, method.reads),
            ("recipe", self.recipe_groups, recipe.reads),
        ):
            if groups.shape != (len(reads), n):
                named = ", ".join(reads) or "no attribute"
                found = f"they are {list(groups.shape)}, and the {reader} reads {named}"
                remedy = f"Give the groups of each attribute, [{len(reads)}, {n}]."
                faults.append(Fault("groups", found, remedy))
        if faults:
            raise InputError(*faults)

    def digests(self) -> dict[str, str]:
        """Hashes of labels, groups and rows. The pixels are not read: they may be many."""
        return {
            "labels": _digest(self.label),
            "groups": _digest(*self.groups, *self.recipe_groups),
            "split": _digest(self.train, self.validation),
        }


def _digest(*arrays: Rows) -> str:
    digest = hashlib.sha256()
    for rows in arrays:
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
        Batches of ``size`` rows, the last one shorter if it does not divide n. Of batches that
        several processes share it is also a multiple of their number.

    Examples:
        >>> [len(batch) for batch in batches(np.arange(9), 4)]
        [4, 4, 1]
        >>> [len(batch) for batch in batches(np.arange(9), 4, drop_single=True)]
        [4, 4]
    """
    shared = len(rows) - len(rows) % size % world().size
    cut = [rows[start : min(start + size, shared)] for start in range(0, shared, size)]
    return cut[:-1] if drop_single and cut and len(cut[-1]) == 1 else cut


def read_batches(
    read: Read,
    rows: Rows,
    label: Tensor,
    groups: Tensor,
    size: int,
    *,
    drop_single: bool = False,
    vary: Vary | None = None,
) -> Iterator[Batch]:
    """What the steps of an epoch read, one batch after the other.

    Args:
        read: Reads images or features.
        rows: Row positions in the order of the epoch, ``[n]``.
        label: Class of every row of the cohort, on the device of the training.
        groups: Group of every row in each attribute that the method reads, likewise.
        size: Rows a batch.
        drop_single: As of :func:`batches`.
        vary: Augments the images of a part of ``rows``; not at all if not given.

    Yields:
        Batches on the device, none of which waits for it; of batches that several processes
        share, this one's rows.
    """
    position = on_device(rows, label.device)
    labels, codes = label[position], groups[:, position]
    rank, processes = world()
    start = 0
    for taken in batches(rows, size, drop_single=drop_single):
        rows_each = len(taken) // processes
        part = slice(start + rank * rows_each, start + (rank + 1) * rows_each)
        image = read(rows[part])
        yield Batch(vary(image, part) if vary else image, labels[part], codes[:, part])
        start += len(taken)


def on_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """The values on a device, without waiting for what the device is doing."""
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def from_pixels(pixels: NDArray[np.uint8], device: torch.device) -> Read:
    """Reads images from decoded pixels.

    Args:
        pixels: ``[n, channel, *space]`` uint8, an array or memory map. A GPU keeps them all if
            they take at most half of the memory that is free there. Else only the rows asked
            for are read each time, so they may be larger than any memory.
        device: Where the images go; one byte a value is moved there.

    Returns:
        Function from row positions to images ``[batch, channel, *space]`` float32 in [0, 1], in
        the memory layout that convolutions are fastest in.
    """
    kept = _kept(pixels, device) if _fits(pixels, device) else None

    def read(rows: Rows) -> Tensor:
        if kept is None:
            image = on_device(np.ascontiguousarray(pixels[rows]), device)
        else:
            image = kept[on_device(rows, device)]
        layout: Any = torch.channels_last if image.ndim == 4 else torch.contiguous_format
        return image.to(torch.float32, memory_format=layout).div_(255)

    return read


def _fits(pixels: NDArray[np.uint8], device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    return pixels.nbytes <= torch.cuda.mem_get_info(device)[0] // 2


def _kept(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """All pixels on the device, moved there block by block."""
    kept = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pixels), _BLOCK):
        # A copy, as a memory map may be read only.
        block = torch.from_numpy(np.array(pixels[start : start + _BLOCK]))
        kept[start : start + len(block)] = block
    return kept


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
        it is called: it yields the number of rows done after each batch. Processes that train
        together share the work.
    """
    known: list[Tensor] = []
    rows = np.unique(rows)
    processes = world().size
    # All need as many: the first rows are done twice where they are no multiple.
    padded = np.concatenate([rows, rows[: -len(rows) % processes]])

    def work() -> Iterator[int]:
        done, mine = 0, own(padded)
        for start in range(0, len(mine), size):
            batch = mine[start : start + size]
            with torch.no_grad():
                known.append(features(read(batch)))
            done += len(batch)
            yield min(done * processes, len(rows))
        known[:] = [gather(torch.cat(known))]

    def read_features(asked: Rows) -> Tensor:
        return known[0][on_device(np.searchsorted(rows, asked), known[0].device)]

    return read_features, work()
