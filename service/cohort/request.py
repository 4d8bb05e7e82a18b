"""What a request for a cohort brings, and where its tables go."""

from pathlib import Path
from typing import Any, Final, Self

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from service.cohort.parts import Part, ending_of
from training.cohort import CohortSchema

#: Formats whose images are files of their own, which can be cleaned one by one.
CLEANABLE: Final = ("images", "dicom")


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

    @classmethod
    def of(cls, request: dict[str, Any]) -> tuple[Self, CohortSchema]:
        """The request of a job, and its schema.

        Raises:
            InputError: Every fault of it.
        """
        asked = cls.parse(request, "body")
        schema = CohortSchema.parse(asked.cohort, "schema")
        for name, declared in schema.attributes.items():
            if (declared.column or name) in (schema.patient, schema.sample):
                found = "it is the column of samples or patients, who may not be told"
                remedy = "Take the attribute out."
                raise InputError(Fault("schema", found, remedy, column=name))
        return asked, schema

    def placed(self, schema: CohortSchema) -> tuple[dict[str, str], CohortSchema]:
        """Where the file of each table goes, and the schema that finds all of it there.

        Raises:
            InputError: Images or tables are missing, or tables are not of the schema.
        """
        wanted = tables_of(schema)
        chosen, faults = self._chosen(wanted)
        if not faults and len(chosen) < len(self.tables):
            remedy = f"It reads {', '.join(wanted) or 'none'}."
            faults.append(Fault("manifest", "there are tables that it does not name", remedy))
        if not self.images:
            faults.append(Fault("images", "there are none", "Send a zip as a part 'images'."))
        if faults:
            raise InputError(*faults)
        names = {
            name: f"table-{k}{ending_of(part.name)}"
            for k, (name, part) in enumerate(chosen.items())
        }
        source = _renamed(schema.source, names) | {"images": "images"}
        placed = {part.file: names[name] for name, part in chosen.items()}
        return placed, schema.model_copy(update={"source": source, "root": ""})

    def _chosen(self, wanted: list[str]) -> tuple[dict[str, Part], list[Fault]]:
        """The part for each table that the schema names. A single one may have any name."""
        given = {part.name: part for part in self.tables}
        alone = len(wanted) == len(self.tables) == 1
        chosen: dict[str, Part] = {}
        faults = []
        for name in wanted:
            part = self.tables[0] if alone else given.pop(Path(name).name, None)
            if part is None:
                remedy = "Send it as a part 'manifest' under this name."
                faults.append(Fault("manifest", f"the table '{name}' is missing", remedy))
            else:
                chosen[name] = part
        return chosen, faults


def check_cleanable(schema: CohortSchema) -> None:
    """Refuse formats whose images cannot be cleaned.

    Raises:
        InputError: Images are not files of their own.
    """
    if schema.format not in CLEANABLE or schema.source.get("samples") == "series":
        found = f"images of the format '{schema.format}' cannot be cleaned one by one"
        remedy = "Register the folder, or upload files of their own."
        raise InputError(Fault("schema", found, remedy, column="format"))


def tables_of(schema: CohortSchema) -> list[str]:
    """The tables that a source names, the manifest first."""
    source = schema.source
    named = [source.get("manifest"), (source.get("labels") or {}).get("file")]
    named += [each.get("table") for each in source.get("join") or ()]
    return list(dict.fromkeys(filter(None, named)))


def images_of(schema: CohortSchema) -> tuple[str, ...]:
    """The folders that a source names."""
    images = schema.source.get("images", ())
    return (images,) if isinstance(images, str) else tuple(images)


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
