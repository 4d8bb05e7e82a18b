"""A classifier whose answers are known, for scorers, which want to ask one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from evaluation.metric import Array, Reads


class Answered(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Returns what it is asked about: samples are their own scores or decisions.

    Attributes:
        classes_: 0 and 1, as scikit-learn has it.
        asked: What a scorer asked for; None if nothing yet.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.classes_ = np.array([0, 1])
        self.asked: Reads | None = None

    def predict(self, samples: Array) -> Array:
        """The decisions, ``[n]`` int."""
        self.asked = "decision"
        return samples.astype(int)

    def predict_proba(self, samples: Array) -> Array:
        """The scores of both classes, ``[n, 2]``."""
        self.asked = "score"
        return np.column_stack([1 - samples, samples])

    def decision_function(self, samples: Array) -> Array:
        """The scores, ``[n]``."""
        self.asked = "score"
        return samples


def scored(scorer: Callable[..., Any]) -> tuple[Callable[..., Any], Reads]:
    """A scorer as a function of what it asks a classifier for, found by trying it.

    Args:
        scorer: Of (estimator, samples, label), as scikit-learn has it.

    Returns:
        A function of label ``[n]`` and value ``[n]``, and of ``sample_weight=[n]`` if the
        scorer takes weights; and whether the value is the score or the decision.

    Raises:
        Exception: Whatever the scorer raises when it is tried on both classes.
        ValueError: It asks for neither scores nor decisions.
    """
    classifier = Answered()
    label = np.array([0, 0, 1, 1])
    tried = classifier, np.array([0.0, 1.0, 0.0, 1.0]), label
    scorer(*tried)
    if classifier.asked is None:
        raise ValueError("it reads neither scores nor decisions")
    try:
        scorer(*tried, sample_weight=np.ones(len(label)))
    except TypeError:
        return _unweighted(scorer), classifier.asked
    return _weighted(scorer), classifier.asked


def _weighted(scorer: Callable[..., Any]) -> Callable[..., Any]:
    def function(label: Array, value: Array, sample_weight: Array) -> Any:
        return scorer(Answered(), value, label, sample_weight=sample_weight)

    return function


def _unweighted(scorer: Callable[..., Any]) -> Callable[..., Any]:
    return lambda label, value: scorer(Answered(), value, label)
