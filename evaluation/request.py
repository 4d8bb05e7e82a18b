"""A request for an audit: settings, columns and files, from a command line or a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from evaluation.about import About
from evaluation.audit import Audit, audit
from evaluation.columns import Columns
from evaluation.compare import Champion
from evaluation.counterfactual_table import Counterfactuals
from evaluation.embeddings import Embeddings
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.settings import Settings
from evaluation.spec import AuditSpec
from evaluation.threshold import choose_thresholds


class AuditRequest(Settings):
    """What to audit, and which columns of the file hold it.

    Attributes:
        audit: What to audit.
        columns: Which columns hold what.
    """

    audit: AuditSpec = AuditSpec()
    columns: Columns = Columns()

    @classmethod
    def gather(
        cls,
        values: dict[str, Any],
        where: str,
        attributes: list[str] | None = None,
        bins: Mapping[str, list[float]] = MappingProxyType({}),
        options: Mapping[str, Any] = MappingProxyType({}),
        columns: Mapping[str, Any] = MappingProxyType({}),
        *,
        one_image_per_patient: bool = False,
    ) -> Self:
        """A TOML file with the tables ``audit`` and ``columns``, and what overrides it.

        Args:
            values: What the file says, as read from TOML; may be empty.
            where: Name of the file, for messages.
            attributes: Names of the attributes; those that the file describes keep their
                description. None: the file's.
            bins: Inner edges by attribute.
            options: Keys of :class:`AuditSpec`.
            columns: Keys of :class:`Columns`.
            one_image_per_patient: Whether every row is another patient.

        Raises:
            InputError: The file or a value does not fit, or bins name no attribute.
        """
        cls.parse(values, where)
        asked = values.get("audit", {}) | dict(options)
        described = {each["name"]: each for each in asked.get("attributes", [])}
        names = list(described) if attributes is None else attributes
        for name in bins:
            if name not in names:
                remedy = f"Attributes: {', '.join(map(str, names))}."
                found = f"'{name}' is not among the attributes"
                raise InputError(Fault("--bins", found, remedy))
        asked["attributes"] = [
            described.get(name, {"name": name}) | ({"bins": bins[name]} if name in bins else {})
            for name in names
        ]
        held = values.get("columns", {}) | dict(columns)
        if one_image_per_patient:
            held["patient"] = None
        # The file alone was fit, so what is not is, or does not go with, what overrides it.
        over = f"{where} or an option" if values else where
        return cls.parse(values | {"audit": asked, "columns": held}, over)

    def read(self, predictions: Path) -> Predictions:
        """Read the predictions, with the attributes that are asked for.

        Raises:
            InputError: The file cannot be read or does not fit.
        """
        names = [attribute.name for attribute in self.audit.attributes]
        return Predictions.read(predictions, names, self.columns)

    def run(
        self,
        predictions: Path,
        policy: str,
        embeddings: Path | None = None,
        champion: Path | None = None,
        about: Path | None = None,
        on_progress: Callable[[str, int, int], None] | None = None,
        counterfactuals: Path | None = None,
    ) -> Audit:
        """Read the files and audit.

        Raises:
            InputError: A file cannot be read or does not fit.
        """
        rules = Policy.find(policy)
        stated = About.load(about) if about else About()
        table = self.read(predictions)
        latents = Embeddings.read(embeddings) if embeddings else None
        named = self._champion(champion) if champion else None
        swaps = Counterfactuals.read(counterfactuals) if counterfactuals else None
        return audit(table, self.audit, rules, latents, named, stated, on_progress, swaps)

    def _champion(self, path: Path) -> Champion:
        table = Predictions.read(path, (), self.columns)
        return Champion(table.source, table, choose_thresholds(table, self.audit))
