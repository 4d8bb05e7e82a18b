"""A manifest and a folder or zip of NIfTI or Analyze volumes, read where they lie."""

from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from training.cohort import Cohort, CohortSchema
from training.format import Format
from training.image_files import FileSettings, read_files
from training.image_store import ImageStore
from training.imaging import InputContract, Pixels
from training.readers import reader

#: Settings that pixels depend on.
SHOWN = {"slice", "index", "window", "percentiles"}

#: The two files of a pair: header and voxels.
PAIR = (".hdr", ".img")


class NiftiSettings(FileSettings):
    """Where the volumes are, and how they are shown.

    Attributes:
        slice: Plane of the slice that a model of images takes.
        index: Which slice, from 0, in voxels counted from the patient's feet, back or left;
            the middle one if not given.
        window: Values that become 0 and 255; they have a meaning in computed tomography.
        percentiles: Where there is no window, the percentiles, in [0, 100], of the voxels of a
            volume that are not 0, that become 0 and 255. In magnetic resonance the unit is
            arbitrary; half a percent on each side is a common choice against bright vessels.
    """

    slice: Literal["axial", "coronal", "sagittal"] = "axial"
    index: int | None = Field(default=None, ge=0)
    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError("percentiles must rise within 0 to 100")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError("the window must have its lower end first")
        return self


class Nifti(Format):
    """Volumes and a manifest."""

    settings_type: ClassVar[type[NiftiSettings]] = NiftiSettings
    settings: NiftiSettings

    def read(self, schema: CohortSchema, root: Path) -> Cohort:
        """Files are ``.nii``, ``.nii.gz``, or one of a pair ``.hdr`` and ``.img``.

        See :func:`training.image_files.read_files` for what is checked, and
        :func:`training.nifti.decode_nifti` for how pixels come about.
        """
        reader("nifti", f"cohort {schema.name}")
        shown = self.settings.model_dump_json(include=SHOWN)
        return read_files(
            schema, self.settings, root, self._decoded, parts=_parts, source=[shown]
        )

    def _decoded(self, store: ImageStore, image: str, contract: InputContract) -> Pixels:
        where = f"{store.path}/{image}"
        files = [store.read(part) for part in _parts(image)]
        pixels: Pixels = reader("nifti", where).decode_nifti(
            files,
            contract,
            where,
            plane=self.settings.slice,
            index=self.settings.index,
            window=self.settings.window,
            percentiles=self.settings.percentiles,
        )
        return pixels


def _parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    if path.suffix in PAIR:
        return tuple(str(path.with_suffix(suffix)) for suffix in PAIR)
    return (name,)
