"""Bootstrap over patients: one pass gives every draw of every metric in every group."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from evaluation.groups import Group
from evaluation.metric import Array, Metric, Reads, run_starts, sum_runs
from evaluation.target import MACRO, Measure, Target

# Weights of so many (draw, row) pairs are held at a time: 16 MB. Fewer would repeat what is
# done once a block, more would not stay in the cache.
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Cube:
    """Every measure in every group, on the sample and on each bootstrap draw.

    All derived intervals (gap, worst group, change, policy clause) come from these same draws,
    so that they agree with each other.

    Attributes:
        measures: ``[measure]``.
        point: ``[group, measure]`` on the sample itself, NaN where undefined.
        draws: ``[draw, group, measure]``, NaN where a draw leaves the metric undefined.
    """

    measures: tuple[Measure, ...]
    point: Array
    draws: Array

    def with_macro(self) -> "Cube":
        """The cube with the mean over all targets of each metric that every target has.

        The mean is NaN where one target is undefined: means over different findings cannot be
        compared. A multiclass task as a whole, which has no name, is no part of it.
        """
        measures, points, draws = list(self.measures), [self.point], [self.draws]
        names = dict.fromkeys(measure.target for measure in measures if measure.target)
        for metric in dict.fromkeys(measure.metric for measure in measures):
            inside = [
                m
                for m, each in enumerate(self.measures)
                if each.target and each.metric == metric
            ]
            if len(inside) == len(names) > 1:
                measures.append(Measure(MACRO, metric))
                points.append(self.point[:, inside].mean(axis=-1, keepdims=True))
                draws.append(self.draws[:, :, inside].mean(axis=-1, keepdims=True))
        point, drawn = np.concatenate(points, axis=-1), np.concatenate(draws, axis=-1)
        return Cube(tuple(measures), point, drawn)


def patient_weights(
    patient: Array, draws: int, seed: int, weight: Array | None = None
) -> Iterator[Array]:
    """Weight of each sample when patients are drawn with replacement.

    Args:
        patient: ``[n]`` patient of each sample, any hashable values.
        draws: Number of draws.
        seed: The same seed, patients and number of draws give the same weights.
        weight: ``[n]`` >= 0 that each sample has by itself; one if not given.

    Yields:
        ``[some, n]`` float weights, consecutive blocks of the draws. How often a sample occurs
        is the same for all samples of a patient, and sums to the number of patients over the
        patients.

    References:
        Field and Welsh (2007), *Bootstrapping clustered data*, J. R. Statist. Soc. B 69,
        369-390 (the cluster bootstrap).
    """
    _, code = np.unique(patient, return_inverse=True)
    patients = int(code.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // max(len(patient), 1))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        drawn = generator.integers(patients, size=(count, patients))
        drawn += patients * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * patients).astype(float)
        block_weight = np.take(times.reshape(count, patients), code, axis=1)
        if weight is not None:
            block_weight *= weight
        yield block_weight


@dataclass(frozen=True)
class Resampling:
    """The samples' patients and weights, and how they are resampled.

    Attributes:
        patient: ``[n]``.
        weight: ``[n]`` >= 0, of the sample itself.
        draws: Number of draws.
        seed: Of the draws.
        confidence: Of the two-sided intervals, in (0, 1).
    """

    patient: Array
    weight: Array
    draws: int
    seed: int
    confidence: float

    def weights(self) -> Iterator[Array]:
        """Blocks ``[some, n]`` of weights, one row a draw, see :func:`patient_weights`."""
        return patient_weights(self.patient, self.draws, self.seed, self.weight)


def bootstrap(
    targets: Sequence[Target],
    groups: Sequence[Group],
    metrics: Sequence[Metric],
    weight: Array,
    resampled: Iterable[Array],
    on_progress: Callable[[int], None] | None = None,
) -> Cube:
    """Every metric of every target in every group, on the sample and on resamples of it.

    Args:
        targets: Each over the same ``[n]`` samples.
        groups: Their rows index into ``[n]``; empty groups are allowed and give NaN.
        metrics: To compute, where they apply to the target.
        weight: ``[n]`` >= 0, of the sample itself.
        resampled: Blocks ``[some, n]`` of weights, one row a draw, as of
            :func:`patient_weights`.
        on_progress: Called with the number of draws done.

    Returns:
        The cube; its measures are ordered by target, then metric. Cost: each draw reads each
        sample's weight once a target and group that holds it, and once more for each metric of
        the score. Metrics of the decision cost next to nothing on top.
    """
    measures: list[Measure] = []
    orderings = []
    for target in targets:
        columns: dict[Reads, dict[int, Metric]] = {}
        for metric in target.applicable(metrics):
            columns.setdefault(metric.reads, {})[len(measures)] = metric
            measures.append(Measure(target.name, metric))
        orderings += [_Ordering(target, reads, groups, columns[reads]) for reads in columns]

    def compute(weights: Array) -> Array:
        found = np.empty((len(weights), len(groups), len(measures)))
        for ordering in orderings:
            ordering.fill(weights, found)
        return found

    blocks, done = [np.empty((0, len(groups), len(measures)))], 0
    # The products are small: threads would wait for each other longer than they compute.
    with threadpool_limits(1, "blas"):
        point = compute(weight[None])[0]
        for block in _in_turn(compute, resampled, _threads(metrics)):
            blocks.append(block)
            done += len(block)
            if on_progress:
                on_progress(done)
    return Cube(tuple(measures), point, np.concatenate(blocks))


def _threads(metrics: Sequence[Metric]) -> int:
    """How many blocks to compute at once: array operations leave the interpreter to others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) if all(metric.parallel for metric in metrics) else 1


def _in_turn(
    compute: Callable[[Array], Array], blocks: Iterable[Array], threads: int
) -> Iterator[Array]:
    """What is computed of each block, in order, with at most so many blocks held at a time."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Array]] = deque()
        for block in blocks:
            if len(waiting) >= threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(compute, block))
        while waiting:
            yield waiting.popleft().result()


class _Cells(NamedTuple):
    """A group in one ordering of the samples.

    Samples with the same label and decision are one cell, which weighs what they weigh
    together: four cells are all that a metric of the decision needs. A metric of the score sees
    each sample by itself, as it may count pairs of samples.

    Attributes:
        places: ``[m]`` increasing places of the group's samples in the ordering.
        first: ``[cell]`` where each cell begins among them.
        label: ``[cell]``.
        value: ``[cell]``, ascending.
    """

    places: Array
    first: Array
    label: Array
    value: Array


class _Ordering:
    """What is the same in every draw of a target for the metrics that read the same value.

    The samples ascend in value, so no metric sorts in any draw.
    """

    def __init__(
        self, target: Target, reads: Reads, groups: Sequence[Group], metrics: dict[int, Metric]
    ) -> None:
        self.metrics = metrics
        rows = np.flatnonzero(target.known)
        label, value = target.label[rows], target.value(reads)[rows]
        order = np.lexsort((label, value))
        self.rows, label, value = rows[order], label[order], value[order]
        place = np.full(len(target.label), -1)
        place[self.rows] = np.arange(len(self.rows))
        self.groups = []
        for group in groups:
            inside = np.sort(place[group.rows])
            inside = inside[np.searchsorted(inside, 0) :]
            each = np.arange(len(inside))
            first = run_starts(label[inside], value[inside]) if reads == "decision" else each
            cells = inside[first]
            self.groups.append(_Cells(inside, first, label[cells], value[cells]))

    def fill(self, weight: Array, found: Array) -> None:
        """Put the metrics of some draws into their columns of ``[draw, group, metric]``."""
        # Scattered reading is slow: it is done once, and the groups read on from left to right.
        ascending = np.take(weight, self.rows, axis=1)
        for g, (places, first, label, value) in enumerate(self.groups):
            inside = sum_runs(np.take(ascending, places, axis=1), first)
            for m, metric in self.metrics.items():
                found[:, g, m] = metric(label, value, inside)


def count_units(
    targets: Sequence[Target],
    groups: Sequence[Group],
    measures: Sequence[Measure],
    patient: Array,
    weight: Array,
) -> Array:
    """Patients that each measure rests on in each group, ``[group, measure]``.

    Those of ``patient [n]`` with a sample whose ``weight [n]`` is above 0.

    The mean over targets rests on as many as the target with the fewest.
    """
    counts = np.zeros((len(groups), len(measures)), int)
    by_name = {target.name: target for target in targets}
    for m, (name, metric) in enumerate(measures):
        if name == MACRO and name not in by_name:
            same = [k for k in range(m) if measures[k].metric == metric and measures[k].target]
            counts[:, m] = counts[:, same].min(axis=1)
            continue
        target = by_name[name]
        for g, group in enumerate(groups):
            rows = group.rows[(target.known & (weight > 0))[group.rows]]
            counts[g, m] = metric.units(
                target.label[rows], target.decision[rows], patient[rows]
            )
    return counts
