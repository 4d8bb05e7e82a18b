"""Disparity with confounders balanced: each group weighted to the mix of all samples."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from evaluation.balance import FEWEST, Balance, ConfounderCells, Method
from evaluation.bootstrap import Resampling
from evaluation.errors import Fault, InputError
from evaluation.gaps import extremes
from evaluation.groups import Group
from evaluation.intervals import Interval, interval
from evaluation.metric import REASONS, Array, Metric, needed
from evaluation.settings import Number, Settings
from evaluation.target import Target

State = Literal["adequate", "insufficient", "undefined"]


class Adjusted(Settings):
    """One metric in one group, as it is and with confounders balanced.

    Attributes:
        target: Name of the target.
        metric: Name of the metric.
        attribute: Whose groups are compared.
        group: Name of the group.
        confounders: What is balanced.
        method: ``post-stratification`` if every combination of the confounders holds enough
            patients of the group, else ``entropy balancing`` of each confounder by itself.
        raw: The metric as it is; NaN where undefined.
        value: The metric with the confounders balanced; NaN where undefined.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end.
        effective: Number of equally weighted patients that the balanced ones are worth, among
            those that the metric rests on.
        imbalance_before: Largest standardised difference of a confounder's category, group
            against all samples.
        imbalance_after: The same after balancing; NaN if the group cannot be balanced.
        state: ``undefined`` (no value or no interval), ``insufficient`` (too few effective
            patients, or a category with too few patients) or ``adequate``.
        reason: Why it is undefined or insufficient, or what is special about the interval.
    """

    target: str = ""
    metric: str
    attribute: str
    group: str
    confounders: tuple[str, ...]
    method: Method
    raw: Number
    value: Number
    low: Number
    high: Number
    effective: Number
    imbalance_before: Number
    imbalance_after: Number
    state: State
    reason: str = ""


class AdjustedGap(Settings):
    """Gap of one metric between an attribute's groups, with confounders balanced.

    Attributes:
        target: Name of the target.
        metric: Name of the metric.
        attribute: Whose groups are compared.
        confounders: What is balanced.
        raw: Largest minus smallest estimate as they are, of the groups that are ranked; NaN
            with fewer than two.
        value: Largest minus smallest balanced estimate, >= 0.
        low: Lower end of the true balanced gap's simultaneous interval.
        high: Upper end.
        null_high: A gap up to this is to be expected if all balanced groups are alike.
        best: Group with the best balanced estimate.
        worst: Group with the worst.
        unranked: Groups that could not be ranked: undefined or with too little evidence.
        reason: Why there is no gap or interval, else empty.
    """

    target: str = ""
    metric: str
    attribute: str
    confounders: tuple[str, ...]
    raw: Number
    value: Number
    low: Number
    high: Number
    null_high: Number
    best: str
    worst: str
    unranked: tuple[str, ...]
    reason: str = ""


def adjusted(
    target: Target,
    metrics: Iterable[Metric],
    attribute: str,
    values: pd.Categorical,
    confounders: Mapping[str, pd.Categorical],
    resampling: Resampling,
    minimum_patients: int,
) -> tuple[tuple[Adjusted, ...], tuple[AdjustedGap, ...]]:
    """Metrics by group as if confounders were distributed in each group as in all samples.

    What is left of a gap is not explained by the confounders. That makes it neither causal nor
    unfair by itself; and a confounder that the attribute brings about (graver disease at first
    visit, say) is part of the disparity and should not be balanced away.

    Args:
        target: Samples whose truth is not known take no part.
        metrics: To compute, where they apply to the target.
        attribute: Its name.
        values: ``[n]`` without missing values; its categories are the groups.
        confounders: ``[n]`` each, without missing values where the truth is known. The label
            can be one; then prevalence is balanced.
        resampling: Patients and weights of the samples. The balance is found anew in each
            draw.
        minimum_patients: With fewer effective patients an estimate is insufficient.

    Returns:
        The estimates by metric and group, and the gap of each metric. A group without any
        patient of a category cannot be balanced and is undefined: there is nobody to weight.
        Cost: about ``draws * n * metrics`` operations.

    Raises:
        InputError: There is no confounder, or a sample without a value.

    References:
        Glocker, Jones, Bernhardt and Winzeck (2023), *Algorithmic encoding of protected
        characteristics in chest X-ray disease detection models*, eBioMedicine 89, 104467 (there
        the test set is resampled, here it is weighted, so that no patient counts as several).
        Kish (1965), *Survey sampling*, section 11.7 (effective number).
    """
    if (values.codes < 0).any():
        found = f"{(values.codes < 0).sum()} samples have no value"
        remedy = "Give missing values a category of their own."
        raise InputError(Fault(f"attribute '{attribute}'", found, remedy))
    groups = [
        Group((attribute,), (str(name),), np.flatnonzero(values.codes == k))
        for k, name in enumerate(values.categories)
    ]
    cells = ConfounderCells.of(confounders, target.known)
    named = {"target": target.name, "attribute": attribute, "confounders": tuple(confounders)}
    sample = _Sample(target, target.applicable(metrics), groups, cells, resampling)
    raw, point = sample.raw(), sample.balanced(resampling.weight[None])[0]
    blocks = [sample.balanced(weight) for weight in resampling.weights()]
    draws = np.concatenate([point[None][:0], *blocks])
    estimates: list[Adjusted] = []
    gaps = []
    for m, metric in enumerate(sample.metrics):
        of_metric = [
            sample.estimate(
                named, metric, g, raw[g, m], point[g, m], draws[:, g, m], minimum_patients
            )
            for g in range(len(groups))
        ]
        estimates += of_metric
        gaps.append(_gap(named, metric, of_metric, draws[:, :, m], resampling.confidence))
    return tuple(estimates), tuple(gaps)


class _Rows(NamedTuple):
    """Samples of a group whose truth is known, ascending in score."""

    name: str
    at: Array
    label: Array
    score: Array
    decision: Array

    def value(self, metric: Metric) -> Array:
        return self.score if metric.reads == "score" else self.decision


class _Sample:
    """What is the same in every draw: the rows of each group and how they are balanced."""

    def __init__(
        self,
        target: Target,
        metrics: Sequence[Metric],
        groups: Sequence[Group],
        cells: ConfounderCells,
        resampling: Resampling,
    ) -> None:
        self.metrics, self.resampling, self.cells = metrics, resampling, cells
        _, self.patient = np.unique(resampling.patient, return_inverse=True)
        self.balance = Balance(cells, groups, target.known, self.patient)
        self.rows = []
        for group in groups:
            at = group.rows[target.known[group.rows]]
            at = at[np.argsort(target.score[at], kind="stable")]
            columns = (target.label[at], target.score[at], target.decision[at])
            self.rows.append(_Rows(group.name, at, *columns))
        weight = resampling.weight[None]
        self.counts = self.balance.tally(weight)[0]
        self.factors = self.balance.factors(weight)[0]

    def raw(self) -> Array:
        """Each metric as it is, ``[group, metric]``."""
        weights = [self.resampling.weight[rows.at] for rows in self.rows]
        return np.array(
            [
                [m(rows.label, rows.value(m), weight) for m in self.metrics]
                for rows, weight in zip(self.rows, weights, strict=True)
            ]
        ).reshape(len(self.rows), len(self.metrics))

    def balanced(self, weight: Array) -> Array:
        """Each metric with the confounders balanced, ``[draw, group, metric]``."""
        factors = self.balance.factors(weight)
        found = np.empty((len(weight), len(self.rows), len(self.metrics)))
        for g, rows in enumerate(self.rows):
            inside = weight[:, rows.at] * factors[:, g, self.cells.cell[rows.at]]
            for m, metric in enumerate(self.metrics):
                found[:, g, m] = metric(rows.label, rows.value(metric), inside)
        return found

    def estimate(
        self,
        named: Mapping[str, Any],
        metric: Metric,
        g: int,
        raw: float,
        value: float,
        draws: Array,
        minimum_patients: int,
    ) -> Adjusted:
        effective = self.effective(metric, g)
        confidence = self.resampling.confidence
        found = interval(metric, float(value), draws, int(effective), confidence)
        state, reason = self.state(metric, g, raw, value, found, effective, minimum_patients)
        before = self.counts[g]
        after, everyone = before * self.factors[g], self.counts.sum(axis=0)
        return Adjusted(
            **named,
            metric=metric.name,
            group=self.rows[g].name,
            method=self.balance.plans[g].method,
            raw=raw,
            value=value,
            low=found.low,
            high=found.high,
            effective=effective,
            imbalance_before=self.balance.imbalance(before, everyone, before),
            imbalance_after=self.balance.imbalance(after, everyone, before),
            state=state,
            reason=reason,
        )

    def effective(self, metric: Metric, g: int) -> float:
        """Kish's number of the balanced patients that the metric rests on."""
        rows = self.rows[g]
        weight = self.resampling.weight[rows.at] * self.factors[g, self.cells.cell[rows.at]]
        return min(
            _kish(np.bincount(self.patient[rows.at[kept]], weight[kept]))
            for kept in needed(metric.needs, rows.label, rows.decision)
        )

    def state(
        self,
        metric: Metric,
        g: int,
        raw: float,
        value: float,
        found: Interval,
        effective: float,
        minimum_patients: int,
    ) -> tuple[State, str]:
        plan = self.balance.plans[g]
        if np.isnan(raw):
            return "undefined", REASONS[metric.needs]
        if plan.empty:
            return "undefined", f"no patient with {', '.join(plan.empty)}"
        if not self.factors[g].any():
            return "undefined", "no weights balance all confounders at once"
        if np.isnan(value) or np.isnan(found.low):
            return "undefined", found.reason
        if plan.few:
            return "insufficient", f"fewer than {FEWEST} patients with {', '.join(plan.few)}"
        if effective < minimum_patients:
            return "insufficient", f"rests on {effective:.0f} effective patients"
        return "adequate", found.reason


def _kish(weight: Array) -> float:
    """Effective number of some weights, 0 if they are all 0."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def _gap(
    named: Mapping[str, Any],
    metric: Metric,
    estimates: Sequence[Adjusted],
    draws: Array,
    confidence: float,
) -> AdjustedGap:
    ranked = [g for g, each in enumerate(estimates) if each.state == "adequate"]
    unranked = tuple(each.group for each in estimates if each.state != "adequate")
    named = {**named, "metric": metric.name, "unranked": unranked}
    if len(ranked) < 2:
        return AdjustedGap(**named, **_NO_GAP)
    chosen = [estimates[g] for g in ranked]
    raw = np.array([each.raw for each in chosen])
    point = np.array([each.value for each in chosen])
    units = [int(each.effective) for each in chosen]
    found = extremes(metric, point, draws[:, ranked], units, confidence)
    return AdjustedGap(
        **named,
        raw=float(np.ptp(raw)),
        value=found.gap,
        low=found.gap_low,
        high=found.gap_high,
        null_high=found.null_high,
        best=chosen[found.best_index].group,
        worst=chosen[found.worst_index].group,
        reason="undefined in too many resamples" if np.isnan(found.gap_low) else "",
    )


_NO_GAP: dict[str, Any] = {
    **dict.fromkeys(("raw", "value", "low", "high", "null_high"), float("nan")),
    "best": "",
    "worst": "",
    "reason": "fewer than two groups have enough evidence",
}
