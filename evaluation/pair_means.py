"""Means over pairs of patients, with intervals that know of both patients of a pair."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from threadpoolctl import threadpool_limits

from evaluation.bootstrap import patient_weights
from evaluation.intervals import Interval, exact_reach, is_degenerate, percentile_interval
from evaluation.metric import Array


class PairMean(NamedTuple):
    """A mean over rows, or a difference of two such means.

    Attributes:
        point: On the sample; NaN without rows.
        draws: ``[draw]``, NaN where a draw has none of the rows.
        influence: ``[row]``, how much each row of the sample moves it; 0 for rows outside. Sums
            to 0.
        rows: ``[row]`` bool, the rows that it is over.
    """

    point: float
    draws: Array
    influence: Array
    rows: Array

    def __sub__(self, other: "PairMean") -> "PairMean":
        """The difference, paired by draw."""
        return PairMean(
            self.point - other.point,
            self.draws - other.draws,
            self.influence - other.influence,
            self.rows | other.rows,
        )


class Sampling(NamedTuple):
    """How intervals are made, and from how many patients on.

    Attributes:
        draws: Number of bootstrap draws, over patients.
        seed: Of the draws.
        confidence: Of the two-sided intervals, in (0, 1).
        minimum_patients: Nothing is said of fewer.
    """

    draws: int
    seed: int
    confidence: float
    minimum_patients: int


@dataclass(frozen=True)
class PatientPairs:
    """Rows that are each about two patients, and how they are resampled.

    Attributes:
        patient: ``[row]`` number of the patient that the row is about, 0 ... P - 1.
        partner: ``[row]`` number of the other patient, from the same numbering.
        sampling: How ``patient`` is resampled.
    """

    patient: Array
    partner: Array
    sampling: Sampling

    @classmethod
    def of(cls, patient: Array, partner: Array, sampling: Sampling) -> Self:
        """Number the patients, given by any values that can be compared."""
        _, code = np.unique(np.concatenate([patient, partner]), return_inverse=True)
        return cls(code[: len(patient)], code[len(patient) :], sampling)

    def means(self, values: Array, inside: Array) -> list[PairMean]:
        """The mean of values over some of the rows, several times at once.

        Args:
            values: ``[mean, row]``.
            inside: ``[mean, row]`` bool, the rows that each is over.

        Returns:
            ``[mean]``. Draws of all are of the same patients, so that they can be subtracted.
            Cost: draws x patients x means multiplications.
        """
        values = np.where(inside, values, 0.0)
        count = inside.sum(axis=1)
        point = np.divide(
            values.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0
        )
        whose, code = np.unique(self.patient, return_inverse=True)
        total, rows = (
            np.array([np.bincount(code, each, len(whose)) for each in column])
            for column in (values, inside)
        )
        blocks = []
        # The products are small: threads would wait for each other longer than they compute.
        with threadpool_limits(1, "blas"):
            for weight in patient_weights(whose, self.sampling.draws, self.sampling.seed):
                drawn = weight @ rows.T
                nothing = np.full(drawn.shape, np.nan)
                blocks.append(np.divide(weight @ total.T, drawn, out=nothing, where=drawn > 0))
        draws = np.concatenate(blocks)
        centred = np.where(inside, values - np.nan_to_num(point)[:, None], 0.0)
        influence = centred / np.maximum(count, 1)[:, None]
        found = zip(point.tolist(), draws.T, influence, inside, strict=True)
        return [PairMean(*each) for each in found]

    def interval(
        self, mean: PairMean, *, share: bool = False, change: bool = False
    ) -> Interval:
        r"""Percentile interval over patients, widened for partners that occur in many rows.

        The draws are of the patients that the rows are about. A partner who stands in rows of
        many patients adds an error that these draws do not see, so they are spread about the
        point by :math:`\sqrt{V_2 / V_1} \ge 1`, where :math:`V_1` is the linearised variance
        clustered by patient and :math:`V_2` the one that lets any two rows be dependent that
        share a patient in either role. If every partner occurs once, nothing is widened.

        Args:
            mean: Over rows of these pairs.
            share: Whether it is a share of events. Only then there is an exact bound where no
                draw differs from a share of 0 or 1.
            change: Whether it is a difference of two such means.

        Returns:
            The interval, within [-1, 1]. NaN, with the reason, if the mean is undefined or no
            draw varies and there is no exact bound.

        References:
            Aronow, Samii and Assenova (2015), *Cluster-robust variance estimation for dyadic
            data*, Political Analysis 23, 564-577.
        """
        point, lowest = mean.point, 0.0 if share and not change else -1.0
        if np.isnan(point):
            return Interval(np.nan, np.nan, "undefined")
        if is_degenerate(point, mean.draws):
            if not share or not (change or point in (0.0, 1.0)):
                return Interval(np.nan, np.nan, "no variation between patients")
            units = len(np.unique(self.patient[mean.rows]))
            reach = exact_reach(units, self.sampling.confidence)
            ends = max(point - reach, lowest), min(point + reach, 1.0)
            return Interval(*ends, "exact bound: no resample varies")
        spread = point + self._widening(mean.influence) * (mean.draws - point)
        low, high, reason = percentile_interval(spread, self.sampling.confidence)
        return Interval(float(np.clip(low, lowest, 1)), float(np.clip(high, lowest, 1)), reason)

    def _widening(self, influence: Array) -> float:
        patients = int(max(self.patient.max(), self.partner.max())) + 1
        own = np.bincount(self.patient, influence, patients)
        other = np.bincount(
            self.partner, np.where(self.partner == self.patient, 0, influence), patients
        )
        low, high = (f(self.patient, self.partner) for f in (np.minimum, np.maximum))
        _, pair = np.unique(low * patients + high, return_inverse=True)
        same = np.bincount(pair, influence)
        one = float(np.square(own).sum())
        two = float(np.square(own + other).sum() - np.square(same).sum())
        return float(np.sqrt(max(two / one, 1.0))) if one > 0 else 1.0
