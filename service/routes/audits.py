"""Audits: of predictions files, of models on cohorts, of one against another; what they say."""

import hashlib
import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from evaluation.policy import shipped
from evaluation.settings import parse_toml
from service.audit.requests import Comparison, ModelAudit, two_policies
from service.jobs.queue import new_id
from service.jobs.submissions import Accepted, submit, submit_with_files
from service.protocol.errors import documented
from service.protocol.storable import storable
from service.security.access import asking, needs
from service.services import Parts, Services
from service.storage.store import upload_of

router = APIRouter(prefix="/v1/audits", tags=["audits"], dependencies=[needs("audit")])

SUFFIXES = (".csv", ".parquet")

FORM, JSON = "multipart/form-data", "application/json"


async def sent(request: Request) -> bytes | None:
    """The JSON that a request brings; None if it brings a form.

    Raises:
        HTTPException: 415, it brings something else.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given == FORM:
        return None
    if given != JSON:
        detail = f"The body is {given or 'of no declared type'}. Send {FORM} or {JSON}."
        raise HTTPException(415, detail)
    return await request.body()


Sent = Annotated[bytes | None, Depends(sent)]

Table = Annotated[UploadFile | None, File(description="CSV or Parquet table.")]


class Terms:
    """The fields of a form beside its tables."""

    def __init__(
        self,
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
        pdf: Annotated[bool, Form(description="Print the report to PDF too.")] = False,
    ) -> None:
        """Take the fields."""
        self.attributes, self.settings = attributes, settings
        self.policy, self.policy_name, self.pdf = policy, policy_name, pdf

    def request(self) -> dict[str, Any]:
        """What a job is asked for.

        Raises:
            InputError: It does not fit.
        """
        if self.attributes is None and self.settings is None:
            raise _no_attribute()
        if self.policy is not None and self.policy_name is not None:
            raise two_policies()
        policy = self.policy_name if self.policy is None else _read(self.policy, "policy")
        settings = {} if self.settings is None else _read(self.settings, "settings")
        request: dict[str, Any] = {"settings": settings, "policy": policy, "pdf": self.pdf}
        if self.attributes is not None:
            request["attributes"] = _names(self.attributes)
        return request


def _json_too(model: type[ModelAudit] | type[Comparison]) -> dict[str, Any]:
    """That a route takes JSON too, for the OpenAPI description."""
    return {"requestBody": {"content": {JSON: {"schema": model.model_json_schema()}}}}


@router.post(
    "",
    status_code=202,
    responses=documented(400, 404, 409, 410, 415, 422, 503),
    openapi_extra=_json_too(ModelAudit),
)
def request_audit(
    parts: Parts,
    asked: Request,
    response: Response,
    body: Sent,
    terms: Annotated[Terms, Depends()],
    predictions: Table = None,
) -> Accepted:
    """Audit a predictions file (a form), or a model on a cohort of the service (JSON).

    A file has the columns sample, patient, label, score, the attributes, and maybe split.
    Several findings or classes, given decisions, weights and other names of columns are told in
    the settings. A model is audited on patients that it has not learnt from, with the threshold
    of its own audit. All is checked before the answer.
    """
    if body is None:
        files = {"predictions": predictions}
        return _submit_files(parts, "audit", files, terms, asked, response)
    wanted = ModelAudit.read(body).model_dump(mode="json")
    wanted["model"] = parts.registry.get(str(wanted["model"])).id
    who = asking(asked).name
    return submit(parts, new_id(asked), "model_audit", wanted, response, who=who)


@router.post(
    "/comparisons",
    status_code=202,
    responses=documented(400, 404, 409, 410, 415, 422, 503),
    openapi_extra=_json_too(Comparison),
)
def request_comparison(
    parts: Parts,
    asked: Request,
    response: Response,
    body: Sent,
    terms: Annotated[Terms, Depends()],
    predictions: Table = None,
    champion: Table = None,
) -> Accepted:
    """Audit a challenger, and how it differs from a champion on the same rows.

    As a form: two predictions files, ``predictions`` and ``champion``. As JSON: two model
    versions and a cohort, or two audits, whose predictions are compared.
    """
    if body is None:
        files = {"predictions": predictions, "champion": champion}
        return _submit_files(parts, "upload_comparison", files, terms, asked, response)
    wanted = Comparison.read(body).model_dump(mode="json")
    if wanted["cohort"] is not None:
        for role in ("challenger", "champion"):
            wanted[role] = parts.registry.get(str(wanted[role])).id
    who = asking(asked).name
    return submit(parts, new_id(asked), "comparison", wanted, response, who=who)


def _submit_files(
    parts: Services,
    kind: str,
    files: dict[str, UploadFile | None],
    terms: Terms,
    asked: Request,
    response: Response,
) -> Accepted:
    """Keep the tables of a form where every worker finds them, and submit their job."""
    tables = {role: file for role, file in files.items() if file is not None}
    if missing := [role for role in files if role not in tables]:
        raise InputError(
            *(Fault("body", f"'{role}' is missing", "Add it.", column=role) for role in missing)
        )
    request, job = terms.request(), new_id(asked)
    request["upload"] = upload_of(job)
    for role, file in tables.items():
        name = _name(file)
        request[role] = f"{role}{_suffix(name, role)}"
        prefix = "" if role == "predictions" else f"{role}_"
        request |= {f"{prefix}name": name, f"{prefix}digest": _digest(file)}
    named = {request[role]: file for role, file in tables.items()}

    def bring() -> Path:
        return _copied(named, parts.layout.uploads / f".{job}")

    who = asking(asked).name
    return submit_with_files(parts, job, kind, request, bring, response, who=who)


def _copied(files: dict[str, UploadFile], folder: Path) -> Path:
    """Copy uploads into a folder of their own; what a process that died left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        for name, upload_file in files.items():
            with (folder / name).open("wb") as file:
                shutil.copyfileobj(upload_file.file, file)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _names(given: list[str]) -> list[str]:
    names = [name.strip() for part in given for name in part.split(",")]
    if not (named := list(dict.fromkeys(filter(None, names)))):
        raise _no_attribute()
    return named


def _no_attribute() -> InputError:
    remedy = "Name the columns that groups are made of."
    return InputError(Fault("body", "no attribute is named", remedy, column="attributes"))


def _name(upload: UploadFile) -> str:
    """What the sender calls the file, fit for a line of text. It is never used as a path."""
    name = (upload.filename or "predictions").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in name if letter.isprintable())[:200]


def _suffix(name: str, role: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        found = f"the file is called '{name}'"
        remedy = f"Give a table that ends in {' or '.join(SUFFIXES)}."
        raise InputError(Fault("body", found, remedy, column=role))
    return suffix


def _digest(upload: UploadFile) -> str:
    """SHA-256 of an upload."""
    digest = hashlib.file_digest(upload.file, "sha256").hexdigest()  # type: ignore[arg-type]
    upload.file.seek(0)
    return digest


def _read(upload: UploadFile, name: str) -> dict[str, Any]:
    where = f"body, {name}"
    return storable(parse_toml(upload.file.read(), where), where)
