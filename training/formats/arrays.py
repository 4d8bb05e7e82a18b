"""One ``.npz`` file with all images, and their labels in it or in a manifest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.settings import Settings
from training.arrays import ArrayFile
from training.cohort import Cohort, CohortSchema, fingerprint_of, inside
from training.fitting import fitted
from training.format import Format
from training.imaging import InputContract, Pixels
from training.intensity import RANGES, eight_bit, range_fault
from training.manifest import check_columns, columns_of, listed, read_manifest, table_of

Layout = Literal["nhw", "nhwc", "nchw", "ndhw", "ndhwc", "ncdhw"]

#: Images whose numbers are looked through at once.
AT_ONCE = 256


class ArraysSettings(Settings):
    """Which arrays hold what.

    Attributes:
        file: The ``.npz`` file, below the root of the cohort.
        images: Its array of images: uint8, uint16, of which the full range is taken, bool, or
            float in [0, 1].
        layout: What its axes are: n images, channel, depth, height, width. If not given, an
            axis of at most 4 entries, the last or the second, is the channel.
        manifest: CSV file with one row an image, below the root; without it columns are the
            arrays of the file with one entry an image.
        index: Column of the manifest with the number of the image, from 0. Without it the rows
            are in the order of the images, and as many.
        names: Column to the array that its values are places in, from 0: ``style =
            "style_names"`` turns 2 into the third name.
    """

    file: str
    images: str = "images"
    layout: Layout | None = None
    manifest: str | None = None
    index: str | None = None
    names: dict[str, str] = Field(default_factory=dict)

    @field_validator("file", "manifest")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        return path if path is None else inside(path)


class Arrays(Format):
    """Images in one array."""

    settings_type: ClassVar[type[ArraysSettings]] = ArraysSettings
    settings: ArraysSettings

    def read(self, schema: CohortSchema, root: Path) -> Cohort:
        """Read the columns, and see that every image has a row and a known range.

        There is always a column ``index``, the number of the image, unless an array or the
        manifest has one. An uncompressed array stays on disk and is mapped; a compressed one is
        read once.

        Raises:
            InputError: With every fault of the columns; arrays are missing, damaged or not of
                one length; a float is not in [0, 1], with the range and the first image.
        """
        settings = self.settings
        file = ArrayFile(root / settings.file)
        self._check_images(file)
        layout = settings.layout or inferred_layout(file.shapes[settings.images])
        manifest, where = self._columns(file, root)
        needed = dict.fromkeys(settings.names, "setting 'names'")
        if settings.manifest and settings.index:
            needed[settings.index] = "number of the image"
        check_columns(manifest, columns_of(schema) | needed, where)
        faults: list[Fault] = []
        for column, array in settings.names.items():
            manifest[column] = _named(manifest[column], file, array, where, column, faults)
        rows = _rows(manifest, settings.index, file.shapes[settings.images][0], where, faults)
        images = file.array(settings.images)
        if fault := _first_out_of_range(images, file.where):
            faults.append(fault)
        label = manifest[schema.label.column]
        unused = schema.label.unused(label).to_numpy()
        images_of = rows[~unused].astype(str)
        table = table_of(schema, manifest[~unused], where, images_of, faults)
        order = _order(layout)

        def load(image: str, contract: InputContract) -> Pixels:
            named = f"{file.where}, image {image}"
            stored = np.asarray(images[int(image)])
            planes = stored[np.newaxis] if "c" not in layout else stored
            pixels = eight_bit(planes.transpose(order), named)
            return fitted(np.ascontiguousarray(pixels), contract, named)

        source = [settings.model_dump_json(), *file.signatures()]
        fingerprint = fingerprint_of(table, source)
        return Cohort(schema, table, load, fingerprint, schema.label.left_out_of(label))

    def _check_images(self, file: ArrayFile) -> None:
        settings = self.settings
        for name in (settings.images, *settings.names.values()):
            if name not in file.names():
                raise unknown_name("array", name, file.names(), file.where)
        shape, dtype = file.shapes[settings.images], file.types[settings.images]
        where = f"{file.where}, array {settings.images}"
        axes = len(settings.layout) if settings.layout else None
        if len(shape) not in ((axes,) if axes else (3, 4, 5)) or 0 in shape:
            found = f"its shape is {shape}, which is not that of images"
            raise InputError(Fault(where, found, "Write [n, height, width] or see 'layout'."))
        if dtype not in (np.uint8, np.uint16, np.bool_) and not np.issubdtype(
            dtype, np.floating
        ):
            raise InputError(Fault(where, f"its numbers are {dtype}, without a range", RANGES))

    def _columns(self, file: ArrayFile, root: Path) -> tuple[pd.DataFrame, str]:
        """The manifest, or the arrays with one entry an image, as text."""
        n = file.shapes[self.settings.images][0]
        if self.settings.manifest is not None:
            path = root / self.settings.manifest
            manifest, where = read_manifest(path), str(path)
        else:
            where = file.where
            flat = [name for name in file.names() if file.shapes[name] == (n,)]
            manifest = pd.DataFrame({name: _as_text(file.array(name)) for name in flat})
            manifest = manifest.reindex(range(n))
        if "index" not in manifest.columns:
            manifest["index"] = [str(i) for i in range(len(manifest))]
        return manifest, where


def inferred_layout(shape: tuple[int, ...]) -> str:
    """What the axes of an array of images are most likely.

    >>> inferred_layout((9, 28, 28)), inferred_layout((9, 3, 28, 28))
    ('nhw', 'nchw')
    >>> inferred_layout((9, 28, 28, 3)), inferred_layout((9, 28, 28, 28))
    ('nhwc', 'ndhw')
    """
    spatial = {3: "hw", 4: "hw", 5: "dhw"}[len(shape)]
    if len(shape) == 3:
        return "nhw"
    if shape[-1] <= 4:
        return f"n{spatial}c"
    if shape[1] <= 4 or len(shape) == 5:
        return f"nc{spatial}"
    return "ndhw"


def _order(layout: str) -> list[int]:
    """The axes of one image, channel first."""
    axes = layout[1:] if "c" in layout else "c" + layout[1:]
    return [axes.index("c"), *(i for i, axis in enumerate(axes) if axis != "c")]


def _as_text(values: NDArray[Any]) -> list[str]:
    if np.issubdtype(values.dtype, np.bytes_):
        return [value.decode("utf-8", "replace") for value in values.tolist()]
    return ["" if value != value else f"{value}" for value in values.tolist()]


def _named(
    values: pd.Series,
    file: ArrayFile,
    array: str,
    where: str,
    column: str,
    faults: list[Fault],
) -> pd.Series:
    """The names that a column's places stand for."""
    names = {str(i): name for i, name in enumerate(_as_text(file.array(array).ravel()))}
    found = values.map(names)
    remedy = f"Its array '{array}' has {len(names)} names, from 0."
    wrong = (
        Fault(where, f"'{value}' is no place of a name", remedy, row, column)
        for row, value in enumerate(values, start=1)
        if value and value not in names
    )
    faults.extend(listed(wrong, where, column))
    return found.fillna("")


def _rows(
    manifest: pd.DataFrame, index: str | None, n: int, where: str, faults: list[Fault]
) -> pd.Series:
    """The number of the image of each row, ``[row]``; 0 where it is wrong."""
    if index is None:
        if len(manifest) != n:
            found = f"it has {len(manifest):,} rows, and there are {n:,} images"
            faults.append(Fault(where, found, "Name the column with the number in 'index'."))
        return pd.Series(range(len(manifest)))
    numbers = manifest[index]
    good = numbers.str.fullmatch(r"\d{1,12}") & (
        pd.to_numeric(numbers, errors="coerce").fillna(n) < n
    )
    faults.extend(listed(_number_faults(numbers, good, n, where, index), where, index))
    return pd.to_numeric(numbers.where(good, "0")).astype("int64")


def _number_faults(
    numbers: pd.Series, good: pd.Series, n: int, where: str, index: str
) -> Iterator[Fault]:
    for row, value in enumerate(numbers, start=1):
        if not good.iloc[row - 1]:
            remedy = f"There are {n:,} images, counted from 0."
            yield Fault(where, f"'{value}' is no image", remedy, row, index)


def _first_out_of_range(images: NDArray[Any], where: str) -> Fault | None:
    """The fault of floats that are not in [0, 1], with the range of all and the first place."""
    if not np.issubdtype(images.dtype, np.floating):
        return None
    parts = range(0, len(images), AT_ONCE)
    wrong = [at for at in parts if range_fault(images[at : at + AT_ONCE], where)]
    if not wrong:
        return None
    first = images[wrong[0] : wrong[0] + AT_ONCE]
    outside = ~((first >= 0) & (first <= 1)).reshape(len(first), -1).all(axis=1)
    image = wrong[0] + int(outside.argmax())
    fault = range_fault(images[image], f"{where}, image {image}")
    ends = [float(np.nanmin(images)), float(np.nanmax(images))]
    if fault is None:
        return None
    found = f"{fault.found}; those of all images run from {ends[0]:g} to {ends[1]:g}"
    return Fault(fault.where, found, fault.remedy)
