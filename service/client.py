"""The Python client: every endpoint as a method, answers as frozen types."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import quote

import httpx2

from service.client_types import (
    Aliases,
    Audit,
    Cohort,
    Counterfactuals,
    Embeddings,
    Event,
    Image,
    Job,
    Key,
    Line,
    Model,
    Move,
    Predictions,
)
from service.connection import Connection, Files, ServiceError, read

__all__ = ["Client", "ServiceError"]

#: Files of an audit: the end of the address of each, and as what it is asked for.
AUDIT_FILES: Final = {
    "audit.json": ("", "application/json"),
    "report.html": ("/report", "text/html"),
    "tables.zip": ("", "text/csv"),
    "model_card.md": ("/cards/model_card", "*/*"),
    "chai_applied_model_card.xml": ("/cards/chai", "*/*"),
    "hti1_source_attributes.json": ("/cards/hti1", "*/*"),
}

#: Seconds between two looks at a job whose stream has broken off.
AGAIN: Final = 1.0


class Client:
    """Calls a running service; use it in a ``with`` statement, or close it.

    What fails for a passing reason is tried again, and nothing is done twice by that. Every
    method raises :class:`ServiceError` if the service refuses or does not answer, and returns
    at once; those that begin long work return its :class:`Job`, to :meth:`wait` for.

    Examples:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     job = client.wait(client.retrain({"cohort": "phantom", "method": "erm"}).id)
        ...     print(job.state, job.result)
    """

    def __init__(
        self,
        address: str = "",
        key: str = "",
        *,
        timeout: float = 120.0,
        patience: float = 60.0,
        insecure: bool = False,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Prepare to call a service; nothing is sent yet.

        Args:
            address: Such as ``https://evenscan.example.org``. Default: ``EVENSCAN_URL``.
            key: Key or OpenID token. Default: ``EVENSCAN_KEY``; none for an open service.
            timeout: Seconds to wait for a piece of an answer.
            patience: Seconds within which what has failed may be tried again.
            insecure: Send the key without encryption to another machine.
            transport: In place of the network, for tests.

        Raises:
            InputError: There is no address, or the key could be read on its way there.
        """
        self._connection = Connection(
            address or os.environ.get("EVENSCAN_URL", ""),
            key or os.environ.get("EVENSCAN_KEY", ""),
            timeout,
            patience,
            insecure=insecure,
            transport=transport,
        )

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    # Asking a model

    def predictions(
        self, images: Iterable[Image], model: int | str = "champion"
    ) -> Predictions:
        """Probability, decision and warnings for each image.

        Args:
            images: Files, or pairs of a name and the bytes of a file.
            model: An alias, or the number of a version.
        """
        return read(self._ask("predictions", _images(images), model=model), Predictions)

    def embeddings(
        self,
        images: Iterable[Image],
        model: int | str = "champion",
        part: Literal["content", "style", "both"] = "both",
    ) -> Embeddings:
        """Content and style of each image; see :meth:`predictions`."""
        answer = self._ask("embeddings", _images(images), model=model, part=part)
        return read(answer, Embeddings)

    def counterfactuals(
        self,
        images: Iterable[Image],
        partners: Iterable[Image],
        model: int | str = "champion",
    ) -> Counterfactuals:
        """Each image with the style of a partner; as many partners as images, or one."""
        files = [*_images(images), *(("partners", each) for each in partners)]
        return read(self._ask("counterfactuals", files, model=model), Counterfactuals)

    # Cohorts

    def upload_cohort(
        self,
        manifests: Iterable[Path],
        images: Iterable[Path],
        *,
        schema: Path | None = None,
        schema_name: str | None = None,
    ) -> Job:
        """Upload a cohort; the job's result has its ``cohort``.

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
        return self._connection.get(f"/v1/cohorts/{_quoted(cohort)}", Cohort)

    def cohort_report(self, cohort: str) -> dict[str, Any]:
        """What was found in a cohort."""
        return self.get(f"/v1/cohorts/{_quoted(cohort)}/report")

    def delete_cohort(self, cohort: str) -> None:
        """Remove a cohort."""
        self._connection.send("DELETE", f"/v1/cohorts/{_quoted(cohort)}")

    # Training

    def retrain(self, configuration: Mapping[str, Any]) -> Job:
        """Train a challenger behind the gate.

        Args:
            configuration: As of ``evenscan train``, with ``cohorts``, ids that the service
                holds, or ``cohort``, a name that it knows; and maybe ``promotion`` and
                ``webhook``.
        """
        return self._begin("/v1/retrain", dict(configuration))

    # Audits

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
        return self._connection.get(f"/v1/audits/{_quoted(audit)}/summary", Audit)

    def audit(self, audit: str) -> dict[str, Any]:
        """The findings of an audit."""
        return self.get(f"/v1/audits/{_quoted(audit)}")

    def audit_tables(self, audit: str) -> list[str]:
        """Names of the tables of an audit."""
        return list(self.get(f"/v1/audits/{_quoted(audit)}/tables")["tables"])

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
                f"/v1/audits/{_quoted(audit)}{end}{query}", folder / name, accept
            )
            for name, (end, accept) in wanted.items()
        ]

    def download_audit_table(self, audit: str, table: str, target: Path) -> Path:
        """Write one table of an audit to a CSV file."""
        place = f"/v1/audits/{_quoted(audit)}/tables/{_quoted(table)}.csv"
        return self._connection.download(place, target)

    def download_audit_predictions(self, audit: str, target: Path) -> Path:
        """Write the predictions that an audit looked at to a file."""
        return self._connection.download(f"/v1/audits/{_quoted(audit)}/predictions", target)

    def delete_audit(self, audit: str) -> None:
        """Remove an audit; refused if something rests on it."""
        self._connection.send("DELETE", f"/v1/audits/{_quoted(audit)}")

    # Models

    def models(self) -> Iterator[Model]:
        """Model versions, the newest first, deleted ones too."""
        return self._connection.pages("/v1/models", Model)

    def model(self, model: int | str) -> Model:
        """A model version with its moves."""
        return self._connection.get(f"/v1/models/{_quoted(model)}", Model)

    def promote(
        self, model: int | str, why: str, *, who: str | None = None, override: bool = False
    ) -> Model:
        """Make a version the champion.

        Args:
            model: An alias, or the number of a version.
            why: The reason, as a sentence.
            who: Who decides, if the service is open.
            override: Promote it although its verdict is not PASS.
        """
        body = _decision(why, who) | {"override": override}
        answer = self._connection.send(
            "POST", f"/v1/models/{_quoted(model)}/promote", json=body
        )
        return read(answer, Model)

    def aliases(self) -> Aliases:
        """Where the aliases point."""
        return self._connection.get("/v1/aliases", Aliases)

    def moves(self, alias: str | None = None) -> Iterator[Move]:
        """Every move of one alias or of all, the newest first."""
        return self._connection.pages("/v1/aliases/moves", Move, alias=alias)

    def rollback(self, why: str, *, who: str | None = None) -> Move:
        """Take back the last promotion that stands; see :meth:`promote`."""
        body = _decision(why, who)
        return read(
            self._connection.send("POST", "/v1/aliases/champion/rollback", json=body), Move
        )

    def download_model(
        self, model: int | str, target: Path, form: Literal["run", "bundle"] = "bundle"
    ) -> Path:
        """Write a version to a zip file, as a MONAI bundle or as its run directory."""
        return self._connection.download(f"/v1/models/{_quoted(model)}/{form}", target)

    def delete_model(self, model: int) -> None:
        """Remove the files of a version."""
        self._connection.send("DELETE", f"/v1/models/{_quoted(model)}")

    # Jobs

    def jobs(
        self, *, kind: str | None = None, state: str | None = None, who: str | None = None
    ) -> Iterator[Job]:
        """Jobs, the newest first."""
        return self._connection.pages("/v1/jobs", Job, kind=kind, state=state, who=who)

    def job(self, job: str) -> Job:
        """One job."""
        return self._connection.get(f"/v1/jobs/{_quoted(job)}", Job)

    def logs(self, job: str) -> Iterator[Line]:
        """What happened to a job, the oldest first."""
        return self._connection.pages(f"/v1/jobs/{_quoted(job)}/logs", Line)

    def events(self, job: str, last: int = 0) -> Iterator[Event]:
        """What happens to a job, while it does, from the event after ``last`` to its end."""
        return self._connection.events(f"/v1/jobs/{_quoted(job)}/events", last)

    def wait(
        self,
        job: str,
        on_event: Callable[[Event], None] | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Wait until a job has ended, however often the connection breaks.

        Args:
            job: Its id.
            on_event: Told what happens meanwhile, each event once.
            timeout: Seconds to wait; None: for ever.

        Raises:
            ServiceError: There is no such job, or the service stays away.
            TimeoutError: It has not ended in time; it goes on.
        """
        last, deadline = 0, None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                for event in self.events(job, last):
                    last = event.id if event.id is not None else last
                    if on_event is not None:
                        on_event(event)
                    _check_time(job, deadline)
            except ServiceError as error:
                # What keeps streams from passing leaves short answers through.
                if error.status is not None and error.status < 500 and error.status != 429:
                    raise
            if (now := self.job(job)).ended:
                return now
            _check_time(job, deadline)
            time.sleep(AGAIN)

    def cancel(self, job: str) -> Job:
        """Stop a job."""
        return self._begin(f"/v1/jobs/{_quoted(job)}/cancel")

    def retry(self, job: str) -> Job:
        """Try a failed or cancelled job again, as a new one."""
        return self._begin(f"/v1/jobs/{_quoted(job)}/retry")

    # Keys and health

    def create_key(
        self, name: str, role: str, scopes: Iterable[str] = (), expires: str = "90d"
    ) -> Key:
        """Make a key; only this answer has it. It is not tried again: it cannot be repeated."""
        body = {"name": name, "role": role, "scopes": list(scopes), "expires": expires}
        made = self._connection.send("POST", "/v1/keys", json=body, repeatable=False)
        return read(made, Key)

    def keys(self) -> Iterator[Key]:
        """The keys, the newest first."""
        return self._connection.pages("/v1/keys", Key)

    def revoke_key(self, key: str) -> None:
        """Take a key back."""
        self._connection.send("DELETE", f"/v1/keys/{_quoted(key)}")

    def is_ready(self) -> bool:
        """Whether requests can be sent."""
        try:
            self._connection.send("GET", "/health/ready", repeatable=False)
        except ServiceError as error:
            if error.status == 503:
                return False
            raise
        return True

    def metrics(self) -> str:
        """Counts and times, in the text format of Prometheus."""
        return self._connection.send("GET", "/metrics", accept="text/plain").text

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path, such as one of a job's links."""
        found: dict[str, Any] = self._connection.send("GET", path).json()
        return found

    def _ask(self, kind: str, files: Files, **query: Any) -> httpx2.Response:
        return self._connection.send("POST", f"/v1/{kind}", query=query, files=files)

    def _begin(
        self,
        path: str,
        json: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, Any] | None = None,
        files: Files = (),
    ) -> Job:
        """Ask for a job, and what it is at."""
        answer = self._connection.send("POST", path, json=json, form=form, files=files)
        return self.job(answer.json()["job"])


def _quoted(name: int | str) -> str:
    """A name as one part of a path, whatever it holds."""
    return quote(str(name), safe="")


def _images(images: Iterable[Image]) -> list[tuple[str, Image]]:
    return [("images", image) for image in images]


def _decision(why: str, who: str | None) -> dict[str, str]:
    return {"why": why} | ({"who": who} if who is not None else {})


def _check_time(job: str, deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise TimeoutError(f"job {job} has not ended in time; it goes on")
