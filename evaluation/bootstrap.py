"""Bootstrap over patients: one pass gives every draw of every metric in every group."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from evaluation.groups import Group
from evaluation.metric import Array, Metric, Reads

# Weights of so many (draw, row) pairs are held at a time: 16 MB. Fewer would repeat what is
# done once a block, more would not stay in the cache.
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Cube:
    """Every metric in every group, on the sample and on each bootstrap draw.

    All derived intervals (gap, worst group, change, policy clause) come from these same draws,
    so that they agree with each other.

    Attributes:
        point: ``[group, metric]`` on the sample itself, NaN where undefined.
        draws: ``[draw, group, metric]``, NaN where a draw leaves the metric undefined.
    """

    point: Array
    draws: Array


def patient_weights(patient: Array, draws: int, seed: int) -> Iterator[Array]:
    """How often each sample occurs when patients are drawn with replacement.

    Args:
        patient: ``[n]`` patient of each sample, any hashable values.
        draws: Number of draws.
        seed: The same seed, patients and number of draws give the same weights.

    Yields:
        ``[some, n]`` float weights, consecutive blocks of the draws. All samples of a patient
        have the same weight, and the weights of the patients sum to the number of patients.

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
        times = np.bincount(drawn.ravel(), minlength=count * patients)
        yield times.reshape(count, patients)[:, code].astype(float)


def bootstrap(
    label: Array,
    value: Mapping[Reads, Array],
    patient: Array,
    groups: Sequence[Group],
    metrics: Sequence[Metric],
    draws: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Cube:
    """Every metric in every group on ``draws`` resamples of the patients.

    Args:
        label: ``[n]``, 0 or 1.
        value: ``[n]`` each, the score and the decision.
        patient: ``[n]``.
        groups: Their rows index into ``[n]``; empty groups are allowed and give NaN.
        metrics: To compute.
        draws: Number of resamples.
        seed: Of the resampling.
        on_progress: Called with draws done and draws in all.

    Returns:
        The cube. Cost: about ``draws * n * depth * metrics`` operations, where ``depth`` is the
        number of groups that a sample is in.
    """
    if "score" in value:
        # Rows that ascend in score need no sorting in any draw.
        groups = [
            replace(
                group, rows=group.rows[np.argsort(value["score"][group.rows], kind="stable")]
            )
            for group in groups
        ]
    whole = np.ones((1, len(label)))
    blocks = []
    # The products are small: threads would wait for each other longer than they compute.
    with threadpool_limits(1, "blas"):
        point = _block(label, value, groups, metrics, whole)[0]
        for weight in patient_weights(patient, draws, seed):
            blocks.append(_block(label, value, groups, metrics, weight))
            if on_progress:
                on_progress(sum(map(len, blocks)), draws)
    shape = (0, len(groups), len(metrics))
    return Cube(point, np.concatenate(blocks) if blocks else np.empty(shape))


def count_units(
    label: Array,
    decision: Array,
    patient: Array,
    groups: Sequence[Group],
    metrics: Sequence[Metric],
) -> Array:
    """Patients that each metric rests on in each group, ``[group, metric]``."""
    counts = [
        [
            metric.units(label[group.rows], decision[group.rows], patient[group.rows])
            for metric in metrics
        ]
        for group in groups
    ]
    return np.array(counts, int).reshape(len(groups), len(metrics))


def _block(
    label: Array,
    value: Mapping[Reads, Array],
    groups: Sequence[Group],
    metrics: Sequence[Metric],
    weight: Array,
) -> Array:
    result = np.empty((len(weight), len(groups), len(metrics)))
    for g, group in enumerate(groups):
        inside = weight[:, group.rows]
        for m, metric in enumerate(metrics):
            result[:, g, m] = metric(label[group.rows], value[metric.reads][group.rows], inside)
    return result
