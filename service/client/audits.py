"""Calls about audits."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from service.client.address import quoted
from service.client.calls import Calls
from service.client.form import Files
from service.client.types import Answer, Audit, Job

#: Files of an audit: the end of the address of each, and as what it is asked for.
AUDIT_FILES: Final = {
    "audit.json": ("", "application/json"),
    "report.html": ("/report", "text/html"),
    "tables.zip": ("", "text/csv"),
    "model_card.md": ("/cards/model_card", "*/*"),
    "chai_applied_model_card.xml": ("/cards/chai", "*/*"),
    "hti1_source_attributes.json": ("/cards/hti1", "*/*"),
}


class Tables(Answer):
    """Names of the tables of an audit."""

    tables: tuple[str, ...]


class AuditCalls(Calls):
    """Audits: asked for, listed, read, downloaded, removed."""

    def audit_file(
        self,
        predictions: Path,
        attributes: Iterable[str] = (),
        *,
        champion: Path | None = None,
        settings: Path | None = None,
        policy: Path | None = None,
        policy_name: str | None = None,
        pdf: bool = False,
    ) -> Job:
        """Audit a predictions file, or compare it with a champion's.

        Args:
            predictions: CSV or Parquet file.
            attributes: Columns that groups are made of.
            champion: Predictions of the model to compare with.
            settings: TOML file with the tables audit and columns.
            policy: TOML file of the policy.
            policy_name: Instead: the name of one that comes with the program.
            pdf: Whether to print the report to PDF too.
        """
        given = {
            "predictions": predictions,
            "champion": champion,
            "settings": settings,
            "policy": policy,
        }
        form = {
            "attributes": ",".join(attributes) or None,
            "policy_name": policy_name,
            "pdf": "true" if pdf else None,
        }
        path = "/v1/audits" if champion is None else "/v1/audits/comparisons"
        files: Files = [(name, file) for name, file in given.items() if file is not None]
        return self._begin(path, form=form, files=files)

    def audit_model(self, model: int | str, cohort: str, **more: Any) -> Job:
        """Audit a model on a cohort.

        Args:
            model: An alias, or the number of a version.
            cohort: Id of the cohort.
            more: ``rows``, ``audit``, ``policy``, ``policy_name`` and ``pdf``.
        """
        return self._begin("/v1/audits", {"model": model, "cohort": cohort, **more})

    def compare(
        self,
        challenger: int | str,
        champion: int | str,
        cohort: str | None = None,
        **more: Any,
    ) -> Job:
        """Compare two models on a cohort, or two audits; see :meth:`audit_model`."""
        asked = {"challenger": challenger, "champion": champion, **more}
        return self._begin(
            "/v1/audits/comparisons", asked | ({"cohort": cohort} if cohort else {})
        )

    def audits(
        self, *, verdict: str | None = None, model: int | str | None = None
    ) -> Iterator[Audit]:
        """Audits, the newest first."""
        return self._connection.pages("/v1/audits", Audit, verdict=verdict, model=model)

    def audit_summary(self, audit: str) -> Audit:
        """An audit in a few words."""
        return self._connection.get(f"/v1/audits/{quoted(audit)}/summary", Audit)

    def audit(self, audit: str) -> dict[str, Any]:
        """The findings of an audit."""
        return self.get(f"/v1/audits/{quoted(audit)}")

    def audit_tables(self, audit: str) -> list[str]:
        """Names of the tables of an audit."""
        place = f"/v1/audits/{quoted(audit)}/tables"
        return list(self._connection.get(place, Tables).tables)

    def download_audit(
        self, audit: str, folder: Path, *, shareable: bool = False, pdf: bool = False
    ) -> list[Path]:
        """Write findings, report, tables and cards of an audit into a folder.

        Args:
            audit: Its id.
            folder: Is made if it is not there.
            shareable: Without groups so small that they tell of a patient.
            pdf: The report as PDF too, if the audit was asked for with it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        wanted = AUDIT_FILES | ({"report.pdf": ("/report.pdf", "*/*")} if pdf else {})
        query = "?shareable=true" if shareable else ""
        return [
            self._connection.download(
                f"/v1/audits/{quoted(audit)}{end}{query}", folder / name, accept
            )
            for name, (end, accept) in wanted.items()
        ]

    def download_audit_table(self, audit: str, table: str, target: Path) -> Path:
        """Write one table of an audit to a CSV file."""
        place = f"/v1/audits/{quoted(audit)}/tables/{quoted(table)}.csv"
        return self._connection.download(place, target)

    def download_audit_predictions(self, audit: str, target: Path) -> Path:
        """Write the predictions that an audit looked at to a file."""
        return self._connection.download(f"/v1/audits/{quoted(audit)}/predictions", target)

    def delete_audit(self, audit: str) -> None:
        """Remove an audit; refused if something rests on it."""
        self._connection.send("DELETE", f"/v1/audits/{quoted(audit)}")
