"""Functions that know one set of samples, called once for each bootstrap draw."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.metric import Array


@dataclass(frozen=True)
class Looped:
    """The function of a metric that another library computes.

    One call a draw and group, of a millisecond or more: a thousand draws of 15 groups take a
    quarter of a minute, where a metric of this package takes at most a few seconds.

    Attributes:
        name: Name of the metric.
        function: Of label ``[n]`` and value ``[n]``, and of ``sample_weight=[n]`` if it is
            weighted; returns a number.
        weighted: Whether it takes weights. If not, samples are repeated as often as they weigh,
            and weights that are no whole numbers make it undefined.
        rule: Metric function of this package that is NaN where the number means nothing,
            whatever the other library returns there.
    """

    name: str
    function: Callable[..., Any]
    weighted: bool
    rule: Callable[..., Array]

    @property
    def __name__(self) -> str:
        """The name, as a function has it."""
        return self.name

    def __call__(self, label: Array, value: Array, weight: Array) -> Array:
        """The metric under each weight.

        Args:
            label: ``[n]``, 0 or 1.
            value: ``[n]``.
            weight: ``[..., n]`` >= 0.

        Returns:
            ``[...]``. NaN where the rule is, where the function raises a ``ValueError`` or
            ``ZeroDivisionError`` or warns that it is undefined or divides by 0, and where what
            it returns is not finite.
        """
        each = weight.reshape(int(np.prod(weight.shape[:-1])), weight.shape[-1])
        found = np.full(len(each), np.nan)
        defined = np.flatnonzero(~np.isnan(self.rule(label, value, each)))
        if not self.weighted:
            whole = np.abs(each - np.rint(each)).max(axis=-1, initial=0) < 1e-9
            defined = defined[whole[defined]]
        with undefined_raises():
            for k in defined:
                found[k] = self._one(label, value, each[k])
        return found.reshape(weight.shape[:-1])

    def _one(self, label: Array, value: Array, weight: Array) -> float:
        try:
            number = self.compute(label, value, weight)
        except (ValueError, ZeroDivisionError, UserWarning, RuntimeWarning):
            return float("nan")
        return number if np.isfinite(number) else float("nan")

    def compute(self, label: Array, value: Array, weight: Array) -> float:
        """What the function returns for one weight ``[n]``, whatever it is worth."""
        # A sample without weight is not there: libraries would still count its class.
        inside = weight > 0
        samples = label[inside].astype(int), value[inside]
        if self.weighted:
            return float(self.function(*samples, sample_weight=weight[inside]))
        times = np.rint(weight[inside]).astype(int)
        return float(self.function(*(np.repeat(each, times) for each in samples)))


@contextmanager
def undefined_raises() -> Iterator[None]:
    """Turn warnings that a number is undefined, or that 0 divides, into errors."""
    # Imported here: scikit-learn is slow to load, and only foreign metrics need it.
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        for kind in (UndefinedMetricWarning, RuntimeWarning):
            warnings.simplefilter("error", kind)
        yield
