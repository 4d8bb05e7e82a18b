"""Intervals from formulas, without resampling."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import norm, rankdata, t

from evaluation.groups import Group
from evaluation.metric import REASONS, Array, Metric
from evaluation.settings import Number, Settings
from evaluation.target import Target

Method = Literal["DeLong", "Obuchowski", "Wilson"]

# What rounding leaves of a variance of 0.
_NO_VARIANCE = 1e-15


class AnalyticInterval(Settings):
    """The interval of a metric in a group by a formula, to set beside that of the bootstrap.

    Attributes:
        target: Name of the target, empty for a binary task.
        metric: Name of the metric.
        group: Name of the group.
        method: ``DeLong`` (AUROC, one image a patient), ``Obuchowski`` (AUROC, several) or
            ``Wilson`` (a share of independent decisions).
        low: Lower end, NaN if there is no interval.
        high: Upper end, NaN if there is none.
        reason: Why there is none, else empty.
    """

    target: str
    metric: str
    group: str
    method: Method
    low: Number
    high: Number
    reason: str = ""


class Bounds(NamedTuple):
    """An interval and the formula that gave it; the fields of :class:`AnalyticInterval`."""

    method: Method
    low: float
    high: float
    reason: str = ""


def analytic(
    targets: Sequence[Target],
    groups: Sequence[Group],
    metrics: Sequence[Metric],
    patient: Array,
    weight: Array,
    confidence: float,
) -> tuple[AnalyticInterval, ...]:
    """Intervals of all metrics that have a formula, in all groups of at most one attribute.

    Args:
        targets: Each over the same ``[n]`` samples; those with unknown truth take no part.
        groups: Crossings are left out.
        metrics: The AUROC and the proportions that read decisions are used, the rest is not.
        patient: ``[n]``.
        weight: ``[n]``. Unless all are alike there is no interval: the formulas are for samples
            that count the same.
        confidence: Two-sided, in (0, 1).

    Returns:
        One a target, group and metric, in this order.
    """
    code = np.unique(patient, return_inverse=True)[1]
    weighted = len(weight) > 0 and bool((weight != weight[0]).any())
    single = [group for group in groups if len(group.attributes) <= 1]
    return tuple(
        AnalyticInterval(
            target=target.name, metric=metric.name, group=group.name, **bounds._asdict()
        )
        for target in targets
        for group in single
        for metric, bounds in _in_group(target, group, metrics, code, weighted, confidence)
    )


def _in_group(
    target: Target,
    group: Group,
    metrics: Sequence[Metric],
    patient: Array,
    weighted: bool,
    confidence: float,
) -> Iterator[tuple[Metric, Bounds]]:
    rows = group.rows[target.known[group.rows]]
    label, whose = target.label[rows], patient[rows]
    for metric in target.applicable(metrics):
        if metric.name == "auroc":
            bounds = auroc_interval(label, target.score[rows], whose, confidence)
        elif metric.proportion and metric.reads == "decision":
            bounds = rate_interval(metric, label, target.decision[rows], whose, confidence)
        else:
            continue
        reason = bounds.reason or "the samples are weighted"
        yield metric, Bounds(bounds.method, np.nan, np.nan, reason) if weighted else bounds


def auroc_interval(label: Array, score: Array, patient: Array, confidence: float) -> Bounds:
    r"""Interval of the AUROC, from the variance of its structural components.

    The component of a positive sample is the share of the negative ones that score below it
    (ties count half), that of a negative sample the share of the positive ones above it. The
    components of a patient are summed, and the covariance of the sums over positive and over
    negative images of the same patient is part of the variance. With one image a patient this
    is DeLong's variance. The interval is symmetric on the logit scale, where it covers better
    than on that of the AUROC itself, and stays inside (0, 1). The variance is estimated from
    the patients of two classes, so Student's t takes the place of the normal, with
    Satterthwaite's degrees of freedom.

    In 2,000 simulations of 150 patients with 4 images, 95 % intervals covered 96.0 % at an
    AUROC of 0.8 and 94.7 % at 0.95; with the normal and on the scale of the AUROC, 94.9 % and
    91.5 %. With 40 patients these were 94.6 % and 93.3 %, against 90.5 % and 84.4 %.

    Args:
        label: ``[n]``, 0 or 1.
        score: ``[n]``, finite, any scale: only the order counts.
        patient: ``[n]``.
        confidence: Two-sided, in (0, 1).

    Returns:
        The interval. NaN, with the reason, if a class has fewer than two patients or the
        variance is 0, as for an AUROC of 1. Cost: one sorting.

    References:
        DeLong, DeLong and Clarke-Pearson (1988), *Comparing the areas under two or more
        correlated receiver operating characteristic curves: a nonparametric approach*,
        Biometrics 44, 837-845; Obuchowski (1997), *Nonparametric analysis of clustered ROC
        curve data*, Biometrics 53, 567-578; Sun and Xu (2014), *Fast implementation of DeLong's
        algorithm*, IEEE Signal Processing Letters 21, 1389-1393, for components from ranks;
        Satterthwaite (1946), *An approximate distribution of estimates of variance components*,
        Biometrics Bulletin 2, 110-114.

    Examples:
        >>> label, score = np.array([0, 0, 1, 0, 1, 1]), np.arange(6)
        >>> method, low, high, _ = auroc_interval(label, score, np.arange(6), 0.95)
        >>> method, round(low, 3), round(high, 3)
        ('DeLong', 0.088, 0.998)
    """
    code = np.unique(patient, return_inverse=True)[1]
    positive = label == 1
    method: Method = "DeLong" if code.max(initial=-1) + 1 == len(code) else "Obuchowski"
    for rows, name in ((positive, "positive"), (~positive, "negative")):
        if len(np.unique(code[rows])) < 2:
            reason = f"fewer than two patients with a {name} sample"
            return Bounds(method, np.nan, np.nan, reason)
    auroc, variance, freedom = _clustered(positive, score, code)
    if variance < _NO_VARIANCE:
        return Bounds(method, np.nan, np.nan, "no variation between patients")
    logit = np.log(auroc / (1 - auroc))
    reach = t.ppf((1 + confidence) / 2, freedom) * variance**0.5 / (auroc * (1 - auroc))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (logit - reach, logit + reach))
    return Bounds(method, low, high)


def _clustered(positive: Array, score: Array, patient: Array) -> tuple[float, float, float]:
    """AUROC, its variance, and the degrees of freedom of the variance."""
    rank = rankdata(score)
    component = np.empty(len(score))
    for rows, others in ((positive, ~positive), (~positive, positive)):
        # A rank counts the samples below; what is left without the own class is the other one.
        component[rows] = (rank[rows] - rankdata(score[rows])) / others.sum()
    auroc = float(component[positive].mean())
    component[~positive] = 1 - component[~positive]
    patients = int(patient.max()) + 1
    sums, parts, free = [], [], []
    for rows in (positive, ~positive):
        sums.append(np.bincount(patient[rows], component[rows] - auroc, patients) / rows.sum())
        free.append(len(np.unique(patient[rows])) - 1)
        parts.append(float(sums[-1] @ sums[-1]) * (1 + 1 / free[-1]))
    both = float(sums[0] @ sums[1]) * patients / (patients - 1)
    spread = sum(part**2 / n for part, n in zip(parts, free, strict=True))
    return auroc, sum(parts) + 2 * both, sum(parts) ** 2 / spread if spread else np.nan


def rate_interval(
    metric: Metric, label: Array, decision: Array, patient: Array, confidence: float
) -> Bounds:
    """Wilson's interval of a share of decisions, where these are independent.

    Args:
        metric: A proportion that reads decisions, such as a sensitivity.
        label: ``[n]``, 0 or 1.
        decision: ``[n]``, 0 or 1.
        patient: ``[n]``.
        confidence: Two-sided, in (0, 1).

    Returns:
        The interval. NaN, with the reason, if the rate has no denominator or if a patient has
        several samples in it: those are not independent. A sensitivity rests on the positive
        samples alone, so patients may well have several negative ones.

    Examples:
        >>> from evaluation.metric import METRICS
        >>> ones = np.ones(10)
        >>> _, low, high, _ = rate_interval(
        ...     METRICS.get("true_positive_rate"), ones, ones, np.arange(10), 0.95)
        >>> round(low, 4), high
        (0.7225, 1.0)
    """
    # With every row a patient of its own, units are rows.
    trials = metric.units(label, decision, np.arange(len(label)))
    if trials == 0:
        return Bounds("Wilson", np.nan, np.nan, REASONS[metric.needs])
    if metric.units(label, decision, patient) < trials:
        return Bounds("Wilson", np.nan, np.nan, "patients have several images")
    successes = round(metric(label, decision) * trials)
    return Bounds("Wilson", *wilson(successes, trials, confidence))


def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a probability.

    Args:
        successes: 0 to ``trials``.
        trials: Independent ones.
        confidence: Two-sided, in (0, 1).

    Returns:
        Lower and upper end, in [0, 1]; NaN without trials.

    References:
        Wilson (1927), *Probable inference, the law of succession, and statistical inference*,
        J. Am. Stat. Assoc. 22, 209-212.

    Examples:
        >>> [round(end, 4) for end in wilson(8, 10, 0.95)]
        [0.4902, 0.9433]
    """
    if trials == 0:
        return np.nan, np.nan
    quantile = float(norm.ppf((1 + confidence) / 2))
    failures, squared = trials - successes, quantile**2
    centre = (successes + squared / 2) / (trials + squared)
    reach = quantile * (successes * failures / trials + squared / 4) ** 0.5 / (trials + squared)
    # Rounding must not leave the ends of the scale.
    return (
        max(centre - reach, 0.0) if successes else 0.0,
        min(centre + reach, 1.0) if failures else 1.0,
    )
