"""Weights that give each group the distribution that confounders have in all samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError
from evaluation.groups import Group
from evaluation.metric import Array, ratio
from evaluation.tally import Tally

Method = Literal["post-stratification", "entropy balancing"]

#: A cell of fewer patients is empty in more than 1 % of the draws, and its few would stand for
#: too many.
FEWEST = 5

# Where margins contradict each other, scaling to them goes on for ever.
_MOST_ROUNDS = 200
_NEAR = 1e-6


@dataclass(frozen=True)
class ConfounderCells:
    """The cells that the confounders make together; those that occur.

    Attributes:
        cell: ``[n]`` cell of each sample; any number where the truth is not known.
        count: Number of cells.
        margins: One ``[cell, category]`` 0 or 1 a confounder: the category of each cell.
        names: As ``margins``, how each category is called.
    """

    cell: Array
    count: int
    margins: tuple[Array, ...]
    names: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, confounders: Mapping[str, pd.Categorical], known: Array) -> Self:
        """The cells among the samples whose truth is known.

        Raises:
            InputError: There is no confounder, or a sample has no value for one.
        """
        if not confounders:
            raise InputError(Fault("confounders", "there is none", "Name at least one."))
        codes = np.stack([np.asarray(each.codes, int) for each in confounders.values()])
        faults = [
            Fault(
                f"confounder '{name}'",
                f"{(code[known] < 0).sum()} samples have no value",
                "Give missing values a category of their own.",
            )
            for name, code in zip(confounders, codes, strict=True)
            if (code[known] < 0).any()
        ]
        if faults:
            raise InputError(*faults)
        value, inside = np.unique(codes[:, known], axis=1, return_inverse=True)
        cell = np.zeros(len(known), int)
        cell[known] = inside
        margins, names = [], []
        for (name, column), code in zip(confounders.items(), value, strict=True):
            occurring = np.unique(code)
            margins.append((code[:, None] == occurring).astype(float))
            names.append(tuple(f"{name}: {column.categories[k]}" for k in occurring))
        return cls(cell, value.shape[1], tuple(margins), tuple(names))


@dataclass(frozen=True)
class Plan:
    """How a group is balanced.

    Attributes:
        method: ``post-stratification`` if every cell holds enough patients of the group: all
            cells get their share of all samples. Else ``entropy balancing``: every confounder
            by itself gets its distribution, and the weights stray least otherwise.
        empty: Categories that the group has no patient of; with any it cannot be balanced.
        few: Categories that it has fewer than five patients of.
    """

    method: Method
    empty: tuple[str, ...]
    few: tuple[str, ...]


class Balance:
    """Balances disjoint groups that hold all samples between them."""

    def __init__(
        self, cells: ConfounderCells, groups: Sequence[Group], known: Array, patient: Array
    ) -> None:
        """Choose the method for each group.

        Args:
            cells: Of the confounders.
            groups: Disjoint; together they hold every sample.
            known: ``[n]`` bool; other samples are left out.
            patient: ``[n]``.
        """
        self.cells = cells
        self.tally = Tally(groups, known, cells.cell, cells.count)
        in_cell = self.tally.patients(patient)
        in_category = [
            Tally(groups, known, margin.argmax(axis=1)[cells.cell], margin.shape[1]).patients(
                patient
            )
            if cells.count
            else np.zeros((len(groups), 0), int)
            for margin in cells.margins
        ]
        self.plans = tuple(
            self._plan(in_cell[g], [counts[g] for counts in in_category])
            for g in range(len(groups))
        )

    def _plan(self, in_cell: Array, in_category: Sequence[Array]) -> Plan:
        exact = bool((in_cell >= FEWEST).all())
        counted = [
            (name, count)
            for names, counts in zip(self.cells.names, in_category, strict=True)
            for name, count in zip(names, counts, strict=True)
        ]
        return Plan(
            "post-stratification" if exact else "entropy balancing",
            tuple(name for name, count in counted if count == 0),
            tuple(name for name, count in counted if 0 < count < FEWEST),
        )

    def factors(self, weight: Array) -> Array:
        """What to multiply the samples' weights with, ``[draw, group, cell]``.

        Args:
            weight: ``[draw, n]``.

        Returns:
            Factors >= 0 that leave the group's sum as it is. Where a draw holds no sample of a
            cell or category, the others share its part. All 0 where the group cannot be
            balanced.
        """
        counts = self.tally(weight)
        everyone = counts.sum(axis=1)
        factors = np.zeros_like(counts)
        for g, plan in enumerate(self.plans):
            if plan.empty or not everyone.any():
                continue
            exact = plan.method == "post-stratification"
            margins = [np.eye(self.cells.count)] if exact else self.cells.margins
            share = raked(counts[:, g], margins, [everyone @ margin for margin in margins])
            total = counts[:, g].sum(axis=-1, keepdims=True)
            factors[:, g] = np.nan_to_num(ratio(share * total, counts[:, g]))
        return factors

    def imbalance(self, counts: Array, everyone: Array, before: Array) -> float:
        r"""Largest standardised difference of a category's share, group against all samples.

        .. math:: |p_g - p| / \sqrt{(p_g (1 - p_g) + p (1 - p)) / 2}

        with the shares before balancing in the denominator, so that it is the same after.

        Args:
            counts: ``[cell]`` weight of the group.
            everyone: ``[cell]`` weight of all samples.
            before: ``[cell]`` weight of the group before balancing.

        Returns:
            >= 0; up to 0.1 is commonly taken for balanced. NaN if the group has no weight.

        References:
            Austin (2009), *Balance diagnostics for comparing the distribution of baseline
            covariates between treatment groups in propensity-score matched samples*,
            Statistics in Medicine 28, 3083-3107.
        """
        if counts.sum() == 0:
            return float("nan")
        differences = [0.0]
        for margin in self.cells.margins:
            now, own, all_of_them = (
                each @ margin / each.sum() for each in (counts, before, everyone)
            )
            variance = (own * (1 - own) + all_of_them * (1 - all_of_them)) / 2
            apart = np.abs(now - all_of_them)
            differences.extend(apart[variance > 0] / np.sqrt(variance[variance > 0]))
        return float(max(differences))


def raked(mass: Array, margins: Sequence[Array], wanted: Sequence[Array]) -> Array:
    """Shares nearest to ``mass`` that have the wanted margins.

    Scaling to each margin in turn ends at the distribution of least relative entropy to
    ``mass``. That is what entropy balancing solves for, when what it balances are categories.
    With one margin, the cells themselves, it is exact post-stratification.

    Args:
        mass: ``[draw, cell]`` >= 0.
        margins: ``[cell, category]`` each, 0 or 1.
        wanted: ``[draw, category]`` each >= 0, up to a factor. Categories without mass are
            left out.

    Returns:
        ``[draw, cell]`` that sums to 1; NaN where no distribution has the margins, or none
        was found in 200 rounds.

    References:
        Hainmueller (2012), *Entropy balancing for causal effects*, Political Analysis 20,
        25-46, eq. 6; Ireland and Kullback (1968), *Contingency tables with given marginals*,
        Biometrika 55, 179-188 (scaling finds it).

    >>> raked(np.array([[1.0, 3.0]]), [np.eye(2)], [np.array([[1.0, 1.0]])])
    array([[0.5, 0.5]])
    """
    goals = []
    for margin, goal in zip(margins, wanted, strict=True):
        present = np.where(mass @ margin > 0, goal, 0.0)
        goals.append(ratio(present, present.sum(axis=-1, keepdims=True)))
    found = np.full(mass.shape, np.nan)
    open_, share = np.arange(len(mass)), ratio(mass, mass.sum(axis=-1, keepdims=True))
    for _ in range(_MOST_ROUNDS):
        for margin, goal in zip(margins, goals, strict=True):
            share = share * (np.nan_to_num(ratio(goal[open_], share @ margin)) @ margin.T)
        off = np.max(
            [
                np.abs(share @ margin - goal[open_]).max(axis=-1)
                for margin, goal in zip(margins, goals, strict=True)
            ],
            axis=0,
        )
        done = off < _NEAR
        found[open_[done]] = share[done]
        open_, share = open_[~done], share[~done]
        if len(open_) == 0:
            break
    return found
