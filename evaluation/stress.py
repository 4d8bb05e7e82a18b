"""The stress matrix: what the metrics would be in other populations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from evaluation.bootstrap import Resampling
from evaluation.gaps import extremes
from evaluation.intervals import Interval, interval
from evaluation.metric import METRICS, REASONS, Array, Metric, ratio
from evaluation.reweighting import (
    Population,
    Strata,
    correlation,
    with_correlation,
    with_prevalence,
    with_share,
)
from evaluation.settings import Number, Settings
from evaluation.stressed_sample import StressedSample, cell_metrics
from evaluation.target import Target
from evaluation.worst_case import bound_of_worst, worst_population

Shift = Literal["correlation", "prevalence", "marginal", "worst case"]
State = Literal["adequate", "insufficient", "undefined", "impossible"]
Scope = Literal["overall", "worst group"]

_CORRELATIONS = (-0.9, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 0.9)
_PREVALENCES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
_MARGINALS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_METRICS = (
    "auroc",
    "accuracy",
    "true_positive_rate",
    "false_positive_rate",
    "positive_predictive_value",
)


class StressSpec(Settings):
    """Which populations the samples are reweighted to.

    What can move. Label, score and decision of a sample stay as they are; only the shares of
    label and category change. So a metric that is conditional on the label (a rate among the
    positives or negatives, the AUROC) never moves within a group, and not overall with the
    prevalence either; overall it moves with the mix of groups among the positives and
    negatives, hence with correlation and marginal. What depends on the prevalence (accuracy,
    predictive values, Brier score) moves with everything. No metric of a group moves with the
    marginal of its attribute, so that shift has no curve of the worst group.

    Attributes:
        correlations: Phi of label and category, in [-1, 1].
        prevalences: Shares of label 1, in (0, 1).
        marginals: Shares of a category among the samples whose value is known, in [0, 1].
        divergences: Shares of the samples that are replaced by samples of other cells of label
            and category in the worst case (total variation), in (0, 1].
        metrics: Names of the metrics. Those of decisions, ``auroc``, ``brier_score`` and
            ``log_loss`` cost next to nothing a population; any other costs a whole bootstrap
            for each of them.
        draws: Bootstrap draws over patients.
        smallest_effective: A cell whose effective number of patients is lower is insufficient.
        most_categories: So many categories of an attribute are shifted at most, each against
            all others: the largest. Of an attribute of two it is the first, as the other one is
            its mirror image.
    """

    correlations: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = _CORRELATIONS
    prevalences: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = _PREVALENCES
    marginals: tuple[Annotated[float, Field(ge=0, le=1)], ...] = _MARGINALS
    divergences: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.05, 0.1, 0.2, 0.3)
    metrics: tuple[str, ...] = _METRICS
    draws: int = Field(default=300, ge=100, le=100_000)
    smallest_effective: float = Field(default=50, ge=2, allow_inf_nan=False)
    most_categories: int = Field(default=4, ge=1)

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(METRICS.check(name, "stress.metrics") for name in names)


class StressCell(Settings):
    """One metric in one other population.

    Attributes:
        target: The finding or class; empty for a binary task.
        metric: Its name.
        shift: What differs from the sample.
        attribute: Whose categories are shifted or are the groups; empty where the prevalence
            shifts and all samples are looked at.
        category: Which one is shifted against all others; empty for ``prevalence`` and
            ``worst case``.
        scope: Whether the value is that of all samples or of the worst group of the attribute.
        level: Phi, prevalence, share of the category, or distance from the sample.
        observed: The level of the sample itself; 0 for a distance, NaN where undefined.
        group: ``all``, or the worst group; empty if none could be named.
        value: In that population; NaN where undefined.
        low: Lower end of its interval: of the value in exactly this population, whose shares
            are taken as known. That of a worst group holds for the truly worst one.
        high: Upper end. In simulations the intervals of 95 % cover .93 to .95 over all samples,
            at 300 patients and draws; in the worst case .92 to .99, the least where a dozen
            cells are truly alike.
        effective: Kish's effective number of patients among those that the metric rests on,
            under the weights; of the rarer class for an AUROC.
        state: ``impossible`` (no population has this level, prevalence and share at once),
            ``undefined`` (the sample cannot be reweighted so, no value or no interval),
            ``insufficient`` (too few patients, or too few effective ones) or ``adequate``.
        reason: Why it is not adequate, or what is special about it.
    """

    target: str = ""
    metric: str
    shift: Shift
    attribute: str
    category: str
    scope: Scope
    level: Number
    observed: Number
    group: str
    value: Number
    low: Number
    high: Number
    effective: Number
    state: State
    reason: str = ""


def stress(
    target: Target,
    attributes: Mapping[str, pd.Categorical],
    resampling: Resampling,
    spec: StressSpec,
    minimum_patients: int,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[StressCell, ...]:
    """Every metric in every population of the specification.

    Each draw of patients is reweighted anew to the shares of the population, which are fixed.
    The level of the sample itself is part of every curve.

    Samples whose attribute is missing are a category of their own: their share and prevalence
    stay as they are when another category is shifted, they move with the prevalence and in the
    worst case, and they are one of the groups that can be worst.

    Correlation and marginal keep everything else: the prevalence, the share of the category,
    and the shares of the other categories relative to each other within a label (correlation)
    or altogether (marginal). The worst case moves samples between cells of label and category
    as far as the distance allows, to cells of at least ``minimum_patients`` patients only, and
    is exact. It is found on the sample, for shares of events and means of losses; other metrics
    (the AUROC, say, which is no ratio of two means) are listed as undefined. The worst of
    several estimates is biased towards the worse, so its interval is widened to the better side
    (:func:`evaluation.worst_case.bound_of_worst`).

    Args:
        target: Of two classes.
        attributes: Category of each sample, ``[n]`` without missing values, by attribute.
        resampling: Patients and weights; its number of draws is not used.
        spec: Populations and metrics.
        minimum_patients: A metric that rests on fewer patients of the sample is insufficient,
            whatever the weights; such a group is not ranked.
        on_progress: Called with the number of draws done, of ``spec.draws``.

    Returns:
        The cells, curve by curve with ascending level: first those of the prevalence over all
        samples, then those of each attribute.

    Raises:
        ValueError: The target has more than two classes, or an attribute is not ``[n]`` without
            missing values.
    """
    everyone = pd.Categorical(np.full(len(target.label), "all"), categories=["all"])
    columns = {"": everyone, **attributes}
    strata = [Strata.of(target, name, values) for name, values in columns.items()]
    _, patient = np.unique(resampling.patient, return_inverse=True)
    chosen = replace(resampling, patient=patient, draws=spec.draws)
    metrics = [METRICS.get(name) for name in spec.metrics]
    held = cell_metrics(target, strata, metrics, chosen, on_progress)
    cells: list[StressCell] = []
    for each, known in zip(strata, held, strict=True):
        sample = StressedSample(target, each, chosen, minimum_patients, known)
        for metric in metrics:
            for curve in _curves(sample, metric, spec):
                cells.extend(_along(sample, metric, curve, spec))
    return tuple(cells)


@dataclass(frozen=True)
class _Curve:
    """Populations that differ from the sample in one way, more or less."""

    shift: Shift
    category: str
    observed: float
    levels: list[float]
    populations: list[Population]
    scopes: tuple[Scope, ...]


def _curve(
    shift: Shift,
    category: str,
    observed: float,
    levels: Iterable[float],
    population: Callable[[float], Population],
    *scopes: Scope,
) -> _Curve:
    """The curve through the levels and through that of the sample itself."""
    others = [level for level in levels if not abs(level - observed) < 1e-9]
    along = sorted([*others, *([] if np.isnan(observed) else [observed])])
    return _Curve(shift, category, observed, along, list(map(population, along)), scopes)


def _curves(sample: StressedSample, metric: Metric, spec: StressSpec) -> Iterator[_Curve]:
    strata, joint = sample.strata, sample.joint
    prevalence = partial(_curve, "prevalence", "", float(joint[1].sum()), spec.prevalences)
    if not strata.attribute:
        yield prevalence(partial(with_prevalence, joint), "overall")
        return
    yield prevalence(partial(with_prevalence, joint), "worst group")
    known = strata.known
    for c in _shifted(joint, known, spec.most_categories):
        name = strata.categories[c]
        tied = partial(with_correlation, joint, c, known)
        phi = correlation(joint, c, known)
        scopes: tuple[Scope, ...] = ("overall", "worst group")
        yield _curve("correlation", name, phi, spec.correlations, tied, *scopes)
        share = float(ratio(joint[:, c].sum(), joint[:, known].sum()))
        mixed = partial(with_share, joint, c, known)
        yield _curve("marginal", name, share, spec.marginals, mixed, "overall")
    worst = partial(_worst, sample, metric)
    yield _curve("worst case", "", 0.0, spec.divergences, worst, "overall")


def _shifted(joint: Array, known: Array, most: int) -> list[int]:
    """Categories that are shifted against the others, in their order."""
    share = np.where(known, joint.sum(axis=0), 0.0)
    present = np.flatnonzero(share > 0)
    if len(present) <= 2:
        return [int(c) for c in present[:1]]
    largest = present[np.argsort(-share[present], kind="stable")[:most]]
    return sorted(int(c) for c in largest)


def _worst(sample: StressedSample, metric: Metric, distance: float) -> Population:
    """The worst population within a distance, with those that may as well be the worst."""
    joint, nowhere = sample.joint, np.full_like(sample.joint, np.nan)
    share = sample.as_ratio(metric)
    if share is None:
        return Population(nowhere, "worst case: only for shares of events and mean losses")
    to = np.flatnonzero((sample.size >= sample.minimum) & (joint.ravel() > 0))
    if len(to) == 0:
        needed = f"{sample.minimum} patients"
        return Population(nowhere, f"no cell of label and attribute has {needed}")
    better = metric.better == "higher"
    find = partial(worst_population, joint.ravel(), *share, higher_is_better=better)
    rivals = np.array([find(to=int(cell), distance=distance) for cell in to])
    value = ratio(rivals @ np.nan_to_num(share[0]), rivals @ np.nan_to_num(share[1]))
    worst = int(np.argmin(value if better else -value))
    return Population(
        rivals[worst].reshape(joint.shape),
        _moved(sample, rivals[worst].reshape(joint.shape)) if distance else "",
        rivals.reshape(-1, *joint.shape) if distance else None,
    )


def _moved(sample: StressedSample, worst: Array) -> str:
    moved = worst - sample.joint
    if not moved.max() > 0:
        return "nothing makes it worse"
    label, category = np.unravel_index(int(np.argmax(moved)), moved.shape)
    to = f"label {label}, {sample.strata.name(int(category))}"
    return f"{moved.max():.0%} of the samples moved to {to}"


def _along(
    sample: StressedSample, metric: Metric, curve: _Curve, spec: StressSpec
) -> Iterator[StressCell]:
    """The cells of a curve, for each of its scopes."""
    reached = [p for p, each in enumerate(curve.populations) if each.reachable]
    populations = [curve.populations[p] for p in reached]
    for scope in curve.scopes:
        rule = _overall if scope == "overall" else _worst_group
        judgements = rule(sample, metric, populations, spec) if reached else ()
        found = dict(zip(reached, judgements, strict=True))
        for p, (level, population) in enumerate(
            zip(curve.levels, curve.populations, strict=True)
        ):
            state: State = "undefined" if population.possible else "impossible"
            judged = found.get(p, _Judged("", state=state))
            reasons = [each for each in (population.reason, judged.reason) if each]
            yield StressCell(
                target=sample.target.name,
                metric=metric.name,
                shift=curve.shift,
                attribute=sample.strata.attribute,
                category=curve.category,
                scope=scope,
                level=level,
                observed=curve.observed,
                **{**vars(judged), "reason": "; ".join(reasons)},
            )


@dataclass(frozen=True)
class _Judged:
    """What is particular to a cell."""

    group: str
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    effective: float = float("nan")
    state: State = "adequate"
    reason: str = ""


def _overall(
    sample: StressedSample, metric: Metric, populations: Sequence[Population], spec: StressSpec
) -> Iterator[_Judged]:
    joint = np.array([each.joint for each in populations])
    units = sample.units(metric, np.flatnonzero(sample.strata.cell >= 0))
    effective = sample.patients(metric.needs, joint)
    values = sample.values(metric, joint)
    for population, drawn, patients in zip(populations, values, effective, strict=True):
        value, confidence = float(drawn[0]), sample.resampling.confidence
        ends = interval(metric, value, drawn[1:], int(patients), confidence)
        if population.rivals is not None:
            ends = _widened(metric, ends, sample.values(metric, population.rivals), confidence)
        judged = _Judged("all", value, ends.low, ends.high, float(patients))
        if np.isnan(value):
            yield replace(judged, state="undefined", reason=REASONS[metric.needs])
        elif lack := _lack(units, patients, sample.minimum, spec):
            yield replace(judged, state="insufficient", reason=lack)
        else:
            without = np.isnan(ends.low)
            yield replace(
                judged, state="undefined" if without else "adequate", reason=ends.reason
            )


def _widened(metric: Metric, ends: Interval, rivals: Array, confidence: float) -> Interval:
    """The interval of a worst case, as far up as other populations may be the worst one."""
    better = metric.better == "higher"
    bound = bound_of_worst(rivals[:, 0], rivals[:, 1:], confidence, higher_is_better=better)
    if np.isnan(ends.low) or np.isnan(bound):
        return ends
    if better:
        return ends._replace(high=max(ends.high, bound))
    return ends._replace(low=min(ends.low, bound))


def _lack(units: int, patients: float, minimum: int, spec: StressSpec) -> str:
    """What evidence is lacking; empty if none is."""
    if units < minimum:
        return f"rests on {units} patients, needs {minimum}"
    if patients < spec.smallest_effective:
        return f"{patients:.0f} effective patients, needs {spec.smallest_effective:g}"
    return ""


def _worst_group(
    sample: StressedSample, metric: Metric, populations: Sequence[Population], spec: StressSpec
) -> Iterator[_Judged]:
    joint = np.array([each.joint for each in populations])
    count = len(sample.strata.categories)
    alone = joint[:, None] * np.eye(count)[:, None, :]
    parts = alone.reshape(-1, *joint.shape[1:])
    values = sample.values(metric, parts).reshape(len(joint), count, -1)
    effective = sample.patients(metric.needs, parts).reshape(len(joint), count)
    units = [sample.units(metric, rows) for rows in sample.rows]
    for drawn, patients in zip(values, effective, strict=True):
        lacks = [
            REASONS[metric.needs]
            if np.isnan(drawn[c, 0])
            else _lack(units[c], patients[c], sample.minimum, spec)
            for c in range(count)
        ]
        yield _worst_of(sample, metric, drawn, patients, lacks)


def _worst_of(
    sample: StressedSample, metric: Metric, drawn: Array, patients: Array, lacks: Sequence[str]
) -> _Judged:
    """The worst of the groups that lack nothing.

    Args:
        sample: Names the groups.
        metric: Says what is worse.
        drawn: ``[category, 1 + draw]``.
        patients: ``[category]``, effective.
        lacks: ``[category]``.
    """
    ranked = [c for c, lack in enumerate(lacks) if not lack]
    notes = [f"{sample.strata.name(c)} not ranked: {x}" for c, x in enumerate(lacks) if x]
    if len(ranked) < 2:
        return _Judged(
            "",
            state="undefined" if np.isnan(drawn[:, 0]).all() else "insufficient",
            reason="; ".join(["fewer than two groups can be ranked", *notes]),
        )
    found = extremes(
        metric,
        drawn[ranked, 0],
        drawn[ranked, 1:].T,
        [int(patients[c]) for c in ranked],
        sample.resampling.confidence,
    )
    worst = ranked[found.worst_index]
    without = np.isnan(found.worst_low)
    if without:
        notes.append("undefined in too many resamples")
    return _Judged(
        group=sample.strata.name(worst),
        value=found.worst,
        low=found.worst_low,
        high=found.worst_high,
        effective=float(patients[worst]),
        state="undefined" if without else "adequate",
        reason="; ".join(notes),
    )
