"""Two models on the same samples: how much better or worse, overall and in each group."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.bootstrap import Cube, Resampling, bootstrap, count_units
from evaluation.errors import Fault, InputError
from evaluation.groups import Group
from evaluation.metric import Array, Metric
from evaluation.predictions import Predictions
from evaluation.target import Target
from evaluation.threshold import Threshold


@dataclass(frozen=True)
class Champion:
    """The model to compare with.

    Attributes:
        name: What it is called in the report.
        predictions: Its scores. Its test rows are compared, as far as the audited model has
            scored them too.
        thresholds: From which score on it decides each target positive.
    """

    name: str
    predictions: Predictions
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True)
class Comparison:
    """Every measure in every group, of both models, on the same resampled patients.

    Attributes:
        ours: Of the audited model, on the samples that both have scored.
        theirs: Of the champion.
        units: ``[group, measure]`` patients that each measure rests on, among those compared.
    """

    ours: Cube
    theirs: Cube
    units: Array

    def change(self, m: int) -> tuple[Array, Array]:
        """Change of one measure, turned so that positive is better.

        Returns:
            ``[group]`` on the sample and ``[draw, group]``.
        """
        metric = self.ours.measures[m].metric
        point, draws = (
            metric.goodness(ours) - metric.goodness(theirs)
            for ours, theirs in (
                (self.ours.point[:, m], self.theirs.point[:, m]),
                (self.ours.draws[:, :, m], self.theirs.draws[:, :, m]),
            )
        )
        return point, draws


def compare(
    predictions: Predictions,
    targets: Sequence[Target],
    champion: Champion,
    groups: Sequence[Group],
    metrics: Sequence[Metric],
    resampling: Resampling,
) -> Comparison:
    """Compare with the champion on the test samples that both have scored.

    Args:
        predictions: The audited rows, ``[n]``.
        targets: What the audited model answers about them.
        champion: The other model.
        groups: Their rows index into ``[n]``.
        metrics: To compare.
        resampling: Of the ``[n]`` samples; seed and draws are used for those in common.

    Returns:
        Both models' cubes.

    Raises:
        InputError: The tasks differ, no test sample is common, or the two disagree about a
            label.
    """
    ours = predictions.table
    # On rows that it was fitted to the champion would look better than it is.
    theirs = champion.predictions.only("test").table.set_index("sample")
    where = champion.predictions.source
    if (predictions.task, predictions.targets) != (
        champion.predictions.task,
        champion.predictions.targets,
    ):
        found = "it answers other questions than the audited model"
        raise InputError(Fault(where, found, "Compare models of the same task and targets."))
    common = np.flatnonzero(ours["sample"].isin(theirs.index))
    if len(common) == 0:
        remedy = "Score the audited test samples with the champion."
        found = "has no test sample in common with the audited model"
        raise InputError(Fault(where, found, remedy))
    matched = theirs.loc[ours["sample"].iloc[common]].reset_index()
    limits = {each.target: each.value for each in champion.thresholds}
    answered = replace(champion.predictions, table=matched).answers(limits)
    mine = [_part(target, common) for target in targets]
    _check_labels(mine, answered, ours["sample"].iloc[common].to_numpy(), where)
    inside = _inside(groups, common, len(ours))
    shared = Resampling(
        resampling.patient[common],
        resampling.weight[common],
        resampling.draws,
        resampling.seed,
        resampling.confidence,
    )
    our_cube, their_cube = (
        bootstrap(each, inside, metrics, shared.weight, shared.weights()).with_macro()
        for each in (mine, answered)
    )
    units = count_units(mine, inside, our_cube.measures, shared.patient, shared.weight)
    return Comparison(our_cube, their_cube, units)


def _part(target: Target, rows: Array) -> Target:
    return replace(
        target,
        label=target.label[rows],
        score=target.score[rows],
        decision=target.decision[rows],
    )


def _inside(groups: Sequence[Group], common: Array, rows: int) -> list[Group]:
    """The groups among the common samples, as positions in them."""
    position = np.full(rows, -1)
    position[common] = np.arange(len(common))
    return [
        Group(group.attributes, group.values, kept[kept >= 0])
        for group in groups
        for kept in [position[group.rows]]
    ]


def _check_labels(
    ours: Sequence[Target], theirs: Sequence[Target], sample: Array, where: str
) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        neither = ~mine.known & ~other.known
        differs = ~((mine.label == other.label) | neither)
        if differs.any():
            first = sample[int(np.argmax(differs))]
            about = f"its label of {mine.name}" if mine.name else "its label"
            found = f"{about} differs from the audited model's, first for sample {first}"
            raise InputError(Fault(where, found, "Compare models on one version of the truth."))
