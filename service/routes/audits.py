"""Audits of predictions files, and their reports."""

import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse

from evaluation.errors import Fault, InputError
from evaluation.policy import shipped
from evaluation.settings import parse_toml
from service.errors import documented, not_found
from service.queue import new_id
from service.services import Parts, Services, takes
from service.submissions import Accepted, submit
from service.tables import AuditRecord

router = APIRouter(prefix="/v1/audits", tags=["audits"])

SUFFIXES = (".csv", ".parquet")

#: A report brings its styles and figures along and loads nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@router.post(
    "",
    status_code=202,
    responses=documented(400, 415, 422, 503),
    dependencies=[takes("multipart/form-data")],
)
def request_audit(
    parts: Parts,
    response: Response,
    predictions: Annotated[UploadFile, File(description="CSV or Parquet table.")],
    attributes: Annotated[
        list[str] | None,
        Form(description="Columns that groups are made of; repeated or with commas."),
    ] = None,
    settings: Annotated[
        UploadFile | None,
        File(description="TOML file with the tables audit and columns, as of the command."),
    ] = None,
    policy: Annotated[UploadFile | None, File(description="Policy, a TOML file.")] = None,
    policy_name: Annotated[
        str | None, Form(description=f"Instead of a file: {', '.join(shipped())}.")
    ] = None,
) -> Accepted:
    """Audit a predictions file: columns sample, patient, label, score, the attributes, split.

    Several findings or classes, given decisions, weights and other names of columns are told in
    the settings. The table is checked before the answer, so a job that was taken on has a table
    that fits.
    """
    if attributes is None and settings is None:
        raise _no_attribute()
    if policy is not None and policy_name is not None:
        remedy = "Send the file or the name."
        raise InputError(Fault("body", "a policy and a policy_name are given", remedy))
    job = new_id()
    folder = parts.layout.uploads / job
    request: dict[str, Any] = {
        "settings": {} if settings is None else _read_toml(settings, "settings"),
        "policy": policy_name if policy is None else _read_toml(policy, "policy"),
    }
    if attributes is not None:
        request["attributes"] = _names(attributes)
    try:
        request["name"] = _name(predictions)
        request["predictions"] = str(_keep(predictions, request["name"], folder))
        return submit(parts, job, "audit", request, response)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@router.get("/{audit}", response_class=FileResponse, responses=documented(404))
def get_audit(parts: Parts, audit: str) -> FileResponse:
    """The findings, as JSON. Undefined numbers are null."""
    return FileResponse(_folder(parts, audit) / "audit.json", media_type="application/json")


@router.get("/{audit}/report", response_class=FileResponse, responses=documented(404))
def get_report(parts: Parts, audit: str) -> FileResponse:
    """The report, as HTML."""
    headers = {"Content-Security-Policy": POLICY}
    return FileResponse(
        _folder(parts, audit) / "report.html", media_type="text/html", headers=headers
    )


def _names(given: list[str]) -> list[str]:
    names = [name.strip() for part in given for name in part.split(",")]
    if not (named := list(dict.fromkeys(filter(None, names)))):
        raise _no_attribute()
    return named


def _no_attribute() -> InputError:
    remedy = "Name the columns that groups are made of."
    return InputError(Fault("body", "no attribute is named", remedy, column="attributes"))


def _folder(parts: Services, audit: str) -> Path:
    with parts.database.read() as session:
        row = session.get(AuditRecord, audit)
    if row is None:
        raise not_found("audit", audit, "/v1/jobs")
    return parts.layout.audits / row.directory


def _name(upload: UploadFile) -> str:
    """What the sender calls the file, fit for a line of text. It is never used as a path."""
    name = (upload.filename or "predictions").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in name if letter.isprintable())[:200]


def _keep(upload: UploadFile, name: str, folder: Path) -> Path:
    """Copy an upload into a new folder."""
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        found = f"the file is called '{name}'"
        remedy = f"Give a table that ends in {' or '.join(SUFFIXES)}."
        raise InputError(Fault("body", found, remedy, column="predictions"))
    folder.mkdir()
    path = folder / f"predictions{suffix}"
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
    return path


def _read_toml(upload: UploadFile, name: str) -> dict[str, Any]:
    return parse_toml(upload.file.read(), f"body, {name}")
