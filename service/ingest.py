"""The steps of taking a cohort in: unpack, check, take out who it is, keep."""

import errno
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import pandas as pd
from pydantic import Field

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from service import tables
from service.archive import Bounds, unpack
from service.cohorts import DIGITS, Cohorts, registered, version_of
from service.deidentify import Identities, cleaned, told
from service.secret import secret_of
from service.workflow import Found, Step, Workflow
from training.cohort import Cohort, CohortSchema, read_cohort
from training.cohort_report import cohort_report, duplicates
from training.image_header import image_header
from training.imaging import InputContract, decode
from training.manifest import every_fault, listed
from training.manifest_source import ManifestSource

#: Formats whose images are files of their own, which can be cleaned one by one.
UPLOADED: Final = ("images", "dicom")

#: What images are decoded to when they are checked.
CHECKED: Final = InputContract(size=64, channels=3)

#: Columns of a kept table that no attribute can be called.
SAMPLE, PATIENT, IMAGE, LABEL = "sample", "patient", "image", "label"

#: What nobody can promise, said in every report.
PIXELS: Final = (
    "Headers and file names were cleaned. No program can prove that pixels name nobody: look "
    "at images that may have text burned in, or faces."
)


class Part(Settings):
    """A file of an upload.

    Attributes:
        file: Its name in the folder of the upload.
        name: What its sender calls it.
        size: In bytes.
    """

    file: str = Field(pattern=r"^part-[0-9]+$")
    name: str
    size: int = 0


class Request(Settings):
    """What is to be taken in.

    Attributes:
        cohort: The cohort's file, as read from its TOML.
        tables: Manifest, and the tables that are joined to it.
        images: Zips.
        folder: Instead of these, the folder to register.
    """

    cohort: dict[str, Any]
    tables: tuple[Part, ...] = ()
    images: tuple[Part, ...] = ()
    folder: str | None = None


class CohortFaults(InputError):
    """Every fault of a cohort; told as a number, since there may be thousands."""

    def __str__(self) -> str:
        """How many there are, and the first."""
        count = len(self.faults)
        more = "" if count == 1 else f" There are {count:,} faults; the job lists them."
        return f"{self.faults[0]}{more}"


class Ingestion(Workflow):
    """Takes a cohort in. Each step begins anew after a crash; the last one keeps once."""

    def check(self) -> None:
        """Refuse a schema that cannot be used, and files that are not there.

        Raises:
            InputError: Every fault.
        """
        asked, schema = self._asked()
        if asked.folder is not None:
            registered(asked.folder, self.task.place.settings)
            return
        if schema.format not in UPLOADED or schema.source.get("samples") == "series":
            found = f"images of the format '{schema.format}' cannot be cleaned one by one"
            remedy = "Register the folder, or upload files of their own."
            raise InputError(Fault("schema", found, remedy, column="format"))
        self._placed(asked, schema)

    def steps(self) -> Sequence[Step]:
        """From zips to a version."""
        if self.task.request.get("folder") is not None:
            return [Step("validate", self.look), Step("keep", self.register, lasting=True)]
        return [
            Step("unpack", self.unpack),
            Step("validate", self.validate),
            Step("keep", self.keep, lasting=True),
        ]

    def unpack(self, found: Found) -> Found:
        """Put tables and images where the schema expects them."""
        asked, schema = self._asked()
        folder = self._raw
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archives = [(self.task.upload / part.file, part.name) for part in asked.images]
        bounds = Bounds(self.task.place.settings.max_unpacked_bytes)

        def tell(share: float) -> None:
            self.task.tell("unpack", share)

        made = unpack(archives, folder / "images", bounds, tell)
        placed, _ = self._placed(asked, schema)
        for part, name in placed.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.task.upload / part, folder / name)
        _without_top(folder / "images", _images_of(schema))
        self.task.log(
            f"unpack: {made.files:,} images of {made.bytes:,} bytes; "
            f"{len(made.passed_over)} files are no images"
        )
        return {"passed_over": len(made.passed_over)}

    def validate(self, found: Found) -> Found:
        """Check everything, and write what will be kept."""
        asked, original = self._asked()
        _, schema = self._placed(asked, original)
        try:
            with every_fault():
                cohort = read_cohort(schema, self._raw)
            identities = Identities(secret_of(self.task.place.settings), schema)
            hidden = identities.hidden(cohort)
            report = cohort_report(hidden)
        except InputError as error:
            raise CohortFaults(*told(error, schema, self._raw).faults) from None
        shutil.rmtree(self._kept, ignore_errors=True)
        self._kept.mkdir(parents=True)
        try:
            content, images = self._clean(cohort, hidden, identities)
        except OSError as error:
            shutil.rmtree(self._kept, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise InputError(_no_room()) from None
            raise
        report |= images | {"passed_over": found["passed_over"], "notes": [PIXELS]}
        if report["duplicates"]["patients"]:
            report["warnings"].append(
                f"{report['duplicates']['patients']} images are there under several patients: "
                "a split could put one into training and into the test."
            )
        _write_report(self._report, report)
        return {"fingerprint": version_of(_kept_schema(schema), content)}

    def keep(self, found: Found) -> Found:
        """Keep what was cleaned, unless the same is there already."""
        _, schema = self._asked()
        kept, directory = _kept_schema(schema), f"cohorts/{self.task.id}"
        row = self._row(kept, found["fingerprint"], directory=directory)
        return self._added(row, self._kept)

    def look(self, found: Found) -> Found:
        """Check a folder where it lies."""
        asked, schema = self._asked()
        settings = self.task.place.settings
        folder = registered(str(asked.folder), settings)
        try:
            with every_fault():
                cohort = read_cohort(schema, folder)
            report = cohort_report(cohort)
        except InputError as error:
            raise CohortFaults(*told(error, schema, folder).faults) from None
        notes = ["The folder stays as it is: files in it may still say who it is.", PIXELS]
        report |= {"notes": notes}
        _write_report(self._report, report)
        return {"fingerprint": version_of(schema, cohort.fingerprint)}

    def register(self, found: Found) -> Found:
        """Record the folder."""
        asked, schema = self._asked()
        row = self._row(schema, found["fingerprint"], source=asked.folder)
        return self._added(row, None)

    def _asked(self) -> tuple[Request, CohortSchema]:
        asked = Request.parse(self.task.request, "body")
        schema = CohortSchema.parse(asked.cohort, "schema")
        for name, declared in schema.attributes.items():
            if (declared.column or name) in (schema.patient, schema.sample):
                found = "it is the column of samples or patients, who may not be told"
                remedy = "Take the attribute out."
                raise InputError(Fault("schema", found, remedy, column=name))
        return asked, schema

    @property
    def _raw(self) -> Path:
        return self.task.directory / "raw"

    @property
    def _kept(self) -> Path:
        return self.task.directory / "kept"

    @property
    def _report(self) -> Path:
        return self.task.directory / "report.json"

    def _placed(
        self, asked: Request, schema: CohortSchema
    ) -> tuple[dict[str, str], CohortSchema]:
        """Where each table goes, and the schema that finds tables and images there.

        Raises:
            InputError: Tables are missing, or are not of the schema.
        """
        wanted = _tables_of(schema)
        given = {part.name: part for part in asked.tables}
        placed: dict[str, str] = {}
        renamed: dict[str, str] = {}
        faults = []
        for name in wanted:
            alone = len(wanted) == len(asked.tables) == 1
            part = asked.tables[0] if alone else given.pop(Path(name).name, None)
            if part is None:
                remedy = "Send it as a part 'manifest' under this name."
                faults.append(Fault("manifest", f"the table '{name}' is missing", remedy))
                continue
            suffix = "".join(Path(part.name).suffixes[-2:]).lower()
            known = suffix.endswith((".csv", ".tsv", ".xlsx", ".csv.gz"))
            renamed[name] = f"table-{len(placed)}{suffix if known else '.csv'}"
            placed[part.file] = renamed[name]
        if not faults and len(placed) < len(asked.tables):
            remedy = f"It reads {', '.join(wanted) or 'none'}."
            faults.append(Fault("manifest", "there are tables that it does not name", remedy))
        if not asked.images:
            faults.append(Fault("images", "there are none", "Send a zip as a part 'images'."))
        if faults:
            raise InputError(*faults)
        source = _renamed(schema.source, renamed) | {"images": "images"}
        return placed, schema.model_copy(update={"source": source, "root": ""})

    def _clean(
        self, cohort: Cohort, hidden: Cohort, identities: Identities
    ) -> tuple[str, dict[str, Any]]:
        """Write the table and the cleaned images; returns the hash of all, and what they are.

        Raises:
            InputError: Images cannot be read, or say that their pixels name somebody.
        """
        cleaning = _Cleaning(cohort, hidden, identities, self._rows(cohort))
        order = sorted(range(len(hidden.table)), key=lambda k: str(hidden.table.index[k]))
        faults: list[Fault] = []
        with ZipFile(self._kept / "images.zip", "w", ZIP_STORED) as zipped:

            def images() -> Iterator[Fault]:
                for done, k in enumerate(order):
                    self.task.tell("validate: images", done / len(order))
                    try:
                        cleaning.image(k, done, zipped)
                    except InputError as error:
                        yield from error.faults

            with every_fault():
                faults += listed(images(), "images")
        if faults:
            raise CohortFaults(*faults)
        cleaning.table(order).to_csv(self._kept / "table.csv", lineterminator="\n")
        return cleaning.content.hexdigest(), cleaning.report()

    def _rows(self, cohort: Cohort) -> list[int]:
        """Row of the manifest of each sample, from 1; without a manifest, of the table."""
        schema = cohort.schema
        source = schema.parse_source()
        if not isinstance(source, ManifestSource):
            return list(range(1, len(cohort.table) + 1))
        manifest = source.read(self._raw).table
        used = ~schema.label.unused(manifest[schema.label.column])
        return [int(row) + 1 for row in manifest.index[used]]

    def _row(self, schema: CohortSchema, fingerprint: str, **where: Any) -> tables.Cohort:
        return tables.Cohort(
            id=f"{schema.name}-{fingerprint[:DIGITS]}",
            name=schema.name,
            fingerprint=fingerprint,
            schema=schema.model_dump(mode="json"),
            report=json.loads(self._report.read_text(encoding="utf-8")),
            who=self.task.who,
            job=self.task.id,
            **where,
        )

    def _added(self, row: tables.Cohort, folder: Path | None) -> Found:
        place = self.task.place
        samples, patients = row.report["samples"], row.report["patients"]
        cohort = Cohorts(place.database, place.store, place.settings).add(row, folder)
        said = f"{samples:,} samples of {patients:,} patients are kept as {cohort}."
        return {"cohort": cohort, "reason": said}


class _Cleaning:
    """Writes cleaned images one by one, and takes note of what they are."""

    def __init__(
        self,
        cohort: Cohort,
        hidden: Cohort,
        identities: Identities,
        rows: Sequence[int],
    ) -> None:
        self.cohort, self.hidden, self.rows = cohort, hidden, rows
        self.identities, self.schema, self.content = identities, cohort.schema, sha256()
        self.names: dict[int, str] = {}
        self.pixels: dict[str, str] = {}
        self.kinds: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def image(self, k: int, place: int, zipped: ZipFile) -> None:
        """Clean one image.

        Args:
            k: Row of the table.
            place: Its number among those that are kept, which becomes its name.
            zipped: Where it goes.

        Raises:
            InputError: It cannot be read.
        """
        table, where = self.hidden.table.iloc[k], f"image of row {self.rows[k]}"
        assert self.cohort.content is not None
        try:
            data = self.cohort.content(str(table["image"]))
            data = cleaned(data, self.identities, where)
            pixels = decode(data, CHECKED, where).tobytes()
        except InputError as error:
            raise InputError(*(_at(fault, where) for fault in error.faults)) from None
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

    def table(self, order: Sequence[int]) -> pd.DataFrame:
        """What is kept of the manifest, by sample."""
        names = [self.hidden.table.index[k] for k in order]
        values = [[self.names[k], *self._values(k)] for k in order]
        columns = [IMAGE, PATIENT, LABEL, *self.schema.attributes]
        return pd.DataFrame(values, index=pd.Index(names, name=SAMPLE), columns=columns)

    def report(self) -> dict[str, Any]:
        """Of the images."""
        return {
            "formats": dict(self.kinds.most_common()),
            "sizes": dict(self.sizes.most_common(20)),
            "more_sizes": max(0, len(self.sizes) - 20),
            "duplicates": duplicates(self.hidden.table, self.pixels),
        }

    def _values(self, k: int) -> list[str]:
        row = self.hidden.table.iloc[k]
        label = self.schema.classes[int(row["label"])]
        named = (row[name] for name in self.schema.attributes)
        return [str(row["patient"]), label, *("" if pd.isna(v) else str(v) for v in named)]


def _kept_schema(schema: CohortSchema) -> CohortSchema:
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
    source = {"manifest": "table.csv", "images": "images.zip", "pattern": f"{{{IMAGE}}}"}
    return schema.model_copy(
        update={
            "format": "images",
            "source": source,
            "root": "",
            "sample": SAMPLE,
            "patient": PATIENT,
            "label": label,
            "attributes": attributes,
            "missing": (),
        }
    )


def _tables_of(schema: CohortSchema) -> list[str]:
    """The tables that a source names, the manifest first."""
    source = schema.source
    named = [source.get("manifest"), (source.get("labels") or {}).get("file")]
    named += [each.get("table") for each in source.get("join") or ()]
    return list(dict.fromkeys(filter(None, named)))


def _renamed(source: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The source with its tables under other names."""
    changed = dict(source)
    if "manifest" in source:
        changed["manifest"] = names[source["manifest"]]
    if source.get("labels"):
        changed["labels"] = source["labels"] | {"file": names[source["labels"]["file"]]}
    if source.get("join"):
        changed["join"] = [each | {"table": names[each["table"]]} for each in source["join"]]
    return changed


def _images_of(schema: CohortSchema) -> set[str]:
    """Names of the folders that the schema expects images in."""
    images = schema.source.get("images", ())
    return set((images,) if isinstance(images, str) else images)


def _without_top(folder: Path, expected: set[str]) -> None:
    """Take away the one folder that everything is in, if that is where images belong."""
    found = list(folder.iterdir())
    if len(found) == 1 and found[0].is_dir() and found[0].name in expected:
        inner = found[0].rename(folder.with_name("inner"))
        folder.rmdir()
        inner.rename(folder)


def _at(fault: Fault, where: str) -> Fault:
    return Fault(where, fault.found, fault.remedy)


def _no_room() -> Fault:
    remedy = "Try again when there is room; nothing of it was kept."
    return Fault("disk", "the disk of the service has no room for the cohort", remedy)


def _write_report(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report), encoding="utf-8")
