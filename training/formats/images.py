"""A manifest and a folder or zip of PNG, JPEG and TIFF files, read where they lie."""

from pathlib import Path
from typing import ClassVar

from training.cohort import Cohort, CohortSchema
from training.format import Format
from training.image_files import FileSettings, read_files
from training.image_store import ImageStore
from training.imaging import InputContract, Pixels, decode


class ImagesSettings(FileSettings):
    """Where the files are, see :class:`training.image_files.FileSettings`."""


class Images(Format):
    """Files and a manifest."""

    settings_type: ClassVar[type[ImagesSettings]] = ImagesSettings
    settings: ImagesSettings

    def read(self, schema: CohortSchema, root: Path) -> Cohort:
        """See :func:`training.image_files.read_files`."""
        return read_files(schema, self.settings, root, _decoded, whole=True)


def _decoded(store: ImageStore, image: str, contract: InputContract) -> Pixels:
    return decode(store.read(image), contract, f"{store.path}/{image}")
