"""Which epoch's weights a stage ends with."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.auroc import auroc
from training.method import Selection, Stage

logger = logging.getLogger(__name__)


def macro_auroc(
    label: NDArray[np.integer[Any]], probability: NDArray[np.floating[Any]]
) -> float:
    """AUROC of a classifier of two or more classes.

    Args:
        label: Class index, ``[n]``.
        probability: ``[n, class]``.

    Returns:
        With two classes the AUROC of the second; with more the mean, over the classes that
        occur, of each against the rest. In [0, 1]; NaN if fewer than two classes occur.

    Examples:
        >>> macro_auroc(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
        1.0
    """
    present = np.unique(label).tolist()
    if len(present) < 2:
        return float("nan")
    classes = [1] if probability.shape[1] == 2 else present
    return float(np.mean([auroc(label == k, probability[:, k]) for k in classes]))


def criterion(stage: Stage, label: NDArray[np.integer[Any]]) -> Selection:
    """What the epoch is chosen by: what the stage asks for, or the next thing that is defined.

    Args:
        stage: The stage.
        label: Classes of the validation rows, ``[n]``, possibly none.

    Returns:
        The selection of the stage; but ``last`` without validation rows, ``loss`` instead of
        ``auroc`` if the rows have one class or the stage has no classifier. A warning is logged
        then.
    """
    if stage.selection == "last":
        return "last"
    if len(label) == 0:
        logger.warning(
            "There are no validation rows: stage %s keeps its last epoch.", stage.name
        )
        return "last"
    if stage.selection == "auroc" and (stage.logits is None or len(np.unique(label)) < 2):
        logger.warning(
            "AUROC is undefined (one class in the validation rows, or no classifier): stage %s "
            "keeps the epoch of the least validation loss.",
            stage.name,
        )
        return "loss"
    return stage.selection
