"""A folder or zip of DICOM files, whose headers are the manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
from pydantic import field_validator

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from training.cohort import Cohort, CohortSchema, fingerprint_of, inside
from training.format import Format
from training.image_store import open_store
from training.imaging import InputContract, Pixels
from training.manifest import check_columns, columns_of, read_manifest, table_of
from training.readers import reader

if TYPE_CHECKING:
    from training.dicom_folder import DicomFile


class Labels(Settings):
    """A CSV file with what the headers do not say.

    Attributes:
        file: The file, below the root of the cohort. A cohort may name any of its columns but
            the key; columns that headers have too are taken from the headers.
        column: Column of the file with the key.
        key: What the column holds: an identifier as it stands in the headers, or the name of
            the DICOM file, with or without its folder and suffix.
    """

    file: str
    column: str
    key: Literal[
        "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "filename"
    ] = "SOPInstanceUID"

    @field_validator("file")
    @classmethod
    def _inside(cls, path: str) -> str:
        return inside(path)


class DicomSettings(Settings):
    """Where the files are, and what one sample is.

    Attributes:
        images: Folder, searched at any depth, or ``.zip``, below the root of the cohort. Files
            that are no DICOM files are passed over, unless their names say that they are.
        labels: Where columns come from that headers do not have; without it the label is an
            element such as BodyPartExamined.
        samples: ``file`` for one sample a file, ``series`` for one a series, a volume of its
            slices.
        salt: Text that the hashes of identifiers begin with. Keep it secret, and the same for
            cohorts that share patients: who knows it can find out whether an identifier that
            he knows is among them.
    """

    images: str
    labels: Labels | None = None
    samples: Literal["file", "series"] = "file"
    salt: str = ""

    @field_validator("images")
    @classmethod
    def _inside(cls, path: str) -> str:
        return inside(path)


class Dicom(Format):
    """DICOM files and their headers."""

    settings_type: ClassVar[type[DicomSettings]] = DicomSettings
    settings: DicomSettings

    def read(self, schema: CohortSchema, root: Path) -> Cohort:
        """Read every header. The pixels are not read.

        Columns of the cohort are the elements that :mod:`training.dicom_table` lists, with
        PatientID and the unique identifiers hashed, and the columns of the labels. The columns
        for sample and patient are hashed wherever they come from, so that nobody is named in
        the table, the fingerprint or a message.

        Raises:
            InputError: With every fault: files that are damaged, hold no pixels or are there
                twice, files without a label, and what is wrong with the columns.
        """
        store = open_store(root / self.settings.images)
        where = str(store.path)
        folder, tables = reader("dicom_folder", where), reader("dicom_table", where)
        hashed = tables.hasher(self.settings.salt)
        faults: list[Fault] = []
        found: list[DicomFile] = folder.dicom_files(store, hashed, faults)
        if not found:
            nothing = "it holds no DICOM file that can be read"
            raise InputError(*faults, Fault(where, nothing, "Check the setting 'images'."))
        samples = self._samples(found, hashed)
        first = [files[0] for files in samples.values()]
        manifest = self._manifest(first, root, folder, faults)
        check_columns(manifest, columns_of(schema), where)
        for column in {schema.sample, schema.patient} - set(tables.HASHED):
            manifest[column] = manifest[column].map(hashed)
        label = manifest[schema.label.column]
        unused = schema.label.unused(label).to_numpy()
        images = pd.Series(list(samples))[~unused]
        table = table_of(schema, manifest[~unused], where, images, faults)

        def load(image: str, contract: InputContract) -> Pixels:
            files = [(store.read(file.name), file.shown) for file in samples[image]]
            if len(files) > 1 and contract.dimensions == 2:
                remedy = "Set dimensions to 3, or samples to 'file'."
                several = "it is a series, and the model takes images"
                raise InputError(Fault(files[0][1], several, remedy))
            pixels: Pixels = reader("dicom", where).decode_series(files, contract)
            return pixels

        names = [file.name for files in samples.values() for file in files]
        source = [self.settings.samples, *store.signatures(names)]
        fingerprint = fingerprint_of(table, source)

        def content(image: str) -> bytes:
            return store.read(samples[image][0].name)

        whole = self.settings.samples == "file"
        left_out = schema.label.left_out_of(label)
        return Cohort(schema, table, load, fingerprint, left_out, content if whole else None)

    def _samples(
        self, found: "list[DicomFile]", hashed: Callable[[str], str]
    ) -> "dict[str, list[DicomFile]]":
        """The files of each sample, by the hash of what identifies it."""
        by = "SOPInstanceUID" if self.settings.samples == "file" else "SeriesInstanceUID"
        samples: dict[str, list[DicomFile]] = {}
        for file in found:
            samples.setdefault(hashed(file.identifiers[by]), []).append(file)
        return samples

    def _manifest(
        self, files: "list[DicomFile]", root: Path, folder: Any, faults: list[Fault]
    ) -> pd.DataFrame:
        labels = self.settings.labels
        if labels is None:
            return pd.DataFrame([file.columns for file in files])
        path = root / labels.file
        read = read_manifest(path)
        check_columns(read, {labels.column: "key of the labels"}, str(path))
        manifest: pd.DataFrame = folder.with_labels(
            files, read, labels.column, labels.key, str(path), faults
        )
        return manifest
