"""The rows that are audited: what the model answers about them, and the groups they make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import prod
from typing import Self

import numpy as np
import pandas as pd

from evaluation.adjustment import Adjusted, AdjustedGap, adjusted
from evaluation.analytic import AnalyticInterval, analytic
from evaluation.bootstrap import Resampling
from evaluation.counterfactual import CounterfactualFindings, style_effects
from evaluation.counterfactual_table import Counterfactuals
from evaluation.diagnosis import Diagnosis, diagnoses
from evaluation.differences import Difference, differences
from evaluation.embeddings import Embeddings
from evaluation.errors import Fault, InputError, unknown_name
from evaluation.evidence import AuditEvidence
from evaluation.groups import Attribute, Group, make_groups, with_bins
from evaluation.leakage import LeakageFindings, leakages
from evaluation.metric import METRICS, Metric
from evaluation.pair_means import Sampling
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.stress import StressCell, stress
from evaluation.target import Target
from evaluation.threshold import Threshold, choose_thresholds, decided_from

#: More groups than this take hours, and nobody reads them.
MOST_GROUPS = 5_000

#: More numbers than this, of draws, groups, metrics and targets, do not fit in 3 GB.
MOST_DRAWN = 150_000_000

_FROM_ONE = 0.01

#: Called with the name of the step, how much of it is done, and how much it is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class AuditedRows:
    """The ``[n]`` test rows of some predictions, ready to be measured.

    Attributes:
        predictions: The rows.
        spec: What to audit, with bins that were chosen from the data filled in.
        thresholds: How each target is decided.
        targets: What the model answers.
        values: Group of each row, by attribute, ``[n]`` each.
        groups: All rows, the groups of each attribute, and the crossings.
        resampling: Of the rows.
        notes: What a reader must know, as sentences.
    """

    predictions: Predictions
    spec: AuditSpec
    thresholds: tuple[Threshold, ...]
    targets: tuple[Target, ...]
    values: dict[str, pd.Categorical]
    groups: list[Group]
    resampling: Resampling
    notes: tuple[str, ...]

    @classmethod
    def of(cls, predictions: Predictions, spec: AuditSpec) -> Self:
        """Take the test rows and make their groups.

        Raises:
            InputError: There are no test rows or none with a weight, attributes cannot be used
                or make too many groups, or the spec names a target that there is not.
        """
        test = predictions.only("test")
        if test.table.empty:
            remedy = "Mark them 'test' in the split column."
            raise InputError(Fault(predictions.source, "has no test rows", remedy))
        if not test.weight.any():
            raise InputError(
                Fault(predictions.source, "every test row has weight 0", "Weigh some of them.")
            )
        for name in spec.healthy:
            if name not in predictions.targets:
                raise unknown_name("target", name, predictions.targets, "healthy")
        attributes = tuple(with_bins(a, predictions.table[a.name]) for a in spec.attributes)
        # On all rows, so that a fault names the row of the file.
        audited = (predictions.table["split"] == "test").to_numpy()
        values = {
            name: found[audited] for name, found in _categories(attributes, predictions).items()
        }
        for attribute in attributes:
            known = list(values[attribute.name].categories)
            if attribute.reference and attribute.reference not in known:
                where = f"reference of {attribute.name}"
                raise unknown_name("group", attribute.reference, known, where)
        thresholds = choose_thresholds(predictions, spec)
        targets = test.answers({each.target: each.value for each in thresholds})
        # Numbers instead of names: patients are counted and resampled thousands of times.
        _, patient = np.unique(test.patient, return_inverse=True)
        _check_count(values, spec, len(test.table), len(targets))
        groups = make_groups(values, spec.depth, len(test.table))
        _check_names(groups, predictions.source)
        return cls(
            test,
            spec.model_copy(update={"attributes": attributes}),
            thresholds,
            targets,
            values,
            groups,
            Resampling(patient, test.weight, spec.draws, spec.seed, spec.confidence),
            tuple(_notes(predictions, spec.attributes, attributes, targets)),
        )

    @property
    def questions(self) -> list[Target]:
        """The targets with two answers: a multiclass task as a whole has no score."""
        return [target for target in self.targets if target.classes == 2]

    @property
    def simple(self) -> list[Group]:
        """All rows, and the groups of single attributes."""
        return [group for group in self.groups if len(group.attributes) <= 1]

    @property
    def metrics(self) -> list[Metric]:
        """Those of the spec."""
        return [METRICS.get(name) for name in self.spec.metrics]

    @property
    def primary(self) -> tuple[str, ...]:
        """Metrics of the pre-declared family; all if none were declared."""
        return self.spec.primary or self.spec.metrics

    def analytic(self) -> tuple[AnalyticInterval, ...]:
        """Intervals without resampling."""
        sampled = self.resampling
        return analytic(
            self.questions,
            self.groups,
            self.metrics,
            sampled.patient,
            sampled.weight,
            sampled.confidence,
        )

    def differences(self, evidence: AuditEvidence) -> tuple[Difference, ...]:
        """Every group against the reference group: the declared one, else the largest."""
        reference = {}
        for group in self.groups[1:]:
            others = [g for g in self.groups if g.attributes == group.attributes]
            largest = max(others, key=lambda g: len(np.unique(self.resampling.patient[g.rows])))
            reference[group.attributes] = largest.name
        for attribute in self.spec.attributes:
            if attribute.reference:
                reference[attribute.name,] = f"{attribute.name}: {attribute.reference}"
        return differences(
            evidence.cube,
            self.groups,
            reference,
            evidence.usable,
            self.primary,
            self.spec.confidence,
        )

    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """Under- and over-diagnosis of each group of one attribute."""
        return tuple(
            found
            for target in self.questions
            for found in diagnoses(
                target,
                target.name in self.spec.healthy,
                self.simple,
                self.resampling,
                self.spec.minimum_patients,
            )
        )

    def adjusted(self) -> tuple[tuple[Adjusted, ...], tuple[AdjustedGap, ...]]:
        """Disparities by each attribute with the confounders, apart from itself, balanced."""
        estimates: list[Adjusted] = []
        gaps: list[AdjustedGap] = []
        for target in self.questions if self.spec.confounders else ():
            label = np.where(target.known, target.label, -1).astype(int)
            known = self.values | {"label": pd.Categorical(label.astype(str))}
            for name, values in self.values.items():
                others = [each for each in self.spec.confounders if each != name]
                if not others:
                    continue
                found, found_gaps = adjusted(
                    target,
                    [METRICS.get(each) for each in self.primary],
                    name,
                    values,
                    {each: known[each] for each in others},
                    self.resampling,
                    self.spec.minimum_patients,
                )
                estimates += found
                gaps += found_gaps
        return tuple(estimates), tuple(gaps)

    def stress(self, tell: Progress) -> tuple[StressCell, ...]:
        """The metrics in other populations, for each target."""
        cells: list[StressCell] = []
        draws, total = self.spec.stress.draws, self.spec.stress.draws * len(self.questions)
        for place, target in enumerate(self.questions):
            cells += stress(
                target,
                self.values,
                self.resampling,
                self.spec.stress,
                self.spec.minimum_patients,
                partial(_told, tell, "stress", place * draws, total),
            )
        return tuple(cells)

    def leakages(self, embeddings: Embeddings | None, tell: Progress) -> LeakageFindings:
        """What can be read from the embeddings, if there are any."""
        if embeddings is None:
            return LeakageFindings()
        return leakages(
            embeddings.of(self.predictions.table["sample"]),
            self.values,
            self.targets[0].label,
            self.resampling.patient,
            self.spec.leakage,
            self.spec.draws,
            self.spec.seed,
            self.spec.confidence,
            lambda done, total: tell("leakage", done, total),
            self.targets[0].name,
        )

    def counterfactuals(self, swaps: Counterfactuals | None) -> CounterfactualFindings:
        """How predictions move when styles are exchanged, if they were.

        Raises:
            InputError: They are not of these rows.
        """
        if swaps is not None:
            names = [target.name for target in self.questions]
            swaps.check(self.predictions.table, self.values, names)
        spec = self.spec
        return style_effects(
            swaps,
            decided_from(self.thresholds),
            spec.counterfactual,
            Sampling(spec.draws, spec.seed, spec.confidence, spec.minimum_patients),
        )


def _categories(
    attributes: Sequence[Attribute], predictions: Predictions
) -> dict[str, pd.Categorical]:
    """Group of each row, by attribute; the faults of all of them at once."""
    found: dict[str, pd.Categorical] = {}
    faults: list[Fault] = []
    for each in attributes:
        try:
            found[each.name] = each.values(predictions.table[each.name], predictions.source)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return found


def _check_count(
    values: dict[str, pd.Categorical], spec: AuditSpec, rows: int, targets: int
) -> None:
    """Refuse what would fill the memory: draws of so many metrics in so many groups."""
    sizes = [len(each.categories) for each in values.values()]
    each_group = spec.draws * len(spec.metrics) * targets
    groups, most = 0, min(MOST_GROUPS, MOST_DRAWN // each_group)
    for order in range(1, spec.depth + 1):
        for crossed in combinations(sizes, order):
            groups += min(rows, prod(crossed))
            if groups > most:
                found = f"{len(sizes)} attributes crossed to depth {spec.depth} make more than "
                found += f"the {most:,} groups that can be audited at once"
                remedy = "Lower the depth or the draws, or name fewer attributes or metrics."
                raise InputError(Fault("audit", found, remedy))


def _check_names(groups: Sequence[Group], where: str) -> None:
    """Refuse values that make two groups of one name: findings are told apart by it."""
    seen: dict[str, Group] = {}
    for group in groups:
        other = seen.setdefault(group.name, group)
        if other is not group:
            found = f"two groups would be called '{group.name}'"
            remedy = f"Rename values of {' or '.join(other.attributes + group.attributes)}."
            raise InputError(Fault(where, found, remedy))


def _told(tell: Progress, step: str, before: int, total: int, done: int) -> None:
    """Pass on how far a part of a step is, after what was done before it."""
    tell(step, before + done, total)


def _notes(
    predictions: Predictions,
    asked: Sequence[Attribute],
    used: Sequence[Attribute],
    targets: Sequence[Target],
) -> list[str]:
    notes = [
        f"The bins of {after.name} are quartiles of this file: declare bins before you report."
        for before, after in zip(asked, used, strict=True)
        if before != after
    ]
    for target in targets:
        absent = int((~target.known).sum())
        if absent:
            notes.append(f"{target.name} was not assessed in {absent:,} of the audited images.")
    if predictions.task == "multiclass":
        total = np.sum([target.score for target in targets if target.classes == 2], axis=0)
        if apart := int((np.abs(total - 1) > _FROM_ONE).sum()):
            notes.append(f"The scores of the classes do not sum to 1 in {apart:,} images.")
    if "weight" in predictions.given:
        notes.append("Rows are weighted; counts of patients and images are not.")
    return notes
