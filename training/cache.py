"""Keeps a cohort's pixels, decoded once, in a memory map."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from training.cohort import Cohort
from training.imaging import READER_VERSION, InputContract, Pixels

#: Called with how many are done, and of how many.
OnProgress = Callable[[int, int], None]


def cached_pixels(
    cohort: Cohort,
    contract: InputContract,
    folder: Path,
    on_progress: OnProgress | None = None,
) -> np.memmap:
    """All pixels of a cohort, decoded at the first call and mapped at later ones.

    The file is named after the cohort's fingerprint, the contract and the version of the
    reader, so a change in any of them makes another file. It gets its name when it is complete.

    Args:
        cohort: What to decode.
        contract: Size, channels and fit.
        folder: Where the file is kept; made if it is not there.
        on_progress: Called in this thread with the number of images done and of all, after each
            image. Not called if the file is already there.

    Returns:
        uint8 ``[n, channel, size, size]``, read only, in the order of the table.

    Raises:
        InputError: Images cannot be read, one fault each; one for all if every image has the
            same. No file is left then.
        OSError: The file cannot be written. None is left then.
    """
    path = cache_path(cohort, contract, folder)
    shape = (len(cohort.table), *contract.shape)
    mapped = _mapped(path, shape)
    if mapped is not None:
        return mapped
    # Not through a map: a disk that is full while a map is written kills the process.
    with atomic_path(path) as partial, partial.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        _decode(cohort, contract, lambda row, one: file.write(one.tobytes()), on_progress)
    mapped = _mapped(path, shape)
    if mapped is None:
        raise OSError(f"{path} was just written and cannot be mapped")
    return mapped


def cache_path(cohort: Cohort, contract: InputContract, folder: Path) -> Path:
    """The file that holds the pixels of a cohort under a contract."""
    key = f"{cohort.fingerprint} {contract.model_dump_json()} {READER_VERSION}"
    digest = sha256(key.encode()).hexdigest()[:16]
    return folder / f"{cohort.schema.name}-{contract.size}px-{digest}.npy"


def _mapped(path: Path, shape: tuple[int, ...]) -> np.memmap | None:
    """The file if it is there and is what it should be; a damaged one is made anew."""
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(pixels, np.memmap) and pixels.shape == shape and pixels.dtype == np.uint8
    return pixels if fits else None


def check_images(
    cohort: Cohort, contract: InputContract, on_progress: OnProgress | None = None
) -> None:
    """Decode every image and keep none.

    Args:
        cohort: What to check.
        contract: What a model would take: images of another kind, or with other channels, are
            faults.
        on_progress: Called with the number of images done and of all, after each image.

    Raises:
        InputError: Images cannot be read, one fault each; one for all if every image has the
            same.
    """
    _decode(cohort, contract, lambda row, pixels: None, on_progress)


def _decode(
    cohort: Cohort,
    contract: InputContract,
    keep: Callable[[int, Pixels], object],
    on_progress: OnProgress | None,
) -> None:
    """Decode all images in threads, hand each over in this one, then tell every fault."""
    faults: list[Fault] = []

    def read(image: str) -> Pixels | InputError:
        try:
            return cohort.load(image, contract)
        except InputError as error:
            return error

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for row, result in enumerate(pool.map(read, cohort.table["image"])):
            if isinstance(result, InputError):
                faults.extend(result.faults)
            else:
                keep(row, result)
            if on_progress:
                on_progress(row + 1, len(cohort.table))
    finally:
        pool.shutdown(cancel_futures=True)
    if faults:
        raise InputError(*_told(faults, len(cohort.table)))


def _told(faults: list[Fault], images: int) -> list[Fault]:
    """The faults, or one for all if every image has the same: then the settings do not fit."""
    kinds = {(fault.found, fault.remedy) for fault in faults}
    if images < 2 or len(faults) < images or len(kinds) > 1:
        return faults
    return [replace(faults[0], where=f"{faults[0].where} and the other {images - 1:,} images")]


def cache_folder() -> Path:
    """Where decoded cohorts are kept: ``EVENSCAN_CACHE``, or ``.evenscan/cache``."""
    return Path(os.environ.get("EVENSCAN_CACHE") or ".evenscan/cache")
