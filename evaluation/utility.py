"""Decision curves: what a model is worth to patients at each threshold of risk."""

from collections.abc import Sequence

import numpy as np

from evaluation.bootstrap import Resampling
from evaluation.groups import Group
from evaluation.intervals import UNDEFINED_DRAWS, exact_reach
from evaluation.metric import Array, ratio
from evaluation.settings import Number, Settings
from evaluation.tally import Tally
from evaluation.target import Target

#: Thresholds of the curves: 0.01, then steps of 0.04 to 0.97, and 0.99.
THRESHOLDS = (*(round(0.01 + 0.04 * step, 2) for step in range(25)), 0.99)


class DecisionCurve(Settings):
    """Net benefit of deciding by the score, over thresholds, in one group.

    Attributes:
        target: Name of the target.
        group: Name of the group.
        thresholds: ``[threshold]`` in (0, 1): a sample is treated from this score on.
        net_benefit: True positives minus false positives worth their harm, a sample,
            ``[threshold]``; at most the prevalence. NaN if the group is empty.
        low: Lower end of its pointwise interval.
        high: Upper end.
        treat_all: Net benefit of treating everybody; that of treating nobody is 0.
        standardised: Net benefit if the group had the prevalence of all samples, so that
            groups can be compared; NaN if the group has one class only.
        standardised_low: Lower end of its pointwise interval.
        standardised_high: Upper end.
    """

    target: str = ""
    group: str
    thresholds: tuple[float, ...]
    net_benefit: tuple[Number, ...]
    low: tuple[Number, ...]
    high: tuple[Number, ...]
    treat_all: tuple[Number, ...]
    standardised: tuple[Number, ...]
    standardised_low: tuple[Number, ...]
    standardised_high: tuple[Number, ...]


def decision_curves(
    targets: Sequence[Target],
    groups: Sequence[Group],
    resampling: Resampling,
    thresholds: Sequence[float] = THRESHOLDS,
) -> tuple[DecisionCurve, ...]:
    r"""Net benefit of each target in each group.

    .. math:: \mathrm{NB}(t) = \frac{\mathrm{TP}(t)}{n} - \frac{\mathrm{FP}(t)}{n}\,
              \frac{t}{1 - t}

    The threshold is the risk at which treating and not treating are worth the same, so it
    states how many false positives a true one is worth. Net benefit grows with prevalence; the
    standardised curve puts all groups at the prevalence of all samples,
    :math:`\pi\,\mathrm{TPR} - (1 - \pi)\,\mathrm{FPR}\,t / (1 - t)`.

    Args:
        targets: Those with more than two classes as a whole have no score and are left out.
        groups: Empty groups are allowed and give NaN.
        resampling: Patients and weights of the samples.
        thresholds: Increasing, in (0, 1).

    Returns:
        One curve for each target and group. Intervals are percentiles of the draws; where no
        draw varies (nobody scores that high) they allow for as many patients decided
        otherwise as an exact binomial bound does. Cost: about ``draws * n * depth * targets``
        operations, whatever the number of thresholds.

    Raises:
        ValueError: The thresholds do not increase, or are not in (0, 1).

    References:
        Vickers and Elkin (2006), *Decision curve analysis: a novel method for evaluating
        prediction models*, Med. Decis. Making 26, 565-574, eq. 1.
    """
    level = np.asarray(thresholds, float)
    if (np.diff(level) <= 0).any() or (level <= 0).any() or (level >= 1).any():
        raise ValueError(f"thresholds must increase within (0, 1), got {list(thresholds)}.")
    everyone = Group((), (), np.arange(len(resampling.patient)))
    scored = [target for target in targets if target.classes == 2]
    tallies = [_tally(target, [everyone, *groups], level) for target in scored]
    drawn: list[list[Array]] = [[] for _ in tallies]
    for weight in resampling.weights():
        for tally, blocks in zip(tallies, drawn, strict=True):
            blocks.append(_benefits(tally(weight), level))
    found = []
    for target, tally, blocks in zip(scored, tallies, drawn, strict=True):
        point = _benefits(tally(resampling.weight[None]), level)[0]
        patients = [
            len(np.unique(resampling.patient[group.rows[target.known[group.rows]]]))
            for group in groups
        ]
        low, high = _bounds(
            point, np.concatenate([point[None][:0], *blocks]), patients, level, resampling
        )
        for g, group in enumerate(groups):
            values = [*point[g], low[g, 0], high[g, 0], low[g, 2], high[g, 2]]
            found.append(_finding(target.name, group.name, level, values))
    return tuple(found)


def _tally(target: Target, groups: Sequence[Group], level: Array) -> Tally:
    """Samples by group, number of thresholds they reach, and label."""
    reached = np.searchsorted(level, np.nan_to_num(target.score), side="right")
    return Tally(groups, target.known, 2 * reached + (target.label == 1), 2 * len(level) + 2)


def _benefits(counts: Array, level: Array) -> Array:
    """Net benefit, that of treating all, and standardised: ``[draw, group, 3, threshold]``.

    Args:
        counts: ``[draw, 1 + group, cell]``, the first group being everyone.
        level: ``[threshold]``.
    """
    # [draw, 1 + group, label, thresholds reached]
    by_label = counts.reshape(*counts.shape[:2], -1, 2).swapaxes(-1, -2)
    treated = by_label[..., ::-1].cumsum(axis=-1)[..., ::-1]
    count, treated = treated[..., :1], treated[..., 1:]
    share = ratio(count, count.sum(axis=-2, keepdims=True))
    rate = ratio(treated, count)[:, 1:]
    harm = level / (1 - level)
    own, common = share[:, 1:], share[:, :1]
    total = count[:, 1:].sum(axis=-2)
    benefit = ratio(treated[:, 1:, 1] - treated[:, 1:, 0] * harm, total)
    treat_all = own[:, :, 1] - own[:, :, 0] * harm
    standardised = common[:, :, 1] * rate[:, :, 1] - common[:, :, 0] * rate[:, :, 0] * harm
    return np.stack([benefit, treat_all, standardised], axis=2)


def _bounds(
    point: Array, draws: Array, patients: Sequence[int], level: Array, resampling: Resampling
) -> tuple[Array, Array]:
    """Pointwise interval, each ``[group, 3, threshold]``."""
    tails = [(1 - resampling.confidence) / 2, (1 + resampling.confidence) / 2]
    low, high = np.full(point.shape, np.nan), np.full(point.shape, np.nan)
    undefined = np.isnan(draws).mean(axis=0) if len(draws) else np.ones(point.shape)
    whole, partly = undefined == 0, (undefined > 0) & (undefined <= UNDEFINED_DRAWS)
    if whole.any():
        low[whole], high[whole] = np.quantile(draws[:, whole], tails, axis=0)
    if partly.any():
        low[partly], high[partly] = np.nanquantile(draws[:, partly], tails, axis=0)
    # A patient more or less among the treated changes the benefit by at most 1 / (1 - t).
    reach = np.array([exact_reach(n, resampling.confidence) for n in patients])
    reach = reach[:, None, None] / (1 - level)
    alike = (high - low < 1e-12) & (np.abs(point - low) < 1e-12)
    low = np.where(alike, np.maximum(point - reach, -level / (1 - level)), low)
    return low, np.where(alike, np.minimum(point + reach, 1.0), high)


def _finding(target: str, group: str, level: Array, values: Sequence[Array]) -> DecisionCurve:
    benefit, treat_all, standardised, low, high, standardised_low, standardised_high = (
        tuple(each.tolist()) for each in values
    )
    return DecisionCurve(
        target=target,
        group=group,
        thresholds=tuple(level.tolist()),
        net_benefit=benefit,
        low=low,
        high=high,
        treat_all=treat_all,
        standardised=standardised,
        standardised_low=standardised_low,
        standardised_high=standardised_high,
    )
