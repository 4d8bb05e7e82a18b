"""The steps of taking a cohort in: unpack, check, take out who it is, keep."""

import errno
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from evaluation.errors import Fault, InputError
from service.cohort.archive import unpack
from service.cohort.archive_list import Bounds
from service.cohort.cleaning import Cleaning, kept_schema
from service.cohort.cohorts import DIGITS, FOLDER, Cohorts, version_of
from service.cohort.faults import CohortFaults, telling_nobody
from service.cohort.identities import Identities
from service.cohort.registered_folder import registered
from service.cohort.request import Request, check_cleanable, images_of
from service.jobs.workflow import Found, Step, Workflow
from service.security.secret import secret_of
from service.storage import tables
from training.cohort import Cohort, CohortSchema, read_cohort
from training.cohort_report import cohort_report
from training.manifest_source import ManifestSource

#: What nobody can promise, said in every report.
PIXELS: Final = (
    "Headers and file names were cleaned. No program can prove that pixels name nobody: look "
    "at images that may have text burned in, or faces."
)

#: Said in the report of a folder that was registered.
IN_PLACE: Final = "The folder stays as it is: files in it may still say who it is."


class Ingestion(Workflow):
    """Takes a cohort in. Each step begins anew after a crash; the last one keeps once."""

    def check(self) -> None:
        """Refuse a schema that cannot be used, and files that are not there.

        Raises:
            InputError: Every fault.
        """
        asked, schema = Request.of(self.task.request)
        if asked.folder is not None:
            registered(asked.folder, self.task.place.settings)
        else:
            check_cleanable(schema)
            asked.placed(schema)

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
        asked, schema = Request.of(self.task.request)
        upload = self.task.upload
        shutil.rmtree(self._raw, ignore_errors=True)
        self._raw.mkdir(parents=True)
        zips = [(upload / part.file, part.name) for part in asked.images]
        bounds = Bounds(self.task.place.settings.max_unpacked_bytes)
        made = unpack(zips, self._images, bounds, lambda share: self.task.tell("unpack", share))
        placed, _ = asked.placed(schema)
        for part, name in placed.items():
            shutil.copyfile(upload / part, self._raw / name)
        _without_top(self._images, images_of(schema))
        self.task.log(
            f"unpack: {made.files:,} images of {made.bytes:,} bytes; "
            f"{made.passed_over:,} files are no images"
        )
        return {"passed_over": made.passed_over}

    def validate(self, found: Found) -> Found:
        """Check everything, and write what will be kept."""
        if not self._images.is_dir():  # another machine has unpacked it
            self.unpack(found)
        asked, original = Request.of(self.task.request)
        _, schema = asked.placed(original)
        with telling_nobody(schema, self._raw):
            cohort = read_cohort(schema, self._raw)
            identities = Identities(secret_of(self.task.place.settings), schema)
            hidden = identities.hidden(cohort)
            report = cohort_report(hidden)
        cleaning = Cleaning(cohort, hidden, identities, self._rows(cohort))
        self._write(cleaning)
        report |= cleaning.report()
        report |= {"passed_over": found["passed_over"], "notes": [PIXELS]}
        if report["duplicates"]["patients"]:
            report["warnings"].append(
                f"{report['duplicates']['patients']} images are there under several patients: "
                "a split could put one into training and into the test."
            )
        _write_report(self._report, report)
        content = cleaning.content.hexdigest()
        return {"fingerprint": version_of(kept_schema(schema), content)}

    def keep(self, found: Found) -> Found:
        """Keep what was cleaned, unless the same is there already."""
        if not self._report.is_file():  # another machine has cleaned it
            self.validate(found)
        _, schema = Request.of(self.task.request)
        directory = f"{FOLDER}/{self.task.id}"
        row = self._row(kept_schema(schema), found["fingerprint"], directory=directory)
        return self._added(row, self._kept)

    def look(self, found: Found) -> Found:
        """Check a folder where it lies."""
        asked, schema = Request.of(self.task.request)
        folder = registered(str(asked.folder), self.task.place.settings)
        with telling_nobody(schema, folder):
            cohort = read_cohort(schema, folder)
            report = cohort_report(cohort)
        _write_report(self._report, report | {"notes": [IN_PLACE, PIXELS]})
        return {"fingerprint": version_of(schema, cohort.fingerprint)}

    def register(self, found: Found) -> Found:
        """Record the folder."""
        if not self._report.is_file():
            self.look(found)
        asked, schema = Request.of(self.task.request)
        return self._added(self._row(schema, found["fingerprint"], source=asked.folder), None)

    @property
    def _raw(self) -> Path:
        return self.task.directory / "raw"

    @property
    def _images(self) -> Path:
        return self._raw / "images"

    @property
    def _kept(self) -> Path:
        return self.task.directory / "kept"

    @property
    def _report(self) -> Path:
        return self.task.directory / "report.json"

    def _write(self, cleaning: Cleaning) -> None:
        """Write what will be kept; nothing of it is left if that fails.

        Raises:
            InputError: Images cannot be read, or say that their pixels name somebody; or the
                disk is full.
        """
        shutil.rmtree(self._kept, ignore_errors=True)
        self._kept.mkdir(parents=True)
        try:
            for share in cleaning.write(self._kept):
                self.task.tell("validate: images", share)
        except InputError as error:
            raise CohortFaults(*error.faults) from None
        except OSError as error:
            shutil.rmtree(self._kept, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise InputError(_no_room()) from None
            raise

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


def _without_top(folder: Path, expected: Sequence[str]) -> None:
    """Take away the one folder that everything is in, if that is where images belong."""
    found = list(folder.iterdir())
    if len(found) == 1 and found[0].is_dir() and found[0].name in expected:
        inner = found[0].rename(folder.with_name("inner"))
        folder.rmdir()
        inner.rename(folder)


def _no_room() -> Fault:
    remedy = "Try again when there is room; nothing of it was kept."
    return Fault("disk", "the disk of the service has no room for the cohort", remedy)


def _write_report(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report), encoding="utf-8")
