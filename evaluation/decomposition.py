"""The Brier score in parts: how true the scores are, how well they tell patients apart."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from evaluation.bootstrap import Resampling
from evaluation.calibration import BINS, bin_of
from evaluation.groups import Group
from evaluation.intervals import Interval, is_degenerate, percentile_interval
from evaluation.metric import Array, ratio
from evaluation.settings import Number, Settings
from evaluation.tally import Tally
from evaluation.target import Target

Part = Literal["reliability", "resolution", "uncertainty"]
_PARTS: tuple[Part, ...] = ("reliability", "resolution", "uncertainty")


class BrierPart(Settings):
    """One part of the Brier score of a group.

    Attributes:
        target: Name of the target.
        group: Name of the group.
        part: ``reliability`` (distance of scores and frequencies, lower is better),
            ``resolution`` (how far frequencies differ between bins, higher is better) or
            ``uncertainty`` (of the label itself, no merit or fault of the model).
        value: >= 0, less the bias of small bins; NaN where undefined.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end.
        reason: Why there is no value or interval, else empty.
    """

    target: str = ""
    group: str
    part: Part
    value: Number
    low: Number
    high: Number
    reason: str = ""


def brier_parts(
    targets: Sequence[Target], groups: Sequence[Group], resampling: Resampling
) -> tuple[BrierPart, ...]:
    r"""Reliability, resolution and uncertainty of each target in each group.

    .. math:: \sum_b \tfrac{n_b}{n} (\bar s_b - \bar y_b)^2
              - \sum_b \tfrac{n_b}{n} (\bar y_b - \bar y)^2 + \bar y (1 - \bar y)

    is the Brier score but for the spread of scores within the ten bins. The first two are too
    large in small groups, by the noise of the bins' frequencies. The draws repeat that noise,
    so their mean says by how much, and value and interval are without it.

    Args:
        targets: Those with more than two classes as a whole have no score and are left out.
        groups: Empty groups are allowed and give NaN.
        resampling: Patients and weights of the samples.

    Returns:
        Three parts for each target and group.

    References:
        Murphy (1973), *A new vector partition of the probability score*, J. Appl. Meteorology
        12, 595-600; Ferro and Fricker (2012), *A bias-corrected decomposition of the Brier
        score*, Q. J. R. Meteorol. Soc. 138, 1954-1960 (the bias, there without clusters).
    """
    scored = [target for target in targets if target.classes == 2]
    tallies = [_tallies(target, groups) for target in scored]
    point = [_parts(each, resampling.weight[None])[0] for each in tallies]
    drawn: list[list[Array]] = [[] for _ in tallies]
    for weight in resampling.weights():
        for each, blocks in zip(tallies, drawn, strict=True):
            blocks.append(_parts(each, weight))
    return tuple(
        _finding(target.name, group.name, part, point[t][g, p], draws[:, g, p], resampling)
        for t, target in enumerate(scored)
        for draws in [np.concatenate([point[t][None][:0], *drawn[t]])]
        for g, group in enumerate(groups)
        for p, part in enumerate(_PARTS)
    )


def _tallies(target: Target, groups: Sequence[Group]) -> tuple[Tally, Tally, Tally]:
    label, score = np.nan_to_num(target.label), np.nan_to_num(target.score)
    cell, known = bin_of(score), target.known
    everyone, positive = (Tally(groups, known, cell, BINS, v) for v in (None, label))
    return everyone, positive, Tally(groups, known, cell, BINS, score - label)


def _parts(tallies: tuple[Tally, Tally, Tally], weight: Array) -> Array:
    """``[draw, group, part]``."""
    size, positive, excess = (tally(weight) for tally in tallies)
    total = size.sum(axis=-1)
    base = ratio(positive.sum(axis=-1), total)
    observed, distance = ratio(positive, size), ratio(excess, size)
    reliability = np.nansum(size * distance**2, axis=-1)
    resolution = np.nansum(size * (observed - base[..., None]) ** 2, axis=-1)
    parts = [ratio(reliability, total), ratio(resolution, total), base * (1 - base)]
    return np.stack(parts, axis=-1)


def _finding(
    target: str, group: str, part: Part, point: float, draws: Array, resampling: Resampling
) -> BrierPart:
    value, (low, high, reason) = _without_bias(point, draws, resampling.confidence)
    # Neither frequencies nor labels vary more than those of a fair coin.
    highest = 1.0 if part == "reliability" else 0.25
    value, low, high = np.clip([value, low, high], 0.0, highest)
    return BrierPart(
        target=target,
        group=group,
        part=part,
        value=value,
        low=low,
        high=high,
        reason=reason,
    )


def _without_bias(point: float, draws: Array, confidence: float) -> tuple[float, Interval]:
    found = percentile_interval(draws, confidence)
    if np.isnan(point):
        return np.nan, Interval(np.nan, np.nan, "no samples")
    if np.isnan(found.low):
        return np.nan, found
    if is_degenerate(point, draws):
        return point, Interval(np.nan, np.nan, "no variation between patients")
    bias = float(np.nanmean(draws)) - point
    # The draws hold the bias twice: that of the sample, and that of drawing from it.
    return point - bias, Interval(found.low - 2 * bias, found.high - 2 * bias)
