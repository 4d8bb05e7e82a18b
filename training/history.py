"""What a training reports while it runs, and what it has measured in the end."""

import time
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
        epochs: Epochs of the stage; the present one once it is known to stop early.
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

#: Shortest time between two reports within an epoch, in seconds.
REPORT_INTERVAL = 0.2


class Throttle:
    """Passes a report on if the last one is long enough ago; the first counts from now."""

    def __init__(self, on_progress: OnProgress) -> None:
        """Report to a function, at most every ``REPORT_INTERVAL``."""
        self._on_progress = on_progress
        self._reported = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Report, or not."""
        if time.monotonic() - self._reported >= REPORT_INTERVAL:
            self._on_progress(progress)
            self._reported = time.monotonic()


#: One epoch: stage, epoch and what was measured.
Row = dict[str, Any]

_FIRST = ["stage", "epoch", "total"]
_LAST = ["validation_loss", "validation_auroc", "selected", "seconds"]
#: Only there if the recipe asks for what they say.
_ASKED = ["validation_score", "stopped_early"]


@dataclass(frozen=True)
class History:
    """What was measured in training.

    Attributes:
        table: One row an epoch: ``stage``, ``epoch`` (from 1), the mean of each loss over the
            training rows, ``validation_loss`` (total), ``validation_auroc``, ``selected``
            (whether the stage ended with the weights of this epoch), ``seconds``. NaN where
            something is undefined or not of this stage. If the recipe chooses the epoch by a
            metric, ``validation_score``, its value; if it stops early, ``stopped_early``,
            whether the stage had epochs left.
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
        asked = [name for name in _ASKED if name in names]
        losses = [name for name in names if name not in _FIRST + _LAST + asked]
        return cls(pd.DataFrame(rows, columns=[*_FIRST, *losses, *asked, *_LAST]))

    def write(self, path: Path) -> None:
        """Write the table as CSV."""
        with atomic_path(path) as partial:
            self.table.to_csv(partial, index=False)
