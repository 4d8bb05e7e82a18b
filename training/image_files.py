"""Reads cohorts of a manifest and the files that it names, in a folder or a zip."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from string import Formatter

import pandas as pd
from pydantic import field_validator

from evaluation.errors import Fault
from training.cohort import Cohort, CohortSchema, fingerprint_of, inside
from training.image_store import ImageStore, open_stores
from training.imaging import InputContract, Pixels
from training.manifest import columns_of, listed, table_of
from training.manifest_source import ManifestSource

#: Gives the pixels of a file of a store.
Decode = Callable[[ImageStore, str, InputContract], Pixels]


class FileSettings(ManifestSource):
    """Where the files are, all below the root of the cohort.

    Attributes:
        images: Folder or ``.zip`` that holds the images, or several of them. None is unpacked.
        pattern: Path of an image in there. Columns of the manifest stand in braces:
            ``{image_id}.jpg``, ``{patient}/{study}.png``. With ``*`` for what the manifest does
            not say, exactly one file must fit.
    """

    images: str | tuple[str, ...]
    pattern: str

    @field_validator("images")
    @classmethod
    def _inside(cls, paths: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for path in (paths,) if isinstance(paths, str) else paths:
            inside(path)
        return paths

    @field_validator("pattern")
    @classmethod
    def _plain(cls, pattern: str) -> str:
        # only {column}: a format string could otherwise reach into objects
        for _, field, form, conversion in Formatter().parse(pattern):
            if field is not None and (
                not field or form or conversion or set(field) & set(".[")
            ):
                raise ValueError(
                    "write each column as {column}, with nothing else in the braces"
                )
        return pattern

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the pattern names, each once."""
        named = (field for _, field, _, _ in Formatter().parse(self.pattern) if field)
        return tuple(dict.fromkeys(named))

    def paths(self, manifest: pd.DataFrame) -> pd.Series:
        """Path of each image, ``[n]``."""
        rows = manifest[list(self.columns)].to_dict("records")
        return pd.Series(
            [self.pattern.format_map(row) for row in rows], index=manifest.index, dtype=str
        )


def read_files(
    schema: CohortSchema,
    settings: FileSettings,
    root: Path,
    decode: Decode,
    *,
    parts: Callable[[str], Iterable[str]] = lambda name: (name,),
    source: Iterable[str] = (),
    whole: bool = False,
) -> Cohort:
    """Read the manifest and see that every image is there. The images are not decoded.

    Args:
        schema: What the columns mean.
        settings: Where the files are.
        root: Folder that the settings start from.
        decode: How a file becomes pixels.
        parts: The files that an image consists of; itself alone if not given.
        source: What pixels depend on besides the files, for the fingerprint.
        whole: Whether each image is one file, which says all that its pixels depend on.

    Raises:
        InputError: With every fault of the manifest: columns, ids, labels, attributes, image
            paths that lead out of the folder, and images that are not there.
    """
    needed = columns_of(schema) | dict.fromkeys(settings.columns, "pattern of the image path")
    manifest, where, unused = settings.read(root, needed)
    label = manifest[schema.label.column]
    unused += schema.label.left_out_of(label)
    manifest = manifest[~schema.label.unused(label)]
    folders = [settings.images] if isinstance(settings.images, str) else settings.images
    store = open_stores([root / folder for folder in folders])
    images = settings.paths(manifest)
    if "*" in settings.pattern:
        images = _found(images, store.names())
    column = settings.columns[0] if settings.columns else None
    faults = listed(_image_faults(images, store, where, column, parts), where, column)
    table = table_of(schema, manifest, where, images, faults)

    def load(image: str, contract: InputContract) -> Pixels:
        return decode(store, image, contract)

    files = (part for image in table["image"] for part in parts(image))
    fingerprint = fingerprint_of(table, [*source, *store.signatures(files)])
    content = store.read if whole else None
    return Cohort(schema, table, load, fingerprint, unused, content)


def _found(patterns: pd.Series, names: list[str]) -> pd.Series:
    """The one file that fits each pattern; the pattern itself where none or several fit."""

    def one(pattern: str) -> str:
        # An asterisk stands for a part of one name, never for a folder.
        shape = re.compile(re.escape(pattern).replace(r"\*", "[^/]*"))
        fitting = [name for name in names if shape.fullmatch(name)]
        return fitting[0] if len(fitting) == 1 else pattern

    return patterns.map(one)


def _image_faults(
    images: pd.Series,
    store: ImageStore,
    where: str,
    column: str | None,
    parts: Callable[[str], Iterable[str]],
) -> Iterator[Fault]:
    for row, image in zip(images.index + 1, images, strict=True):
        for name in parts(image):
            try:
                there = inside(name) in store
            except ValueError as error:
                yield Fault(where, f"image path {error}", "Correct the value.", row, column)
                break
            if not there and "*" in name:
                remedy = "Add the file, or make the pattern fit one file only."
                found = f"not exactly one file of {store.path} is called '{name}'"
                yield Fault(where, found, remedy, row, column)
            elif not there:
                remedy = "Add the file, correct the pattern, or take the row out."
                yield Fault(where, f"no image '{name}' in {store.path}", remedy, row, column)
