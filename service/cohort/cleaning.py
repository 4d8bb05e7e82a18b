"""Writes what is kept of a cohort: cleaned images in a zip, and a table of them."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import pandas as pd

from evaluation.errors import Fault, InputError
from service.cohort.deidentify import cleaned
from service.cohort.identities import Identities
from training.cohort import Cohort, CohortSchema
from training.cohort_report import duplicates
from training.image_header import image_header
from training.imaging import InputContract, decode
from training.manifest import every_fault, listed

#: What images are decoded to when they are checked.
CHECKED: Final = InputContract(size=64, channels=3)

#: Columns of a kept table that no attribute can be called.
SAMPLE, PATIENT, IMAGE, LABEL = "sample", "patient", "image", "label"

#: Files of a kept cohort.
TABLE, IMAGES = "table.csv", "images.zip"

#: Most sizes of images that a report lists.
MOST_SIZES: Final = 20


def kept_schema(schema: CohortSchema) -> CohortSchema:
    """How what is kept of a cohort is read: with the names that its schema gives, not takes."""
    label = schema.label.model_copy(
        update={
            "column": LABEL,
            "classes": {name: (name,) for name in schema.classes},
            "separator": None,
            "left_out": (),
        }
    )
    attributes = {
        name: declared.model_copy(update={"column": None})
        for name, declared in schema.attributes.items()
    }
    return schema.model_copy(
        update={
            "format": "images",
            "source": {"manifest": TABLE, "images": IMAGES, "pattern": f"{{{IMAGE}}}"},
            "root": "",
            "sample": SAMPLE,
            "patient": PATIENT,
            "label": label,
            "attributes": attributes,
            "missing": (),
        }
    )


class Cleaning:
    """Writes the images of a cohort one by one, and takes note of what they are."""

    def __init__(
        self, cohort: Cohort, hidden: Cohort, identities: Identities, rows: Sequence[int]
    ) -> None:
        """Clean a cohort.

        Args:
            cohort: Whose images are files of their own.
            hidden: The same without who it is.
            identities: Pseudonyms for DICOM.
            rows: Row of the manifest of each sample, ``[n]``, for messages.
        """
        self.cohort, self.hidden, self.rows = cohort, hidden, rows
        self.identities, self.schema, self.content = identities, cohort.schema, sha256()
        self.order = sorted(range(len(rows)), key=lambda k: str(hidden.table.index[k]))
        self.names: dict[int, str] = {}
        self.pixels: dict[str, str] = {}
        self.kinds: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def write(self, folder: Path) -> Iterator[float]:
        """Write everything into a folder; yields the share that is done.

        Raises:
            InputError: Images cannot be read, or say that their pixels name somebody; all of
                them at once.
        """
        faults: list[Fault] = []
        with ZipFile(folder / IMAGES, "w", ZIP_STORED) as zipped:
            for place, k in enumerate(self.order):
                yield place / len(self.order)
                try:
                    self._image(k, place, zipped)
                except InputError as error:
                    faults += error.faults
        if faults:
            with every_fault():
                raise InputError(*listed(iter(faults), "images"))
        self._table().to_csv(folder / TABLE, lineterminator="\n")

    def report(self) -> dict[str, Any]:
        """What the images are, as JSON: ``formats``, ``sizes`` and ``duplicates``."""
        return {
            "formats": dict(self.kinds.most_common()),
            "sizes": dict(self.sizes.most_common(MOST_SIZES)),
            "more_sizes": max(0, len(self.sizes) - MOST_SIZES),
            "duplicates": duplicates(self.hidden.table, self.pixels),
        }

    def _image(self, k: int, place: int, zipped: ZipFile) -> None:
        """Clean one image.

        Args:
            k: Row of the table.
            place: Its number among those that are kept, which becomes its name.
            zipped: Where it goes.

        Raises:
            InputError: It cannot be read.
        """
        where = f"image of row {self.rows[k]}"
        data, pixels = self._read(k, where)
        header = image_header(data, where)
        kind = header.kind if header else "image"
        self.kinds[kind] += 1
        if header:
            self.sizes[f"{header.width} x {header.height}"] += 1
        self.names[k] = f"{place:08d}.{kind.lower()}"
        zipped.writestr(ZipInfo(self.names[k]), data)
        sample = str(self.hidden.table.index[k])
        self.pixels[sample] = sha256(pixels + str(header and header.width).encode()).hexdigest()
        line = json.dumps([sample, *self._values(k), sha256(data).hexdigest()])
        self.content.update(line.encode() + b"\n")

    def _read(self, k: int, where: str) -> tuple[bytes, bytes]:
        """A cleaned file, and its pixels."""
        assert self.cohort.content is not None
        try:
            data = self.cohort.content(str(self.hidden.table["image"].iloc[k]))
        except InputError:  # which has the name of the file
            raise InputError(Fault(where, "it cannot be read", "Send it again.")) from None
        data = cleaned(data, self.identities, where)
        return data, decode(data, CHECKED, where).tobytes()

    def _table(self) -> pd.DataFrame:
        """What is kept of the manifest, by sample."""
        names = [self.hidden.table.index[k] for k in self.order]
        values = [[self.names[k], *self._values(k)] for k in self.order]
        columns = [IMAGE, PATIENT, LABEL, *self.schema.attributes]
        return pd.DataFrame(values, index=pd.Index(names, name=SAMPLE), columns=columns)

    def _values(self, k: int) -> list[str]:
        row = self.hidden.table.iloc[k]
        label = self.schema.classes[int(row["label"])]
        named = (row[name] for name in self.schema.attributes)
        return [str(row["patient"]), label, *("" if pd.isna(v) else str(v) for v in named)]
