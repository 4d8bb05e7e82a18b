"""Reliability: how often the positive class occurs at each predicted probability."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from evaluation.bootstrap import Resampling
from evaluation.groups import Group
from evaluation.intervals import UNDEFINED_DRAWS
from evaluation.metric import Array, ratio
from evaluation.settings import Number, Settings
from evaluation.tally import Tally
from evaluation.target import Target

BINS = 10


class Reliability(Settings):
    """Reliability curve of one group, in ten bins of equal width.

    Attributes:
        target: Name of the target.
        group: Name of the group.
        score: Mean score a bin, ``[10]``, NaN where the bin is empty.
        observed: Share of label 1 a bin, ``[10]``, NaN where the bin is empty.
        low: Lower end of its interval for that bin alone, ``[10]``, NaN where too few patients
            fall.
        high: Upper end, ``[10]``.
        band_low: Lower end of the band that holds the whole curve at once, ``[10]``.
        band_high: Upper end, ``[10]``.
        images: Samples a bin, ``[10]``.
    """

    target: str = ""
    group: str
    score: tuple[Number, ...]
    observed: tuple[Number, ...]
    low: tuple[Number, ...]
    high: tuple[Number, ...]
    band_low: tuple[Number, ...]
    band_high: tuple[Number, ...]
    images: tuple[int, ...]


def bin_of(score: Array) -> Array:
    """Which of the ten bins each score is in; the last one holds 1.

    >>> bin_of(np.array([0.0, 0.05, 0.1, 1.0]))
    array([0, 0, 1, 9])
    """
    index: Array = np.minimum((score * BINS).astype(int), BINS - 1)
    return index


def reliabilities(
    targets: Sequence[Target], groups: Sequence[Group], resampling: Resampling
) -> tuple[Reliability, ...]:
    r"""Reliability curves with intervals and simultaneous bands, over resampled patients.

    The bins (0-0.1, ..., 0.9-1) are common to all groups, so that curves can be compared. The
    draws give each bin's standard error, hence how many independent samples its patients are
    worth, :math:`m = \bar y (1 - \bar y) / s^2`. The interval is Wilson's for so many samples:
    unlike percentiles it keeps its coverage in small bins, and claims no certainty where all
    labels of a bin agree (there :math:`m` is its number of patients). The band takes, instead
    of the normal quantile, the quantile of the largest standardised deviation over the bins.
    Both quantiles are widened as Student's for the bin's number of patients.

    Args:
        targets: Those with more than two classes as a whole have no score and are left out.
        groups: Empty groups are allowed and give NaN.
        resampling: Patients and weights of the samples.

    Returns:
        One curve for each target and group. Cost: about ``draws * n * depth * targets``
        operations, where ``depth`` is the number of groups that a sample is in.

    References:
        Wilson (1927), *Probable inference, the law of succession, and statistical inference*,
        J. Am. Stat. Assoc. 22, 209-212; Korn and Graubard (1998), *Confidence intervals for
        proportions with small expected number of positive counts estimated from survey data*,
        Survey Methodology 24, 193-201 (effective sample size); Romano and Wolf (2005),
        *Exact and approximate stepdown methods for multiple hypothesis testing*, J. Am. Stat.
        Assoc. 100, 94-108 (the largest deviation over resamples).
    """
    binned = [_Binned(target, groups) for target in targets if target.classes == 2]
    drawn: list[list[Array]] = [[] for _ in binned]
    for weight in resampling.weights():
        for curves, blocks in zip(binned, drawn, strict=True):
            blocks.append(curves.observed(weight))
    return tuple(
        curve
        for curves, blocks in zip(binned, drawn, strict=True)
        for curve in curves.findings(groups, blocks, resampling)
    )


class _Binned:
    """The samples of a target by group, bin and label."""

    def __init__(self, target: Target, groups: Sequence[Group]) -> None:
        self.name, known = target.name, target.known
        label, score = np.nan_to_num(target.label), np.nan_to_num(target.score)
        cell = bin_of(score)
        self.by_label = Tally(groups, known, 2 * cell + (label == 1), 2 * BINS)
        self.by_bin = Tally(groups, known, cell, BINS)
        self.scores = Tally(groups, known, cell, BINS, score)

    def observed(self, weight: Array) -> Array:
        """Share of label 1, ``[draw, group, bin]``."""
        counts = self.by_label(weight)
        return ratio(counts[..., 1::2], counts[..., ::2] + counts[..., 1::2])

    def findings(
        self, groups: Sequence[Group], blocks: Sequence[Array], resampling: Resampling
    ) -> list[Reliability]:
        weight = resampling.weight[None]
        score = ratio(self.scores(weight), self.by_bin(weight))[0]
        observed = self.observed(weight)[0]
        drawn = np.concatenate([observed[None][:0], *blocks])
        images = self.by_bin.samples()
        patients = self.by_bin.patients(resampling.patient)
        found = []
        for g, group in enumerate(groups):
            bounds = _bounds(
                observed[g], drawn[:, g], images[g], patients[g], resampling.confidence
            )
            named = dict(zip(("low", "high", "band_low", "band_high"), bounds, strict=True))
            found.append(
                Reliability(
                    target=self.name,
                    group=group.name,
                    score=tuple(score[g]),
                    observed=tuple(observed[g]),
                    images=tuple(images[g].tolist()),
                    **{name: tuple(bound) for name, bound in named.items()},
                )
            )
        return found


def _bounds(
    observed: Array, drawn: Array, images: Array, patients: Array, confidence: float
) -> tuple[Array, Array, Array, Array]:
    """Interval and band of the bins of one group, each ``[bin]``."""
    alone = float(norm.ppf((1 + confidence) / 2))
    size, together = np.full(len(observed), np.nan), alone
    kept = ~np.isnan(observed)
    if len(drawn):
        kept &= np.isnan(drawn).mean(axis=0) <= UNDEFINED_DRAWS
    if len(drawn) and kept.any():
        share, deviation = observed[kept], drawn[:, kept] - observed[kept]
        error = np.sqrt(np.nanmean(deviation**2, axis=0))
        varies = error > 1e-12
        worth = ratio(share * (1 - share), error**2)
        size[kept] = np.where(varies, np.fmin(worth, images[kept]), patients[kept])
        together = max(
            alone, _furthest(deviation[:, varies] / error[varies], varies, confidence)
        )
    # The standard error of few patients is itself uncertain.
    freedom = np.maximum(patients - 1, 1)
    reaches = [student.ppf(norm.cdf(reach), freedom) for reach in (alone, together)]
    return *_wilson(observed, size, reaches[0]), *_wilson(observed, size, reaches[1])


def _furthest(standardised: Array, varies: Array, confidence: float) -> float:
    """How many standard errors all bins stray at most, at the confidence."""
    # The draws say nothing of bins that do not vary, so those are left their part of the level.
    level = float(confidence ** (varies.mean() if varies.any() else 1 / len(varies)))
    if not varies.any():
        return float(norm.ppf((1 + level) / 2))
    return float(np.quantile(np.nanmax(np.abs(standardised), axis=1, initial=0.0), level))


def _wilson(share: Array, size: Array, reach: Array) -> tuple[Array, Array]:
    """Shares that lie within ``reach`` standard errors of their own from the observed one."""
    centre = (share + reach**2 / (2 * size)) / (1 + reach**2 / size)
    spread = np.sqrt(share * (1 - share) / size + (reach / (2 * size)) ** 2)
    half = reach * spread / (1 + reach**2 / size)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
