"""Whether the groups of an attribute differ along the main directions of an embedding."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from evaluation.metric import Array
from evaluation.multiplicity import benjamini_yekutieli
from evaluation.principal import principal_components
from evaluation.settings import Number, Settings
from evaluation.strata import (
    TOO_FEW_GIVEN_LABEL,
    Stratum,
    first_in_random_order,
    strata,
)

# A mode that so many permutations have reached is known well enough not to be special.
_ENOUGH = 20
_AT_ONCE = 200
# Statistics that differ by rounding are equal.
_ROUNDING = 1e-12

Test = Literal["kolmogorov_smirnov", "kruskal_wallis"]


class LatentMode(Settings):
    """How far the groups of an attribute differ along a mode, within each label.

    Attributes:
        target: Name of the target whose label is given; empty for a binary task.
        latent: ``content`` or ``style``.
        attribute: Its name.
        mode: Rank of the principal component, from 1.
        explained: Its share of the embedding's variance, in [0, 1].
        test: ``kolmogorov_smirnov`` for two groups, ``kruskal_wallis`` for more.
        statistic: For two groups the largest distance of their distribution functions, else the
            share of the variance of the ranks that lies between groups; both in [0, 1], mean
            over the labels by their number of patients. NaN where undefined.
        p: Share of permutations of the attribute among patients that reach it.
        q: ``p`` after Benjamini and Yekutieli over all modes, attributes and embeddings.
        patients: Patients that took part.
        reason: Why it is undefined, else empty.
    """

    target: str = ""
    latent: str
    attribute: str
    mode: int
    explained: Number
    test: Test
    statistic: Number
    p: Number
    q: Number
    patients: int | None
    reason: str = ""


def latent_modes(
    embedding: Mapping[str, Array],
    attributes: Mapping[str, pd.Categorical],
    label: Array,
    patient: Array,
    modes: int,
    permutations: int,
    seed: int,
    target: str = "",
) -> tuple[LatentMode, ...]:
    """Test each mode of each embedding for each attribute.

    One sample of each patient is drawn, so permuting samples permutes patients; they are
    permuted within labels. Permutations stop early for a mode that 20 of them have reached: p
    is then 20 over their number, else one more than those that reached it over one more than
    all. Either is at least as large as the true p on average, so the test is valid.

    Args:
        embedding: Latent to ``[n, d]``.
        attributes: Name to ``[n]`` values; samples where it is missing, and categories with
            fewer than 20 patients of a label, are left out.
        label: ``[n]``, any number of classes; samples where it is NaN are left out.
        patient: ``[n]``.
        modes: Number of principal components of each embedding, at most.
        permutations: At most. The smallest p is one over one more; with T tests a single small
            p needs some ``20 T log T`` of them to reach q = 0.05.
        seed: Of samples and permutations.
        target: Name of the target that the label is of.

    Returns:
        A finding for each latent, attribute and mode. NaN, with its reason, if no label has two
        categories with 20 patients or the embedding is constant; such are no tests. Cost: at
        most ``permutations * P * modes`` operations for each latent and attribute, with P
        patients.

    References:
        Glocker et al. (2023), *Algorithmic encoding of protected characteristics in chest X-ray
        disease detection models*, eBioMedicine 89, 104467 (modes compared by
        Kolmogorov-Smirnov tests). Besag and Clifford (1991), *Sequential Monte Carlo p-values*,
        Biometrika 78, 301-304. Benjamini and Yekutieli (2001), *The control of the false
        discovery rate in multiple testing under dependency*, Ann. Statist. 29, 1165-1188.
    """
    one = first_in_random_order(patient, np.random.default_rng(seed))
    found: list[LatentMode] = []
    for latent, code in embedding.items():
        scores, explained = principal_components(code, one, modes, seed)
        for k, (attribute, values) in enumerate(attributes.items()):
            generator = np.random.default_rng([seed, k])
            within = [
                part.one_per_patient(generator) for part in strata(values, label, patient)
            ]
            within = [part for part in within if len(np.unique(part.code)) >= 2]
            tests = [_Mode(column, within) for column in scores.T] if within else []
            p = _permutation_p(tests, within, permutations, generator)
            shares = explained if len(explained) else [np.nan]
            reason = TOO_FEW_GIVEN_LABEL if len(explained) else "the embedding is constant"
            found.extend(
                LatentMode(
                    target=target,
                    latent=latent,
                    attribute=attribute,
                    mode=m + 1,
                    explained=float(share),
                    test=_test(within),
                    statistic=tests[m].observed if tests else np.nan,
                    p=p[m] if tests else np.nan,
                    q=np.nan,
                    patients=len(np.unique(np.concatenate([patient[w.rows] for w in within])))
                    if within
                    else 0,
                    reason="" if tests else reason,
                )
                for m, share in enumerate(shares)
            )
    adjusted = benjamini_yekutieli(np.array([each.p for each in found], float))
    return tuple(
        each.model_copy(update={"q": float(q)}) for each, q in zip(found, adjusted, strict=True)
    )


def _test(within: Sequence[Stratum]) -> Test:
    most = max((len(part.categories) for part in within), default=2)
    return "kolmogorov_smirnov" if most == 2 else "kruskal_wallis"


class _Mode:
    """The statistic of one mode, for the groups as they are or permuted."""

    def __init__(self, score: Array, within: Sequence[Stratum]) -> None:
        self.statistic = (
            kolmogorov_smirnov if _test(within) == "kolmogorov_smirnov" else kruskal_wallis
        )
        self.scores = [score[part.rows] for part in within]
        sizes = np.array([len(part.rows) for part in within], float)
        self.shares = sizes / sizes.sum()
        self.observed = float(self([part.code[None] for part in within])[0])

    def __call__(self, codes: Sequence[Array]) -> Array:
        """``[permutation]`` for the codes ``[permutation, m]`` of each stratum."""
        each = [self.statistic(*pair) for pair in zip(self.scores, codes, strict=True)]
        mean: Array = self.shares @ np.array(each)
        return mean


def kolmogorov_smirnov(score: Array, code: Array) -> Array:
    """Largest distance of the distribution functions of two groups.

    Args:
        score: ``[n]``.
        code: ``[..., n]``, the smallest is one group and all others are the other one.

    Returns:
        ``[...]`` in [0, 1].

    >>> kolmogorov_smirnov(np.array([1.0, 2.0, 3.0]), np.array([[0, 0, 1], [0, 1, 0]])).tolist()
    [1.0, 0.5]
    """
    order = np.argsort(score, kind="stable")
    first = (code == code.min())[..., order]
    last_of_ties = np.flatnonzero(np.diff(score[order], append=np.inf))
    below = np.cumsum(first, axis=-1, dtype=np.int32)[..., last_of_ties]
    size = first.sum(axis=-1, keepdims=True)
    rest = last_of_ties + 1 - below
    distance: Array = np.abs(below / size - rest / (len(score) - size)).max(axis=-1)
    return distance


def kruskal_wallis(score: Array, code: Array) -> Array:
    """Share of the variance of the ranks that lies between groups, epsilon squared.

    The Kruskal-Wallis statistic over ``n - 1``.

    Args:
        score: ``[n]``; ties share their mean rank.
        code: ``[..., n]``, 0, 1 ...

    Returns:
        ``[...]`` in [0, 1]; 0 if all scores are equal.

    >>> kruskal_wallis(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])).tolist()
    0.8
    """
    rank = rankdata(score) - (len(score) + 1) / 2
    whole = float(rank @ rank)
    between = np.zeros(code.shape[:-1])
    for k in np.unique(code):
        inside = (code == k).astype(float)
        between = between + (inside @ rank) ** 2 / inside.sum(axis=-1)
    return between / whole if whole else between


def _permutation_p(
    tests: Sequence[_Mode],
    within: Sequence[Stratum],
    permutations: int,
    generator: np.random.Generator,
) -> Array:
    """Sequential permutation p of each test, ``[test]``; all see the same permutations."""
    reached = np.zeros(len(tests), int)
    p = np.full(len(tests), np.nan)
    for start in range(0, permutations, _AT_ONCE):
        running = [m for m in range(len(tests)) if np.isnan(p[m])]
        if not running:
            break
        count = min(_AT_ONCE, permutations - start)
        codes = [
            generator.permuted(np.tile(part.code.astype(np.int8), (count, 1)), axis=1)
            for part in within
        ]
        for m in running:
            as_large = tests[m](codes) >= tests[m].observed - _ROUNDING
            so_far = reached[m] + np.cumsum(as_large)
            reached[m] = so_far[-1]
            if reached[m] >= _ENOUGH:
                p[m] = _ENOUGH / (start + 1 + int(np.argmax(so_far >= _ENOUGH)))
    return np.where(np.isnan(p), (reached + 1) / (permutations + 1), p)
