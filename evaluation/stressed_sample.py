"""A sample in other populations: metrics within its cells, mixed for each population."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.bootstrap import Resampling, bootstrap
from evaluation.groups import Group
from evaluation.metric import METRICS, Array, Metric, ratio
from evaluation.reweighting import EffectivePatients, Strata, reweighted
from evaluation.target import Target
from evaluation.worst_case import event_share

# Mean over the samples of something that depends on one sample alone.
_MEANS = ("brier_score", "log_loss")

# A draw may lack cells that hold so much of a label's share in a population.
_LEFT_OUT = 0.05


@dataclass(frozen=True)
class CellMetrics:
    """Metrics within the cells of some strata; the sample first, then each draw.

    Attributes:
        mean: ``[1 + draw, 2 * category]`` by name; the share decided positive is
            ``selection_rate``.
        order: ``[1 + draw, category * category]``, chance that a positive of one category
            scores above a negative of another.
    """

    mean: dict[str, Array]
    order: Array


def cell_metrics(
    target: Target,
    strata: Sequence[Strata],
    metrics: Sequence[Metric],
    resampling: Resampling,
    on_progress: Callable[[int], None] | None,
) -> list[CellMetrics]:
    """What every population is a mixture of, in one bootstrap for all strata."""
    losses = [metric for metric in metrics if metric.name in _MEANS]
    means = [METRICS.get("selection_rate"), *losses]
    orders = [metric for metric in metrics if metric.name == "auroc"]
    passes = 1 + bool(orders)

    def through(groups: list[list[Group]], wanted: Sequence[Metric], start: int) -> list[Array]:
        flat = [group for each in groups for group in each]
        tell = on_progress and (lambda done: on_progress((start + done) // passes))
        blocks = resampling.weights()
        cube = bootstrap([target], flat, wanted, resampling.weight, blocks, tell)
        drawn = np.concatenate([cube.point[None], cube.draws])
        return np.split(drawn, np.cumsum([len(each) for each in groups])[:-1], axis=1)

    inside = through([each.cells() for each in strata], means, 0)
    pairs = [each.pairs() if orders else [] for each in strata]
    ordered = through(pairs, orders, resampling.draws) if orders else [None] * len(strata)
    return [
        CellMetrics(
            {metric.name: mean[:, :, m] for m, metric in enumerate(means)},
            np.empty((len(mean), 0)) if order is None else order[:, :, 0],
        )
        for mean, order in zip(inside, ordered, strict=True)
    ]


def _mixed(mass: Array, value: Array) -> tuple[Array, Array]:
    """Sum of the cells' values, and mass of the cells that have one, ``[population, draw]``.

    Args:
        mass: ``[population, cell]``.
        value: ``[draw, cell]``, NaN where the draw has no sample of the cell.
    """
    there = ~np.isnan(value)
    return mass @ np.where(there, value, 0.0).T, mass @ there.T.astype(float)


class StressedSample:
    """A target's samples by label and one attribute, ready to be reweighted."""

    def __init__(
        self,
        target: Target,
        strata: Strata,
        resampling: Resampling,
        minimum: int,
        cells: CellMetrics,
    ) -> None:
        """Count what every population needs.

        Args:
            target: The question.
            strata: Its samples by label and category.
            resampling: Of the samples.
            minimum: Patients that a cell needs to stand for others.
            cells: Metrics within the cells.
        """
        self.target, self.strata, self.resampling = target, strata, resampling
        self.minimum, self.cells = minimum, cells
        self.joint = strata.joint(resampling.weight)
        self.patients = EffectivePatients(
            strata, target.decision, resampling.patient, resampling.weight
        )
        counted = resampling.weight > 0
        groups = [group.rows[counted[group.rows]] for group in strata.cells()]
        self.size = np.array([len(np.unique(resampling.patient[rows])) for rows in groups])
        count = len(strata.categories)
        self.rows = [np.r_[groups[c], groups[count + c]] for c in range(count)]

    def units(self, metric: Metric, rows: Array) -> int:
        """Patients of the sample that the metric rests on; rows of weight 0 are no evidence."""
        rows = rows[self.resampling.weight[rows] > 0]
        of = self.target.label, self.target.decision, self.resampling.patient
        return metric.units(*(each[rows] for each in of))

    def as_ratio(self, metric: Metric) -> tuple[Array, Array] | None:
        """Numerator and denominator, each ``[2 * category]``; None if it is no ratio."""
        if metric.name in _MEANS:
            return self.cells.mean[metric.name][0], np.ones(self.joint.size)
        share = event_share(metric, self.cells.mean["selection_rate"][0].reshape(2, -1))
        return share and (share[0].ravel(), share[1].ravel())

    def values(self, metric: Metric, joint: Array) -> Array:
        """The metric in some populations or parts of them, ``[population, 1 + draw]``.

        A cell that a draw lacks is left out of it. The draw is NaN if it lacks cells that hold
        more than 5 % of a label's share in the population.

        Args:
            metric: Any.
            joint: ``[population, 2, category]``, not NaN.
        """
        mass = joint.reshape(len(joint), -1)
        if metric.reads == "decision":
            found = self._of_decisions(metric, joint)
        elif metric.name in _MEANS:
            found = ratio(*_mixed(mass, self.cells.mean[metric.name]))
        elif metric.name == "auroc":
            product = joint[:, 1, :, None] * joint[:, 0, None, :]
            found = ratio(*_mixed(product.reshape(len(joint), -1), self.cells.order))
        else:
            found = np.stack([self._resampled(metric, each) for each in joint])
        return np.asarray(np.where(self._lacking(joint), np.nan, found))

    def _by_label(self, joint: Array) -> Iterator[tuple[Array, Array]]:
        """Share decided positive, and share at all, for each label."""
        selected = np.split(self.cells.mean["selection_rate"], 2, axis=1)
        for label in (0, 1):
            yield _mixed(joint[:, label], selected[label])

    def _lacking(self, joint: Array) -> Array:
        """Draws that cannot stand for a population, ``[population, 1 + draw]`` bool."""
        lacking = [
            there < (1 - _LEFT_OUT) * joint[:, label].sum(axis=1)[:, None]
            for label, (_, there) in enumerate(self._by_label(joint))
        ]
        return np.asarray(np.logical_or(*lacking))

    def _of_decisions(self, metric: Metric, joint: Array) -> Array:
        """From the shares of label and decision alone, of which it is a function."""
        table = []
        for hits, there in self._by_label(joint):
            # Rounding may leave a share of nobody a little below 0.
            table += [np.maximum(there - hits, 0.0), hits]
        return np.asarray(metric([0, 0, 1, 1], [0, 1, 0, 1], np.stack(table, axis=-1)))

    def _resampled(self, metric: Metric, joint: Array) -> Array:
        """From a bootstrap of its own, ``[1 + draw]``."""
        inside = np.isin(self.strata.cell, np.flatnonzero(joint.ravel() > 0))
        group = Group((), (), np.flatnonzero(inside))
        weight = self.resampling.weight
        point = next(reweighted([weight[None]], self.strata, joint))[0]
        blocks = reweighted(self.resampling.weights(), self.strata, joint)
        cube = bootstrap([self.target], [group], [metric], point, blocks)
        return np.concatenate([cube.point[0], cube.draws[:, 0, 0]])
