"""Partial pooling: rates of small crossed groups that borrow strength from the others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betaln
from scipy.stats import beta

from evaluation.bootstrap import Cube
from evaluation.groups import Group
from evaluation.metric import Array
from evaluation.multiplicity import standard_error
from evaluation.settings import Number, Settings
from evaluation.target import MACRO, Measure

# Numbers of values of the concentration and of the mean that the integrals are taken over.
_CONCENTRATIONS, _MEANS = 40, 20


class Pooled(Settings):
    """A rate of a crossed group, pooled with those of the other groups of the crossing.

    Attributes:
        target: Name of the target, empty for a binary task.
        metric: Name of the metric.
        attributes: What the groups are made of, two or more.
        group: Name of the group.
        raw: Its own rate, NaN where undefined.
        pooled: Between its own rate and the mean over the groups, the nearer to the mean the
            less evidence it holds and the more alike the groups are.
        low: Lower end of the interval of the pooled rate.
        high: Upper end.
        units: Patients that the raw rate rests on. 0: nothing is known of this group itself,
            the pooled rate is that to expect of a further group of the crossing.
    """

    target: str
    metric: str
    attributes: tuple[str, ...]
    group: str
    raw: Number
    pooled: Number
    low: Number
    high: Number
    units: int


class Shrunk(NamedTuple):
    """Pooled rates and their intervals, each ``[group]``."""

    mean: Array
    low: Array
    high: Array


def pooled(
    cube: Cube, groups: Sequence[Group], units: Array, confidence: float
) -> tuple[Pooled, ...]:
    """Pooled rates of all crossed groups, in the proportions that read decisions.

    Args:
        cube: Values and draws ``[..., group, measure]``. The mean over targets is left out: it
            is no share of anything.
        groups: As of the cube; those of fewer than two attributes are left out.
        units: ``[group, measure]`` patients that each value rests on.
        confidence: Two-sided, in (0, 1).

    Returns:
        By crossing, then measure, then group. All NaN where no group of the crossing has
        evidence.
    """
    error = standard_error(cube.draws)
    crossings: dict[tuple[str, ...], list[int]] = {}
    for i, group in enumerate(groups):
        if len(group.attributes) > 1:
            crossings.setdefault(group.attributes, []).append(i)
    found = []
    for attributes, inside in crossings.items():
        for m, measure in enumerate(cube.measures):
            if not _is_rate(measure):
                continue
            rate = cube.point[inside, m]
            count = effective_counts(rate, error[inside, m], units[inside, m])
            shrunk = shrink(rate, count, confidence)
            found += [
                Pooled(
                    target=measure.target,
                    metric=measure.metric.name,
                    attributes=attributes,
                    group=groups[i].name,
                    raw=rate[k],
                    pooled=shrunk.mean[k],
                    low=shrunk.low[k],
                    high=shrunk.high[k],
                    units=int(units[i, m]),
                )
                for k, i in enumerate(inside)
            ]
    return tuple(found)


def _is_rate(measure: Measure) -> bool:
    metric = measure.metric
    return metric.proportion and metric.reads == "decision" and measure.target != MACRO


def effective_counts(rate: Array, error: Array, units: Array) -> Array:
    r"""Numbers of independent samples that would be as precise.

    A patient with several images counts for more than one sample, but for fewer than the
    images. How many is one number for the crossing, :math:`\sum_g u_g (p_g (1-p_g) + s_g^2) /
    \sum_g u_g^2 s_g^2`: a small group alone knows its standard error :math:`s_g` too badly, and
    one with a rate of 0 or 1 not at all. The bootstrap makes :math:`s_g^2` a share of
    :math:`1/u_g` too small, which is put right first.

    Args:
        rate: ``[group]``, NaN where undefined.
        error: ``[group]`` bootstrap standard errors, NaN where there is none.
        units: ``[group]`` patients.

    Returns:
        ``[group]`` >= 0, 0 where the rate is undefined; the number of patients if no group
        tells how many samples each counts for.

    References:
        Kish (1965), *Survey sampling* (the design effect).

    Examples:
        >>> effective_counts(np.array([0.5, 1.0]), np.array([0.05, 0.0]), np.array([25, 3]))
        array([97.  , 11.64])
    """
    known = ~np.isnan(rate)
    telling = known & (error > 0) & (units > 1)
    u, p = units[telling], rate[telling]
    variance = error[telling] ** 2 * u / (u - 1)
    actual = (u**2 * variance).sum()
    each = (u * (p * (1 - p) + variance)).sum() / actual if telling.any() else 1.0
    return np.where(known, units * each, 0.0)


def shrink(rate: Array, count: Array, confidence: float) -> Shrunk:
    r"""Posterior of each rate in the beta-binomial model.

    The true rates of the groups are draws of a beta distribution with mean :math:`\mu` and
    concentration :math:`s`; given both, group g has the posterior mean
    :math:`(p_g n_g + \mu s) / (n_g + s)`. The two are weighed by their marginal likelihood
    rather than set to where it is largest: crossings have few groups, the likelihood is then
    often largest where all groups are alike (so is the moment estimate of their variance 0),
    and to take that for certain makes intervals too narrow.

    Args:
        rate: ``[group]`` in [0, 1], NaN where undefined.
        count: ``[group]`` >= 0 effective samples, not necessarily whole; 0 where undefined.
        confidence: Two-sided, in (0, 1).

    Returns:
        Posterior means, and intervals of beta distributions with the posterior's mean and
        variance. A group without samples has those of a further group of the population, of
        which two or three groups tell little: its mean is then nearer to one half than theirs.
        All NaN if no group has samples.

    References:
        Kass and Steffey (1989), *Approximate Bayesian inference in conditionally independent
        hierarchical models (parametric empirical Bayes models)*, J. Am. Stat. Assoc. 84,
        717-726, for the variance that counts the uncertainty of the mean and concentration;
        Gelman et al. (2013), *Bayesian data analysis*, 3rd edition, section 5.3, for the model.
        Beforehand :math:`\mu` and :math:`1/s` are even in (0, 1). Even :math:`s^{-1/2}`, as
        there, was tried too: in simulations of 6 to 30 groups its 95 % intervals covered 92.5
        to 95.3 % where groups differed clearly, and these 94.5 to 96.6 %.

    Examples:
        >>> found = shrink(np.array([0.9, 0.8, np.nan]), np.array([100.0, 10.0, 0.0]), 0.95)
        >>> found.mean.round(2), found.low.round(2)
        (array([0.89, 0.79, 0.73]), array([0.83, 0.54, 0.11]))
    """
    if not (count > 0).any():
        nothing = np.full(len(rate), np.nan)
        return Shrunk(nothing, nothing, nothing)
    events = np.where(count > 0, rate, 0.0) * count
    concentration, mean, weight = _population(events, count)
    prior = (mean * concentration)[..., None]
    total = count + concentration[..., None]
    centre = (events + prior) / total
    pooled_mean = np.einsum("sm,smg->g", weight, centre)
    within = centre * (1 - centre) / (total + 1)
    variance = np.einsum("sm,smg->g", weight, within + (centre - pooled_mean) ** 2)
    size = pooled_mean * (1 - pooled_mean) / variance - 1
    tail = (1 - confidence) / 2
    low, high = (
        beta.ppf(q, pooled_mean * size, (1 - pooled_mean) * size) for q in (tail, 1 - tail)
    )
    return Shrunk(pooled_mean, low, high)


def _population(events: Array, count: Array) -> tuple[Array, Array, Array]:
    """Concentrations and means ``[concentration, mean]`` and their posterior weights."""
    concentration = ((np.arange(_CONCENTRATIONS) + 0.5) / _CONCENTRATIONS)[:, None] ** -2.0
    # Samples that a group is worth for the mean, given how much groups differ.
    worth = count * (concentration + 1) / (concentration + count)
    rate = events / np.where(count > 0, count, 1)
    size = worth.sum(axis=1, keepdims=True)
    centre = (worth * rate).sum(axis=1, keepdims=True) / size
    # Means are taken where they are likely, from a beta distribution with wider tails than
    # their posterior, and weighed back.
    shape = 0.5 + size * centre / 2, 0.5 + size * (1 - centre) / 2
    mean = beta.ppf((np.arange(_MEANS) + 0.5) / _MEANS, *shape).clip(1e-9, 1 - 1e-9)
    first, second = (mean * concentration)[..., None], ((1 - mean) * concentration)[..., None]
    likelihood = betaln(events + first, count - events + second) - betaln(first, second)
    # Concentrations are evenly spaced in the root of what is even beforehand.
    log_weight = likelihood.sum(axis=-1) - beta.logpdf(mean, *shape) - np.log(concentration) / 2
    weight = np.exp(log_weight - log_weight.max())
    return np.broadcast_to(concentration, mean.shape), mean, weight / weight.sum()
