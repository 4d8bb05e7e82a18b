"""What a training reports while it runs, and what it has measured in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.files import atomic_path


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        stage: Name of the stage.
        epoch: Epoch that is running, from 1; 0 while the features of a stage are computed.
        epochs: Epochs of the stage.
        step: Steps of the epoch that are done; rows while features are computed. It reaches
            ``steps`` when the epoch's checkpoint is written.
        steps: Steps of the epoch; rows while features are computed.
    """

    stage: str
    epoch: int
    epochs: int
    step: int
    steps: int


OnProgress = Callable[[Progress], None]

#: One epoch: stage, epoch and what was measured.
Row = dict[str, Any]

_FIRST = ["stage", "epoch", "total"]
_LAST = ["validation_loss", "validation_auroc", "selected", "seconds"]


@dataclass(frozen=True)
class History:
    """What was measured in training.

    Attributes:
        table: One row an epoch: ``stage``, ``epoch`` (from 1), the mean of each loss over the
            training rows, ``validation_loss`` (total), ``validation_auroc``, ``selected``
            (whether the stage ended with the weights of this epoch), ``seconds``. NaN where
            something is undefined or not of this stage.
    """

    table: pd.DataFrame

    @classmethod
    def of(cls, rows: list[Row]) -> "History":
        """The history of some epochs, columns in a fixed order.

        >>> row = {"stage": "classifier", "epoch": 1, "seconds": 2.0, "selected": True,
        ...        "total": 0.1, "validation_loss": 0.2, "validation_auroc": 0.9}
        >>> list(History.of([row]).table)[:3]
        ['stage', 'epoch', 'total']
        """
        names = dict.fromkeys(name for row in rows for name in row)
        losses = [name for name in names if name not in _FIRST + _LAST]
        return cls(pd.DataFrame(rows, columns=[*_FIRST, *losses, *_LAST]))

    def write(self, path: Path) -> None:
        """Write the table as CSV."""
        with atomic_path(path) as partial:
            self.table.to_csv(partial, index=False)
