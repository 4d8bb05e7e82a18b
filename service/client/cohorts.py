"""Calls about cohorts."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from service.client.address import quoted
from service.client.calls import Calls
from service.client.types import Cohort, Image, Job


class CohortCalls(Calls):
    """Cohorts: uploaded or registered, listed, reported, removed."""

    def upload_cohort(
        self,
        manifests: Iterable[Path],
        images: Iterable[Path],
        *,
        schema: Path | None = None,
        schema_name: str | None = None,
    ) -> Job:
        """Upload a cohort; the job's result has its id as ``cohort``.

        Args:
            manifests: Tables that the schema names.
            images: Zip files. They are read while they are sent.
            schema: TOML file of the cohort.
            schema_name: Instead: the name of one that the service has.
        """
        files: list[tuple[str, Image]] = [("manifest", path) for path in manifests]
        files += [("images", path) for path in images]
        files += [("schema", schema)] if schema is not None else []
        return self._begin("/v1/cohorts", form={"schema_name": schema_name}, files=files)

    def register_cohort(
        self,
        folder: str,
        *,
        schema: Mapping[str, Any] | None = None,
        schema_name: str | None = None,
    ) -> Job:
        """Register a folder of the service's machine; see :meth:`upload_cohort`."""
        body = {"folder": folder, "schema": schema, "schema_name": schema_name}
        return self._begin("/v1/cohorts", {k: v for k, v in body.items() if v is not None})

    def cohorts(self, name: str | None = None) -> Iterator[Cohort]:
        """Cohorts, the newest first; of one data set if it is named."""
        return self._connection.pages("/v1/cohorts", Cohort, name=name)

    def cohort(self, cohort: str) -> Cohort:
        """One cohort."""
        return self._connection.get(f"/v1/cohorts/{quoted(cohort)}", Cohort)

    def cohort_report(self, cohort: str) -> dict[str, Any]:
        """What was found in a cohort."""
        return self.get(f"/v1/cohorts/{quoted(cohort)}/report")

    def delete_cohort(self, cohort: str) -> None:
        """Remove a cohort."""
        self._connection.send("DELETE", f"/v1/cohorts/{quoted(cohort)}")
