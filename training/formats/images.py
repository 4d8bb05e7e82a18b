"""A manifest and a folder or zip of PNG and JPEG files, read where they lie."""

from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import ClassVar

import pandas as pd
from pydantic import field_validator

from evaluation.errors import Fault
from evaluation.settings import Settings
from training.cohort import Cohort, CohortSchema, fingerprint_of, inside
from training.format import Format
from training.image_store import ImageStore, open_store
from training.imaging import InputContract, Pixels, decode
from training.manifest import check_columns, columns_of, listed, read_manifest, table_of


class ImagesSettings(Settings):
    """Where the files are, all below the root of the cohort.

    Attributes:
        manifest: CSV file with one row an image.
        images: Folder or ``.zip`` that holds the images. It is not unpacked.
        pattern: Path of an image in there. Columns of the manifest stand in braces:
            ``{image_id}.jpg``, ``{patient}/{study}.png``.
    """

    manifest: str
    images: str
    pattern: str

    @field_validator("manifest", "images")
    @classmethod
    def _inside(cls, path: str) -> str:
        return inside(path)

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
        """The columns that the pattern names."""
        return tuple(field for _, field, _, _ in Formatter().parse(self.pattern) if field)

    def paths(self, manifest: pd.DataFrame) -> pd.Series:
        """Path of each image, ``[n]``."""
        rows = manifest[list(self.columns)].to_dict("records")
        return pd.Series(
            [self.pattern.format_map(row) for row in rows], index=manifest.index, dtype=str
        )


class Images(Format):
    """Files and a manifest."""

    settings_type: ClassVar[type[ImagesSettings]] = ImagesSettings
    settings: ImagesSettings

    def read(self, schema: CohortSchema, root: Path) -> Cohort:
        """Read the manifest and see that every image is there. The images are not decoded.

        Raises:
            InputError: With every fault of the manifest: columns, ids, labels, attributes,
                image paths that lead out of the folder, and images that are not there.
        """
        settings, path = self.settings, root / self.settings.manifest
        manifest, where = read_manifest(path), str(path)
        needed = columns_of(schema) | dict.fromkeys(
            settings.columns, "pattern of the image path"
        )
        check_columns(manifest, needed, where)
        store = open_store(root / settings.images)
        images = settings.paths(manifest)
        faults = listed(_image_faults(images, store, where, self._column), where, self._column)
        table = table_of(schema, manifest, where, images, faults)

        def load(image: str, contract: InputContract) -> Pixels:
            return decode(store.read(image), contract, f"{store.path}/{image}")

        return Cohort(
            schema, table, load, fingerprint_of(table, store.signatures(table["image"]))
        )

    @property
    def _column(self) -> str | None:
        return self.settings.columns[0] if self.settings.columns else None


def _image_faults(
    images: pd.Series, store: ImageStore, where: str, column: str | None
) -> Iterator[Fault]:
    for row, name in enumerate(images, start=1):
        try:
            there = inside(name) in store
        except ValueError as error:
            yield Fault(where, f"image path {error}", "Correct the value.", row, column)
            continue
        if not there:
            remedy = "Add the file, correct the pattern, or take the row out."
            yield Fault(where, f"no image '{name}' in {store.path}", remedy, row, column)
