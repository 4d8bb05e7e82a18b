"""Reads NIfTI and Analyze volumes."""

import gzip
from collections.abc import Sequence
from io import BytesIO
from math import prod
from typing import IO, TYPE_CHECKING, cast

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.spatialimages import HeaderDataError, SpatialImage
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from training.fitting import fitted
from training.imaging import AGAIN, DAMAGED
from training.intensity import windowed
from training.volume import LARGEST_VOLUME

if TYPE_CHECKING:
    from training.imaging import InputContract, Pixels

#: What nibabel raises on a damaged file.
BROKEN = (*DAMAGED, ImageFileError, HeaderDataError, ArithmeticError, MemoryError)

#: Bytes that hold the header of either version.
HEADER = 540

LIMIT = f"At most {LARGEST_VOLUME // 1_000_000} million voxels are read; make it smaller."

#: Axis of ``[superior, posterior, right]`` that a plane cuts.
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}


def decode_nifti(
    files: Sequence[bytes],
    contract: "InputContract",
    where: str,
    *,
    plane: str,
    index: int | None,
    window: tuple[float, float] | None,
    percentiles: tuple[float, float],
) -> "Pixels":
    """Pixels of a volume, or of a slice of it.

    The axes are put as near to right, anterior, superior as exchanging and reversing them
    allows; an Analyze header knows no orientation and is taken as nibabel does, with the
    patient's right first. Depth then runs from feet to head, height from anterior to posterior,
    width from the patient's left to right. Slices stand upright: anterior, or for coronal and
    sagittal ones superior, at the top; left, or for sagittal ones anterior, at the left.

    Args:
        files: A ``.nii`` or ``.nii.gz`` file; or a header and the file of its voxels.
        contract: What the model takes.
        where: Name of the file, for the message.
        plane: ``axial``, ``coronal`` or ``sagittal``, for models of images.
        index: Slice, see :class:`training.formats.nifti.NiftiSettings`.
        window: Values that become 0 and 255.
        percentiles: The same in percent of the voxels that are not 0, of each channel by
            itself, if there is no window.

    Returns:
        Of the shape of the contract. Voxels that are not finite are black.

    Raises:
        InputError: The file is damaged or truncated, too large, has no voxel but 0 and not
            finite ones, no such slice, or a fourth axis other than the channels of the model.
    """
    try:
        image = _opened(files, where)
        _check_shape(image, contract, where)
        canonical = nibabel.as_closest_canonical(image)
        steps = [float(step) for step in canonical.header.get_zooms()[:3]]
        values = np.asarray(canonical.dataobj, dtype=np.float32)
    except BROKEN as error:
        cut = isinstance(error, EOFError) or "Expected" in str(error)
        found = "the file is truncated" if cut else f"the volume is damaged ({error})"
        raise InputError(Fault(where, found, AGAIN)) from None
    if not all(np.isfinite(steps)) or min(steps) <= 0:
        raise InputError(Fault(where, f"its voxels measure {steps} mm", AGAIN))
    # [right, anterior, superior, channel] to [channel, superior, posterior, right]
    turned = values.reshape(*values.shape[:3], -1).transpose(3, 2, 1, 0)[:, :, ::-1]
    pixels = np.stack([_shown(one, window, percentiles, where) for one in turned])
    spacing = (steps[2], steps[1], steps[0])
    if contract.dimensions == 3:
        return fitted(pixels, contract, where, spacing)
    cut_pixels, cut_spacing = _sliced(pixels, spacing, plane, index, where)
    return fitted(cut_pixels, contract, where, cut_spacing)


def _opened(files: Sequence[bytes], where: str) -> SpatialImage:
    return _pair(files[0], files[1], where) if len(files) == 2 else _single(files[0], where)


def _pair(header: bytes, voxels: bytes, where: str) -> SpatialImage:
    kinds = (nibabel.Nifti1Pair, nibabel.Spm2AnalyzeImage, nibabel.AnalyzeImage)
    for kind in kinds:
        if kind.header_class.may_contain_header(header):
            # SPM keeps an orientation in a third file, which is not looked for
            held = {"header": header, "image": voxels, "mat": b""}
            files = {name: FileHolder(fileobj=BytesIO(data)) for name, data in held.items()}
            image: SpatialImage = kind.from_file_map(files)
            return image
    raise InputError(Fault(where, "it is not a NIfTI or Analyze header", AGAIN))


def _single(data: bytes, where: str) -> SpatialImage:
    packed: IO[bytes] = BytesIO(data)
    if data.startswith(b"\x1f\x8b"):
        packed = cast(IO[bytes], gzip.GzipFile(fileobj=packed))
    begin = packed.read(HEADER)
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        if kind.header_class.may_contain_header(begin):
            header = kind.header_class.from_fileobj(BytesIO(begin))
            shape, start = header.get_data_shape(), int(header["vox_offset"])
            _check_voxels(shape, where)
            size = start + prod(shape) * header.get_data_dtype().itemsize
            # no more is unpacked than the header asks for, which is small enough
            whole = begin + packed.read(max(0, size - len(begin)))
            if len(whole) < size:
                raise InputError(Fault(where, "the file is truncated", AGAIN))
            image: SpatialImage = kind.from_bytes(whole)
            return image
    raise InputError(Fault(where, "it is not a NIfTI volume", "Save it as .nii or .nii.gz."))


def _check_voxels(shape: tuple[int, ...], where: str) -> None:
    if len(shape) < 3 or any(n < 1 for n in shape):
        raise InputError(Fault(where, f"its shape is {shape}, not that of a volume", AGAIN))
    if prod(shape) > LARGEST_VOLUME:
        raise InputError(Fault(where, f"it has {prod(shape):,} voxels", LIMIT))


def _check_shape(image: SpatialImage, contract: "InputContract", where: str) -> None:
    _check_voxels(image.shape, where)
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(Fault(where, "its voxels are not real numbers", AGAIN))
    more = [n for n in image.shape[3:] if n > 1]
    if more and more != [contract.channels]:
        found = f"its shape is {image.shape}, and the model takes {contract.channels} channels"
        remedy = "Only a fourth axis with as many entries as channels can be read."
        raise InputError(Fault(where, found, remedy))


def _shown(
    values: NDArray[np.float32],
    window: tuple[float, float] | None,
    percentiles: tuple[float, float],
    where: str,
) -> NDArray[np.uint8]:
    if window is not None:
        return windowed(values, *window)
    inner = values[np.isfinite(values) & (values != 0)]
    if not inner.size:
        found = "every voxel is 0 or not finite"
        raise InputError(Fault(where, found, "Take it out, or export it again."))
    low, high = (float(value) for value in np.percentile(inner, percentiles))
    # a mask has one value besides 0
    return windowed(values, min(low, 0.0) if low == high else low, high)


def _sliced(
    pixels: NDArray[np.uint8],
    spacing: tuple[float, float, float],
    plane: str,
    index: int | None,
    where: str,
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    axis = AXES[plane]
    n = pixels.shape[axis + 1]
    place = n // 2 if index is None else index
    if place >= n:
        found = f"it has {n} {plane} slices, and slice {place} is asked for"
        raise InputError(Fault(where, found, "Set index below that, or leave it out."))
    # height runs from anterior, and the count from posterior
    at = n - 1 - place if plane == "coronal" else place
    flat: NDArray[np.uint8] = np.take(pixels, at, axis=axis + 1)
    upright = flat if plane == "axial" else flat[:, ::-1]
    steps = [step for i, step in enumerate(spacing) if i != axis]
    return np.ascontiguousarray(upright), (steps[0], steps[1])
