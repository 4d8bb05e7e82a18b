"""Linear probe."""

from dataclasses import dataclass

import numpy as np

from evaluation.metric import Array
from evaluation.probe import Probe

# Ridge per training row.
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
# Variance, of a column with variance 1 in all folds, below which it is constant in some.
_CONSTANT = 1e-12


class LinearProbe(Probe):
    """Ridge regression on the one-hot category; the penalty is chosen.

    All fits are made of the folds' sums of products, so that the samples are read once and all
    columns share a factorisation. Cost, for ``c`` columns: ``n d (d + c)`` operations for the
    sums, and ``40 (d^3 / 3 + d^2 c)`` for the fits in five folds.
    """

    settings = len(_PENALTIES)
    refits = True

    def __init__(self, code: Array, fold: Array, target: Array, seed: int) -> None:
        """Sum the products, see :class:`evaluation.probe.Probe`."""
        super().__init__(code, fold, target, seed)
        self.sums = [
            _Sums.of(self.code[fold == k], self.target[fold == k])
            for k in range(int(fold.max()) + 1)
        ]

    def predict(self, setting: int, held: tuple[int, ...], columns: Array) -> Array:
        """Predict the held folds, see :meth:`evaluation.probe.Probe.predict`."""
        slope, intercept = self._fit(held, [setting])[0]
        predicted: Array = self.code[self.rows(held)] @ slope[:, columns] + intercept[columns]
        return predicted

    def errors(self, held: tuple[int, ...]) -> Array:
        """Squared errors from the sums alone, see :meth:`evaluation.probe.Probe.errors`."""
        fits = self._fit(held, range(self.settings))
        return np.array([[self.sums[k].error(*fit) for fit in fits] for k in held])

    def _fit(
        self, held: tuple[int, ...], settings: "range | list[int]"
    ) -> list[tuple[Array, Array]]:
        """Slopes ``[d, column]`` and intercepts ``[column]`` for some penalties."""
        seen = [sums for k, sums in enumerate(self.sums) if k not in held]
        count = sum(sums.count for sums in seen)
        centre = np.sum([sums.code for sums in seen], axis=0) / count
        share = np.sum([sums.target for sums in seen], axis=0) / count
        gram = np.sum([sums.gram for sums in seen], axis=0) / count - np.outer(centre, centre)
        cross = np.sum([sums.cross for sums in seen], axis=0) / count - np.outer(centre, share)
        variance = np.diag(gram)
        spread = np.sqrt(np.where(variance > _CONSTANT, variance, 1.0))
        scaled, ridge = gram / np.outer(spread, spread), np.eye(len(gram))
        fits = []
        for setting in settings:
            solved = np.linalg.solve(
                scaled + _PENALTIES[setting] * ridge, cross / spread[:, None]
            )
            slope = solved / spread[:, None]
            fits.append((slope, share - centre @ slope))
        return fits


@dataclass(frozen=True)
class _Sums:
    """Sums over the samples of a fold.

    Attributes:
        count: Number of samples.
        code: ``[d]``.
        target: ``[column]``; it is 0 or 1, so also the sum of its squares.
        gram: Code by code, ``[d, d]``.
        cross: Code by target, ``[d, column]``.
    """

    count: int
    code: Array
    target: Array
    gram: Array
    cross: Array

    @classmethod
    def of(cls, code: Array, target: Array) -> "_Sums":
        return cls(
            len(code), code.sum(axis=0), target.sum(axis=0), code.T @ code, code.T @ target
        )

    def error(self, slope: Array, intercept: Array) -> Array:
        """Sum of ``(target - intercept - code @ slope) ** 2``, ``[column]``, multiplied out."""
        linear = self.code @ slope
        explained = intercept * self.target + (slope * self.cross).sum(axis=0)
        square = (slope * (self.gram @ slope)).sum(axis=0)
        total: Array = (
            self.target
            - 2 * explained
            + self.count * intercept**2
            + 2 * intercept * linear
            + square
        )
        return total
