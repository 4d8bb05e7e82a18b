"""A model version that is audited: its run, its model, and whom it has learnt from."""

from dataclasses import dataclass

import pandas as pd

from evaluation.threshold import Threshold
from service.audit.frozen_spec import frozen
from service.jobs.workflow import Workplace
from service.models.champion import SEEN
from service.storage.tables import ModelVersion
from training.predictor import Predictor
from training.run import Run, load_run, read_split


@dataclass(frozen=True)
class Version:
    """A model version, read.

    Attributes:
        row: Of the registry.
        run: Its run directory.
        split: Of its patients.
        predictor: Its model.
    """

    row: ModelVersion
    run: Run
    split: pd.DataFrame
    predictor: Predictor

    @classmethod
    def read(cls, place: Workplace, name: int | str) -> "Version":
        """Read a version.

        Raises:
            InputError: There is none, or it was deleted.
        """
        row = place.registry.get(str(name))
        folder = place.registry.directory(row)
        return cls(row, load_run(folder), read_split(folder), Predictor(folder))

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"version {self.row.id}"

    @property
    def seen(self) -> set[str]:
        """Patients that it has learnt from or was chosen on."""
        return set(self.split["patient"][self.split["split"].isin(SEEN)])

    @property
    def frozen(self) -> tuple[Threshold, ...]:
        """The thresholds of its own audit, as given ones."""
        return frozen(self.run.audit)
