"""Two models on the same samples: how much better or worse, overall and in each group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.bootstrap import bootstrap, count_units
from evaluation.errors import Fault, InputError
from evaluation.groups import Group
from evaluation.metric import Array, Metric, Reads
from evaluation.predictions import Predictions


@dataclass(frozen=True)
class Champion:
    """The model to compare with.

    Attributes:
        name: What it is called in the report.
        predictions: Its scores. Only samples that the audited model has scored too are
            compared, so leave out those that either model was trained on.
        threshold: From which score on it decides positive.
    """

    name: str
    predictions: Predictions
    threshold: float


@dataclass(frozen=True)
class Comparison:
    """Paired changes of every metric in every group.

    Attributes:
        point: ``[group, metric]``, audited model minus champion, turned so that positive is
            better.
        draws: ``[draw, group, metric]``; both models see the same resampled patients.
        units: ``[group, metric]`` patients that the metric rests on, among those compared.
    """

    point: Array
    draws: Array
    units: Array


def compare(
    predictions: Predictions,
    threshold: float,
    champion: Champion,
    groups: Sequence[Group],
    metrics: Sequence[Metric],
    draws: int,
    seed: int,
) -> Comparison:
    """Compare with the champion on the samples that both have scored.

    Args:
        predictions: The audited rows, ``[n]``.
        threshold: Of the audited model.
        champion: The other model.
        groups: Their rows index into ``[n]``.
        metrics: To compare.
        draws: Of the paired patient bootstrap.
        seed: Of the draws.

    Returns:
        The paired changes.

    Raises:
        InputError: No sample is common, or the two disagree about a label.
    """
    ours = predictions.table
    theirs = champion.predictions.table.set_index("sample")
    common = np.flatnonzero(ours["sample"].isin(theirs.index))
    where = champion.predictions.source
    if len(common) == 0:
        remedy = "Score the audited test samples with the champion."
        raise InputError(Fault(where, "has no sample in common with the audited model", remedy))
    mine = ours.iloc[common]
    other = theirs.loc[mine["sample"]]
    label = mine["label"].to_numpy(float)
    if (label != other["label"].to_numpy(float)).any():
        first = mine["sample"].iloc[int(np.argmax(label != other["label"].to_numpy(float)))]
        found = f"its label differs from the audited model's, first for sample {first}"
        raise InputError(Fault(where, found, "Compare models on one version of the truth."))
    position = np.full(len(ours), -1)
    position[common] = np.arange(len(common))
    inside = [
        Group(group.attributes, group.values, kept[kept >= 0])
        for group in groups
        for kept in [position[group.rows]]
    ]
    patient = mine["patient"].to_numpy()
    ours_read, theirs_read = (
        _value(table["score"].to_numpy(), at)
        for table, at in ((mine, threshold), (other, champion.threshold))
    )
    ours_cube, theirs_cube = (
        bootstrap(label, value, patient, inside, metrics, draws, seed)
        for value in (ours_read, theirs_read)
    )
    sign = np.array([1 if metric.better == "higher" else -1 for metric in metrics])
    return Comparison(
        sign * (ours_cube.point - theirs_cube.point),
        sign * (ours_cube.draws - theirs_cube.draws),
        count_units(label, ours_read["decision"], patient, inside, metrics),
    )


def _value(score: Array, threshold: float) -> Mapping[Reads, Array]:
    return {"score": score, "decision": (score >= threshold).astype(float)}
