"""Reweighting a sample to other populations of label and attribute."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from evaluation.groups import MISSING, Group
from evaluation.metric import Array, Needs, dot, needed, ratio
from evaluation.target import Target

# Shares below this are rounding, and stand for none.
_NOTHING = 1e-12


class Population(NamedTuple):
    """Shares of label and category in a population.

    Attributes:
        joint: ``[2, category]``, the share of each label and category, sums to 1; NaN if the
            sample cannot be reweighted to it.
        reason: Why it cannot, or what is special about it; else empty.
        rivals: ``[rival, 2, category]``, populations among which it was chosen as the worst;
            None if it was not.
        possible: Whether there can be such a population at all, sample or not.
    """

    joint: Array
    reason: str = ""
    rivals: Array | None = None
    possible: bool = True

    @property
    def reachable(self) -> bool:
        """Whether the sample can be reweighted to it."""
        return self.joint.size > 0 and not np.isnan(self.joint).any()


@dataclass(frozen=True)
class Strata:
    """The samples by label and category of one attribute.

    Attributes:
        attribute: Its name; empty if all samples are one category.
        categories: Names, ``[category]``; some may not occur.
        cell: ``[n]``, ``label * len(categories) + category``; -1 where the label is not known.
    """

    attribute: str
    categories: tuple[str, ...]
    cell: Array

    @classmethod
    def of(cls, target: Target, attribute: str, values: pd.Categorical) -> Self:
        """Place each sample.

        Raises:
            ValueError: The target has more than two classes, or ``values`` is not ``[n]``
                without missing values.
        """
        if target.classes != 2:
            raise ValueError(f"a target of two classes is needed, got {target.classes}.")
        code = np.asarray(values.codes, np.intp)
        if code.shape != target.label.shape or (code < 0).any():
            raise ValueError(f"attribute '{attribute}' must be [n] without missing values.")
        names = tuple(map(str, values.categories))
        label = np.where(target.known, target.label, 0).astype(np.intp)
        return cls(attribute, names, np.where(target.known, label * len(names) + code, -1))

    @property
    def known(self) -> Array:
        """Which categories are values of the attribute, ``[category]`` bool."""
        return np.array([name != MISSING for name in self.categories], bool)

    def joint(self, weight: Array) -> Array:
        """Share of each label and category, ``[2, category]``; NaN if nothing has weight."""
        inside = self.cell >= 0
        size = 2 * len(self.categories)
        mass = np.bincount(self.cell[inside], weight[inside], minlength=size)
        return np.asarray(ratio(mass, mass.sum())).reshape(2, -1)

    def cells(self) -> list[Group]:
        """The samples of each label and category, ``[2 * category]``."""
        order = np.argsort(self.cell, kind="stable")
        edges = np.searchsorted(self.cell[order], np.arange(2 * len(self.categories) + 1))
        return [Group((), (), rows) for rows in np.split(order, edges)[1:-1]]

    def pairs(self) -> list[Group]:
        """Positives of each category with negatives of each, ``[category * category]``."""
        cells = [group.rows for group in self.cells()]
        count = len(self.categories)
        return [
            Group((), (), np.sort(np.concatenate([positive, negative])))
            for positive in cells[count:]
            for negative in cells[:count]
        ]

    def name(self, category: int) -> str:
        """How the group of a category is called in tables."""
        return Group((self.attribute,), (self.categories[category],), np.empty(0, int)).name


def correlation(joint: Array, category: int, known: Array) -> float:
    r"""Phi of label and membership in a category, among the samples whose value is known.

    .. math:: \phi = \frac{p_{11} - \pi s}{\sqrt{\pi (1 - \pi) s (1 - s)}}

    Args:
        joint: ``[2, category]`` shares, label first.
        category: Which is tied to the label.
        known: ``[category]``, False for the category of the missing values.

    Returns:
        In [-1, 1]. NaN if all known samples are of one label, or all or none are members.

    References:
        Yule (1912), *On the methods of measuring association between two attributes*, J. R.
        Statist. Soc. 75, 579-652.

    >>> round(correlation(np.array([[0.4, 0.1], [0.1, 0.4]]), 1, np.array([True, True])), 12)
    0.6
    """
    table = _table(joint, category, known)
    return float(ratio(table[1, 1] - _independent(table)[1, 1], _spread(table)))


def correlation_range(joint: Array, category: int, known: Array) -> tuple[float, float]:
    r"""Lowest and highest phi that the shares of label and category allow.

    The share :math:`p_{11}` of positive members lies between :math:`\max(0, \pi + s - 1)` and
    :math:`\min(\pi, s)`.

    Returns:
        NaN, NaN where :func:`correlation` is undefined.

    References:
        Fréchet (1951), *Sur les tableaux de corrélation dont les marges sont données*, Ann.
        Univ. Lyon A 14, 53-77 (the bounds).

    >>> correlation_range(np.array([[0.4, 0.4], [0.1, 0.1]]), 1, np.array([True, True]))
    (-0.5, 0.5)
    """
    table = _table(joint, category, known)
    prevalence, share = table[1].sum(), table[:, 1].sum()
    ends = max(0.0, prevalence + share - 1), min(prevalence, share)
    low, high = (float(ratio(end - prevalence * share, _spread(table))) for end in ends)
    return low, high


def with_correlation(joint: Array, category: int, known: Array, level: float) -> Population:
    """The population in which label and category are correlated by ``level``.

    Prevalence and share of the category stay as they are. So do the other categories, relative
    to each other within a label, and the samples without a known value, which take no part.

    Args:
        joint: ``[2, category]`` shares, label first.
        category: Which is tied to the label, against all other known ones.
        known: ``[category]``, False for the category of the missing values.
        level: Phi, in [-1, 1].
    """
    low, high = correlation_range(joint, category, known)
    if np.isnan(low):
        return _unreachable(joint, "no correlation is defined: one label or category only")
    if not low - _NOTHING <= level <= high + _NOTHING:
        reason = f"prevalence and share allow correlations from {low:.2f} to {high:.2f}"
        return _unreachable(joint, reason)._replace(possible=False)
    table = _table(joint, category, known)
    excess = level * _spread(table) * np.array([[1, -1], [-1, 1]])
    return _scaled(joint, category, known, _independent(table) + excess)


def with_prevalence(joint: Array, level: float) -> Population:
    """The population whose share of label 1 is ``level``, alike within each label."""
    prevalence = joint.sum(axis=1, keepdims=True)
    if not (prevalence > 0).all():
        return _unreachable(joint, "only one class")
    return Population(joint / prevalence * np.array([[1 - level], [level]]))


def with_share(joint: Array, category: int, known: Array, level: float) -> Population:
    """The population where a category makes up ``level`` of the samples with a known value.

    Within each category the label stays as it is, and so do the other categories relative to
    each other. Samples without a known value take no part.
    """
    table = _table(joint, category, known)
    share = table.sum(axis=0)
    if share[0] == 0 or share[1] == 0:
        return _unreachable(joint, "the attribute has one category only")
    return _scaled(joint, category, known, table / share * np.array([1 - level, level]))


def _table(joint: Array, category: int, known: Array) -> Array:
    """Shares of label and [others, members] among the known, ``[2, 2]``."""
    members = joint[:, category]
    table = np.stack([joint[:, known].sum(axis=1) - members, members], axis=1)
    # What is left of a difference of equal sums is nothing.
    return np.asarray(ratio(np.where(table < _NOTHING, 0.0, table), table.sum()))


def _independent(table: Array) -> Array:
    return np.outer(table.sum(axis=1), table.sum(axis=0))


def _spread(table: Array) -> Array:
    return np.asarray(np.sqrt(table.sum(axis=1).prod() * table.sum(axis=0).prod()))


def _scaled(joint: Array, category: int, known: Array, table: Array) -> Population:
    """The population whose labels, and members or others, have the shares of a table."""
    now = _table(joint, category, known)
    wanted = np.where(table < _NOTHING, 0.0, table)
    lacking = np.argwhere((wanted > 0) & (now == 0))
    if len(lacking):
        label, member = lacking[0]
        where = "in" if member else "outside"
        return _unreachable(joint, f"no sample of label {label} {where} the category")
    factor = np.where(now == 0, 0.0, ratio(wanted, now))[:, 0:1].repeat(joint.shape[1], axis=1)
    factor[:, category] = np.where(now == 0, 0.0, ratio(wanted, now))[:, 1]
    return Population(np.where(known, joint * factor, joint))


def _unreachable(joint: Array, reason: str) -> Population:
    return Population(np.full_like(joint, np.nan), reason)


def reweighted(blocks: Iterable[Array], strata: Strata, joint: Array) -> Iterator[Array]:
    r"""Blocks of weights that give each draw the shares of a population.

    The weight of a sample of cell c is multiplied by :math:`q_c / p_c`, where :math:`q_c` is
    the cell's share in the population and :math:`p_c` that in the draw: the population is
    fixed and the draw is not. The sum of the weights stays that of the draw.

    Args:
        blocks: ``[some, n]`` weights, one row a draw.
        strata: Cell of each sample.
        joint: ``[2, category]`` shares of the population.

    Yields:
        ``[some, n]``. 0 where the label is not known. A cell that the draw lacks is left out.

    References:
        Holt and Smith (1979), *Post stratification*, J. R. Statist. Soc. A 142, 33-46.
    """
    size = 2 * len(strata.categories)
    inside = np.flatnonzero(strata.cell >= 0)
    member = csr_array(
        (np.ones(len(inside)), (inside, strata.cell[inside])), shape=(len(strata.cell), size)
    )
    for weight in blocks:
        mass = weight @ member
        share = ratio(mass, mass.sum(axis=-1, keepdims=True))
        factor = np.nan_to_num(ratio(joint.ravel(), share))
        yield weight * np.where(strata.cell >= 0, factor[:, strata.cell], 0.0)


class EffectivePatients:
    r"""Kish's effective number of patients under any reweighting of the cells.

    .. math:: \Bigl(\sum_p w_p\Bigr)^2 \Big/ \sum_p w_p^2

    where :math:`w_p` is the weight of all images of patient p that the metric rests on. Both
    sums are forms in the factors of the cells, so one matrix serves every population.

    References:
        Kish (1965), *Survey sampling*, section 11.7.
    """

    def __init__(self, strata: Strata, decision: Array, patient: Array, weight: Array) -> None:
        """Add up each patient's weight by cell and decision.

        Args:
            strata: Cell of each sample.
            decision: ``[n]``, 0 or 1.
            patient: ``[n]``, numbers from 0.
            weight: ``[n]`` >= 0, of the sample itself.
        """
        inside = strata.cell >= 0
        self.shape = 2, len(strata.categories), 2
        column = strata.cell[inside] * 2 + (decision[inside] == 1)
        size = int(patient.max(initial=-1)) + 1, 4 * len(strata.categories)
        held = csr_array((weight[inside], (patient[inside], column)), shape=size)
        self.sum = np.asarray(held.sum(axis=0)).ravel()
        self.product = (held.T @ held).toarray()
        self.observed = self.sum.reshape(self.shape).sum(axis=2)

    def __call__(self, needs: Needs, joint: Array) -> Array:
        """Effective patients of some populations, or parts of them.

        Args:
            needs: What the metric rests on; the rarer class if it needs both.
            joint: ``[..., 2, category]``; 0 for the cells that take no part.

        Returns:
            ``[...]`` >= 0.
        """
        factor = np.nan_to_num(ratio(joint, self.observed))[..., None]
        label, _, decision = np.indices(self.shape)
        sizes = []
        for part in needed(needs, label, decision):
            each = (factor * part).reshape(*joint.shape[:-2], len(self.sum))
            square = dot(each @ self.product, each)
            sizes.append(np.nan_to_num(ratio((each @ self.sum) ** 2, square)))
        least: Array = np.min(sizes, axis=0)
        return least
