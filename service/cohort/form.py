"""What a request for a cohort says: a form with its files, or a folder to register."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import FormData, UploadFile

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.settings import parse_toml, read_toml
from service.cohort.parts import name_of_table
from service.protocol.storable import storable
from service.settings import ServiceSettings

#: Parts of a form, as OpenAPI describes them.
FORM: Final = {
    "type": "object",
    "required": ["manifest", "images"],
    "properties": {
        "schema": {"type": "string", "format": "binary", "description": "Cohort TOML file."},
        "schema_name": {"type": "string", "description": "Instead: one that the service has."},
        "manifest": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "CSV, TSV or XLSX that the schema names; repeated for joined ones.",
        },
        "images": {
            "type": "array",
            "items": {"type": "string", "format": "binary", "examples": ["images.zip"]},
            "description": "Zip of PNG, JPEG, TIFF or DICOM files; may be repeated.",
        },
    },
}

#: Fields of a body that names a folder.
FOLDER: Final = {
    "type": "object",
    "required": ["folder"],
    "properties": {
        "schema": {"type": "object", "description": "What the cohort's TOML says."},
        "schema_name": {"type": "string", "description": "Instead: one that the service has."},
        "folder": {"type": "string", "description": "Below EVENSCAN_FOLDERS."},
    },
}


def wanted_of_body(body: dict[str, Any], settings: ServiceSettings) -> dict[str, Any]:
    """The request of a job that registers a folder.

    Raises:
        InputError: Every fault of it.
    """
    faults = []
    if unknown := sorted(set(body) - {"schema", "schema_name", "folder"}):
        remedy = "It may have schema or schema_name, and folder."
        faults.append(Fault("body", f"unknown field '{unknown[0]}'", remedy))
    if not isinstance(body.get("folder"), str):
        faults.append(Fault("body", "no folder is named", "Name one.", column="folder"))
    if faults:
        raise InputError(*faults)
    schema = body.get("schema")
    if schema is not None and not isinstance(schema, dict):
        raise InputError(Fault("body", "it is no object", "Send the schema.", column="schema"))
    cohort = _schema(schema, body.get("schema_name"), settings)
    return {"cohort": cohort, "folder": body["folder"]}


def wanted_of_form(form: FormData, folder: Path, settings: ServiceSettings) -> dict[str, Any]:
    """The request of a job that takes an upload in. It has no name that a sender gave a file.

    Args:
        form: As received.
        folder: Where its files lie, see :class:`service.protocol.uploads.Receiving`.
        settings: Of the service.

    Raises:
        InputError: Every fault of it.
    """
    files: dict[str, list[tuple[Path, str]]] = {"schema": [], "manifest": [], "images": []}
    texts: dict[str, str] = {}
    faults, number = [], 0
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            if field in files:
                files[field].append((folder / f"part-{number}", value.filename or ""))
            else:
                faults.append(_unknown(field))
            number += 1
        elif field in ("schema", "schema_name"):
            texts[field] = value
        else:
            faults.append(_unknown(field))
    if faults:
        raise InputError(*faults)
    given = _read([path for path, _ in files["schema"]], texts.get("schema"), settings)
    cohort = _schema(given, texts.get("schema_name"), settings)
    manifest, images = files["manifest"], files["images"]
    return {
        "cohort": cohort,
        "tables": [_part(path, name_of_table(name, cohort)) for path, name in manifest],
        "images": [_part(path, f"zip {k}") for k, (path, _) in enumerate(images, 1)],
    }


def _read(
    files: Sequence[Path], text: str | None, settings: ServiceSettings
) -> dict[str, Any] | None:
    """The schema that was sent as a file or as a text; None if none was."""
    if not files:
        return None if text is None else parse_toml(text.encode(), "schema")
    if files[-1].stat().st_size > settings.max_body_bytes:
        raise InputError(Fault("schema", "it is too large", "Send a TOML file."))
    return parse_toml(files[-1].read_bytes(), "schema")


def _schema(
    given: dict[str, Any] | None, name: object, settings: ServiceSettings
) -> dict[str, Any]:
    if (given is None) == (name is None):
        remedy = "Send a schema, or the name of one that the service has."
        raise InputError(Fault("body", "there is not one schema", remedy, column="schema"))
    if given is not None:
        return storable(given, "schema")
    files = {path.stem: path for path in settings.cohorts.glob("*.toml")}
    if not isinstance(name, str) or name not in files:
        raise unknown_name("cohort", str(name), files, "body, schema_name")
    return storable(read_toml(files[name]), f"cohort {name}")


def _part(path: Path, name: str) -> dict[str, Any]:
    """A file of an upload, as the job's row has it; see :class:`service.cohort.parts.Part`."""
    return {"file": path.name, "name": name, "size": path.stat().st_size}


def _unknown(field: str) -> Fault:
    shown = "".join(letter for letter in field if letter.isprintable())[:200]
    return Fault("body", f"unknown part '{shown}'", "Send schema, manifest and images.")
