"""A cohort: a table of samples, and the pixels of each."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.groups import Attribute
from evaluation.settings import Settings
from training.format import FORMATS
from training.imaging import InputContract, Pixels
from training.left_out import LeftOut, either, left_out

#: Environment variable with the folder that holds the data of all cohorts; ``data`` if it is
#: not set.
DATA = "EVENSCAN_DATA"

#: Columns that a cohort or its predictions have anyway, so no attribute may be called so.
RESERVED = ("sample", "patient", "image", "label", "split", "score", "combination")

Loader = Callable[[str, InputContract], Pixels]


class LabelSchema(Settings):
    """Where the label is and what its values mean.

    Attributes:
        column: Column of the manifest.
        classes: Class name to its values in the manifest, in the order of the class index. Of
            two classes the second is the positive one. ``*`` stands for every value that no
            class lists.
        separator: If given, a field is a list of values with this between them, and belongs to
            the first class that lists one of them.
        left_out: Values of rows that take no part, such as an uncertain finding; of a list,
            rows that hold nothing else.
    """

    column: str
    classes: dict[str, tuple[str, ...]]
    separator: str | None = Field(default=None, min_length=1)
    left_out: tuple[str, ...] = ()

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if len(classes) < 2:
            raise ValueError(f"at least two classes are needed, got {len(classes)}")
        if empty := [name for name, values in classes.items() if not values]:
            raise ValueError(f"class '{empty[0]}' has no values")
        values = [value for values in classes.values() for value in values]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"value '{twice[0]}' is listed twice; each value means one class")
        return classes

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        listed = {value for values in self.classes.values() for value in values}
        if both := sorted(listed & set(self.left_out)):
            raise ValueError(f"value '{both[0]}' is of a class and left out")
        return self

    def indices(self, values: pd.Series) -> pd.Series:
        """Class index of each value, ``[n]``; -1 where it belongs to no class.

        >>> label = LabelSchema(
        ...     column="findings", separator="|", classes={"no": ["*"], "yes": ["Mass"]})
        >>> label.indices(pd.Series(["Edema|Mass", "Edema"])).tolist()
        [1, 0]
        """
        index_of = {v: k for k, named in enumerate(self.classes.values()) for v in named}
        rest = index_of.pop("*", -1)

        def index(value: str) -> int:
            known = [index_of[part] for part in self._parts(value) if part in index_of]
            return min(known, default=rest)

        return values.map({value: index(value) for value in values.unique()}).astype("int64")

    def unused(self, values: pd.Series) -> pd.Series:
        """Whether the row of each value takes no part, ``[n]`` bool.

        >>> label = LabelSchema(
        ...     column="keywords", separator=",", left_out=["dust"],
        ...     classes={"normal": ["normal"], "abnormal": ["*"]})
        >>> label.unused(pd.Series(["dust, dust", "dust, normal", "drusen"])).tolist()
        [True, False, False]
        """
        unused = set(self.left_out)
        known = {value: unused.issuperset(self._parts(value)) for value in values.unique()}
        return values.map(known).astype(bool)

    def left_out_of(self, values: pd.Series) -> tuple[LeftOut, ...]:
        """The rows that take no part.

        Args:
            values: ``[n]``, by row of the file, from 0.
        """
        reason = f"'{self.column}' is {either(self.left_out)}"
        return left_out(reason, values.index[self.unused(values)])

    def _parts(self, value: str) -> list[str]:
        parts = value.split(self.separator) if self.separator else [value]
        return [part.strip() for part in parts]


class AttributeSchema(Settings):
    """Where an attribute is and how groups are made of it.

    Attributes:
        column: Column of the manifest; the name of the attribute if not given.
        categories: See :class:`evaluation.groups.Attribute`.
        bins: The same, in ``unit``.
        unit: Unit of a numeric attribute.
    """

    column: str | None = None
    categories: tuple[str, ...] = ()
    bins: tuple[float, ...] = ()
    unit: str = ""

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers: they have bins or a unit."""
        return bool(self.bins or self.unit)


class CohortSchema(Settings):
    """A file of ``cohorts/``: which data, where, and which column means what.

    Attributes:
        name: Short name.
        title: One line for reports.
        licence: Licence of the data; it binds whoever uses them.
        citation: What to cite.
        url: Where the publisher offers the data.
        format: Name of the format, a file of ``training/formats``.
        source: Settings of the format.
        root: Folder of the data below :func:`data_root`.
        sample: Column that identifies a sample.
        patient: Column that identifies a patient, or the lesion or subject that images share.
            Samples of one patient are never split.
        label: The label.
        attributes: Name to where it is found.
        missing: Values that mean "not known" in every attribute, besides an empty field.
        modality: Modalities of the images as DICOM calls them, such as ``DX`` and ``CR``. A
            model that was trained on them refuses DICOM files of any other; none: it takes all.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    title: str = ""
    licence: str = ""
    citation: str = ""
    url: str = ""
    format: str
    source: dict[str, Any] = Field(default_factory=dict)
    root: str = ""
    sample: str
    patient: str
    label: LabelSchema
    attributes: dict[str, AttributeSchema] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()

    @field_validator("root")
    @classmethod
    def _inside(cls, root: str) -> str:
        return inside(root)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if clash := sorted(set(self.attributes) & set(RESERVED)):
            raise ValueError(
                f"no attribute may be called '{clash[0]}'; every cohort has such a column"
            )
        for name in self.attributes:
            self.attribute(name)
        self.parse_source()
        return self

    def parse_source(self) -> Settings:
        """The settings of the format.

        Raises:
            InputError: There is no such format, or ``source`` does not fit it.
        """
        FORMATS.check(self.format, f"cohort {self.name}")
        return FORMATS.get(self.format).settings_type.parse(
            self.source, f"cohort {self.name}, source"
        )

    def attribute(self, name: str) -> Attribute:
        """How groups are made of an attribute.

        Raises:
            InputError: There is none of this name.
        """
        if name not in self.attributes:
            raise unknown_name("attribute", name, self.attributes, f"cohort {self.name}")
        declared = self.attributes[name]
        return Attribute(
            name=name, categories=declared.categories, bins=declared.bins, unit=declared.unit
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the class index."""
        return tuple(self.label.classes)


@dataclass(frozen=True)
class Cohort:
    """Samples with their labels and attributes, and a way to their pixels.

    Attributes:
        schema: What the columns mean.
        table: Indexed by sample (unique text), with the columns patient (text), image (text,
            what ``load`` takes), label (class index) and one for each attribute (as read; NaN
            where missing).
        load: Pixels of an image, uint8 ``[channel, size, size]``. May be called from several
            threads.
        fingerprint: Hash of the table and of where the pixels come from. A cache made for it
            stays valid.
        unused: Rows of the manifest that take no part, by declaration.
        content: The file that an image is, as it lies there; None if images are not files of
            their own.
    """

    schema: CohortSchema
    table: pd.DataFrame
    load: Loader
    fingerprint: str
    unused: tuple[LeftOut, ...] = ()
    content: Callable[[str], bytes] | None = None

    @property
    def left_out(self) -> int:
        """How many rows of the manifest take no part."""
        return sum(each.rows for each in self.unused)

    def pixels(self, sample: str, contract: InputContract) -> Pixels:
        """One image, ``[channel, size, size]`` in 0 to 255.

        Raises:
            InputError: There is no such sample, or its image cannot be read.
        """
        if sample not in self.table.index:
            remedy = f"Samples are named by the column '{self.schema.sample}'."
            raise InputError(
                Fault(f"cohort {self.schema.name}", f"no sample '{sample}'", remedy)
            )
        return self.load(str(self.table.at[sample, "image"]), contract)

    def image(self, sample: str, contract: InputContract) -> NDArray[np.float32]:
        """One image, ``[channel, size, size]`` in [0, 1]."""
        return self.pixels(sample, contract).astype(np.float32) / np.float32(255)

    def grouped(self) -> pd.DataFrame:
        """Indexed by sample: ``patient``, ``label`` and the group of each attribute, as text.

        Raises:
            InputError: An attribute holds a value that its schema does not know.
        """
        table = self.table[["patient", "label"]].copy()
        for name in self.schema.attributes:
            values = self.schema.attribute(name).values(
                self.table[name], f"cohort {self.schema.name}"
            )
            table[name] = values.astype(str)
        return table

    def __str__(self) -> str:
        """The cohort in one line."""
        counts = np.bincount(self.table["label"], minlength=len(self.schema.classes))
        classes = ", ".join(
            f"{count:,} {name}" for name, count in zip(self.schema.classes, counts, strict=True)
        )
        named = ", ".join(self.schema.attributes) or "none"
        patients = self.table["patient"].nunique()
        return (
            f"{self.schema.name}: {len(self.table):,} images of {patients:,} patients "
            f"({classes}); attributes: {named}"
            + (f"; {self.left_out:,} rows left out" if self.left_out else "")
        )


def data_root() -> Path:
    """The folder that holds the data of all cohorts, from the environment."""
    return Path(os.environ.get(DATA) or "data")


def read_cohort(schema: CohortSchema, root: Path | None = None) -> Cohort:
    """Read a cohort with its format.

    Args:
        schema: What to read.
        root: Folder of the data, instead of the schema's folder below :func:`data_root`.

    Raises:
        InputError: With every fault of the manifest, in one.
    """
    settings = schema.parse_source()
    folder = data_root() / schema.root if root is None else root
    return FORMATS.get(schema.format)(settings).read(schema, folder)


def inside(path: str) -> str:
    """The path, if it leads nowhere but down.

    Raises:
        ValueError: It is absolute, or climbs with ``..``.
    """
    if "\\" in path or "\0" in path or ":" in path or PurePosixPath(path).is_absolute():
        raise ValueError(f"'{path}' must be a relative path with forward slashes")
    if ".." in PurePosixPath(path).parts:
        raise ValueError(f"'{path}' must not climb out of its folder with '..'")
    return path


def fingerprint_of(table: pd.DataFrame, source: Iterable[str]) -> str:
    """Hash of a cohort.

    Args:
        table: The table of a cohort.
        source: Whatever the pixels depend on, such as the sizes and checksums of the files.

    Returns:
        64 hexadecimal digits.
    """
    digest = sha256(table.to_csv(lineterminator="\n").encode())
    for part in source:
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()
