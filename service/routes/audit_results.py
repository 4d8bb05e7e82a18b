"""What audits found: a list, and the files of each, as its worker wrote them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from service.audit.files import (
    CARDS,
    FINDINGS,
    PREDICTIONS,
    REPORT,
    REPORT_PDF,
    SHAREABLE,
    TABLES,
    audit_links,
)
from service.inference.forms import accepted
from service.models.aliases import ALIASES
from service.protocol.errors import documented, not_found
from service.protocol.pages import Asked, Page, page
from service.security.access import needs
from service.services import Parts
from service.storage.tables import AuditRecord

router = APIRouter(prefix="/v1/audits", tags=["audits"], dependencies=[needs("read")])

#: A report brings its styles and figures along and loads nothing.
POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    )
}

#: What an audit can be read as, by media type.
FORMS = {
    "application/json": FINDINGS,
    "text/html": REPORT,
    "text/csv": TABLES,
    "application/zip": TABLES,
    "application/pdf": REPORT_PDF,
}

#: Media types of cards, by suffix.
CARD_TYPES = {".md": "text/markdown", ".xml": "application/xml", ".json": "application/json"}

NO_PDF = "This audit has no PDF. Ask for audits with 'pdf' to get one."


class AuditSummary(BaseModel):
    """An audit that was made."""

    id: str
    verdict: Literal["PASS", "FAIL", "INSUFFICIENT"] | None = Field(
        description="What its policy came to; null without a policy."
    )
    model: int | None = Field(description="The model version that it judges.")
    against: str | None = Field(description="What it compares with.")
    created: datetime
    links: dict[str, str] = Field(description="Where its parts are.")

    @classmethod
    def of(cls, row: AuditRecord) -> Self:
        """Describe a row."""
        model = row.version_id if row.model is None else row.model
        return cls.model_validate(
            {name: getattr(row, name) for name in ("id", "verdict", "against", "created")}
            | {"model": model, "links": audit_links(row.id)}
        )


class Tables(BaseModel):
    """The tables of an audit."""

    tables: list[str] = Field(description="Their names.")
    links: dict[str, str] = Field(description="Where each is.")


def folder(
    parts: Parts,
    audit: str,
    shareable: Annotated[
        bool, Query(description="Without groups so small that they tell of a patient.")
    ] = False,
) -> Path:
    """The files of an audit.

    Raises:
        HTTPException: 404, there is none, or not in this form.
    """
    if parts.audits.get(audit) is None:
        raise not_found("audit", audit, "/v1/audits")
    try:
        found = parts.audits.folder(audit)
    except LookupError:
        raise not_found("audit", audit, "/v1/audits") from None
    return found / SHAREABLE if shareable else found


Folder = Annotated[Path, Depends(folder)]


@router.get("", responses=documented(404, 410, 422))
def list_audits(
    parts: Parts,
    window: Asked,
    verdict: Annotated[
        Literal["PASS", "FAIL", "INSUFFICIENT"] | None, Query(description="What they came to.")
    ] = None,
    model: Annotated[
        str | None, Query(description="Alias or number of the version that they judge.")
    ] = None,
) -> Page[AuditSummary]:
    """Audits, the newest first."""
    version = None
    if model is not None:
        # The audits of a deleted version stay, so it is not looked up by its number.
        number = model.isascii() and model.isdecimal() and len(model) < 10
        if not number and model not in ALIASES:
            raise not_found("model version", model, "/v1/models")
        version = int(model) if number else parts.registry.get(model).id
    rows = parts.audits.list(window, verdict, version)
    return page(rows, window, AuditSummary.of, lambda row: [row.created.isoformat(), row.id])


@router.get("/{audit}", response_class=FileResponse, responses=documented(404, 406, 422))
def get_audit(
    request: Request,
    files: Folder,
    table: Annotated[
        str | None, Query(description="As CSV: one table instead of all in an archive.")
    ] = None,
) -> FileResponse:
    """The findings as ``Accept`` wants them: JSON, HTML, CSV or PDF.

    In JSON undefined numbers are null. CSV is an archive of all tables unless one is named.
    """
    kind = "text/csv" if table is not None else accepted(request, tuple(FORMS))
    if table is not None:
        answer = _table(files, table)
    elif kind == "application/pdf" and not (files / REPORT_PDF).is_file():
        raise HTTPException(406, NO_PDF)
    else:
        answer = _file(files, FORMS[kind], "application/zip" if kind == "text/csv" else kind)
    answer.headers["Vary"] = "Accept"
    return answer


@router.get("/{audit}/summary", responses=documented(404))
def get_summary(parts: Parts, audit: str) -> AuditSummary:
    """An audit in a few words, and where its parts are."""
    if (row := parts.audits.get(audit)) is None:
        raise not_found("audit", audit, "/v1/audits")
    return AuditSummary.of(row)


@router.get("/{audit}/report", response_class=FileResponse, responses=documented(404, 422))
def get_report(files: Folder) -> FileResponse:
    """The report, as HTML."""
    return _file(files, REPORT, "text/html")


@router.get("/{audit}/report.pdf", response_class=FileResponse, responses=documented(404, 422))
def get_pdf(files: Folder) -> FileResponse:
    """The report, as PDF."""
    return _file(files, REPORT_PDF, "application/pdf")


@router.get("/{audit}/tables", responses=documented(404, 422))
def list_tables(audit: str, files: Folder) -> Tables:
    """Names of the tables."""
    names = sorted(path.stem for path in files.glob("tables/*.csv"))
    links = {name: f"/v1/audits/{audit}/tables/{name}.csv" for name in names}
    return Tables(tables=names, links=links)


@router.get(
    "/{audit}/tables/{table}.csv", response_class=FileResponse, responses=documented(404, 422)
)
def get_table(files: Folder, table: str) -> FileResponse:
    """One table, as CSV."""
    return _table(files, table)


@router.get(
    "/{audit}/cards/{card}", response_class=FileResponse, responses=documented(404, 422)
)
def get_card(audit: str, files: Folder, card: str) -> FileResponse:
    """A card: ``model_card``, ``chai`` or ``hti1``."""
    if card not in CARDS:
        raise HTTPException(404, f"There is no card '{card}'. There are {', '.join(CARDS)}.")
    name = CARDS[card]
    return _file(files / "cards", name, CARD_TYPES[Path(name).suffix])


@router.get(
    "/{audit}/predictions",
    response_class=FileResponse,
    responses=documented(404),
    dependencies=[needs("audit")],
)
def get_predictions(parts: Parts, audit: str) -> FileResponse:
    """The audited rows, as a Parquet table: they name samples and patients."""
    return _file(folder(parts, audit), PREDICTIONS, "application/vnd.apache.parquet")


@router.delete(
    "/{audit}",
    status_code=204,
    response_class=Response,
    responses=documented(404, 409),
    dependencies=[needs("admin")],
)
def delete_audit(parts: Parts, audit: str) -> None:
    """Remove an audit, unless a version, a promotion or a job rests on it."""
    if not parts.audits.delete(audit):
        raise not_found("audit", audit, "/v1/audits")


def _table(files: Path, name: str) -> FileResponse:
    # Looked for among those that there are: a name is never used as a path.
    if name not in {path.stem for path in files.glob("tables/*.csv")}:
        raise HTTPException(404, f"There is no table '{name}'. /tables lists what there is.")
    return _file(files / "tables", f"{name}.csv", "text/csv")


def _file(files: Path, name: str, kind: str) -> FileResponse:
    if not (files / name).is_file():
        raise HTTPException(
            404, NO_PDF if name == REPORT_PDF else "This audit has no such file."
        )
    headers = POLICY if kind == "text/html" else None
    shown = None if kind in ("text/html", "application/json") else name
    return FileResponse(
        files / name,
        media_type=kind,
        headers=headers,
        filename=shown,
        content_disposition_type="inline" if kind == "application/pdf" else "attachment",
    )
