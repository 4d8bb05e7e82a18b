"""Calls about model versions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from service.client.address import quoted
from service.client.answers import read
from service.client.calls import Calls
from service.client.types import Aliases, Job, Model, Move


class ModelCalls(Calls):
    """Model versions: trained, listed, promoted, rolled back, downloaded, deleted."""

    def retrain(self, configuration: Mapping[str, Any]) -> Job:
        """Train a challenger behind the gate.

        Args:
            configuration: As of ``evenscan train``, with ``cohorts``, ids that the service
                holds, or ``cohort``, a name that it knows; and maybe ``promotion``,
                ``approver``, ``pdf`` and ``webhook``.
        """
        return self._begin("/v1/retrain", dict(configuration))

    def models(self) -> Iterator[Model]:
        """Model versions, the newest first, deleted ones too."""
        return self._connection.pages("/v1/models", Model)

    def model(self, model: int | str) -> Model:
        """A model version with its moves."""
        return self._connection.get(f"/v1/models/{quoted(model)}", Model)

    def promote(
        self, model: int | str, why: str, *, who: str | None = None, override: bool = False
    ) -> Model:
        """Make a version the champion.

        Args:
            model: An alias, or the number of a version.
            why: The reason, as a sentence.
            who: Who decides, if the service is open.
            override: Promote it although its verdict is not PASS, or somebody else was named to
                approve it.
        """
        body = _decision(why, who) | {"override": override}
        answer = self._connection.send("POST", f"/v1/models/{quoted(model)}/promote", json=body)
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
        return self._connection.download(f"/v1/models/{quoted(model)}/{form}", target)

    def delete_model(self, model: int) -> None:
        """Remove the files of a version."""
        self._connection.send("DELETE", f"/v1/models/{quoted(model)}")


def _decision(why: str, who: str | None) -> dict[str, Any]:
    return {"why": why} | ({"who": who} if who is not None else {})
