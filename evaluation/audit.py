"""An audit: what a model's predictions show, group by group, and what a policy says of it."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from evaluation.calibration import BINS, bin_of, reliability, reliability_band
from evaluation.compare import Champion
from evaluation.errors import Fault, InputError
from evaluation.evidence import AuditEvidence
from evaluation.findings import (
    Change,
    ClauseVerdict,
    Estimate,
    Gap,
    GroupSize,
    Leakage,
    Reliability,
    VerdictName,
)
from evaluation.groups import Attribute, make_groups, with_bins
from evaluation.leakage import leakage
from evaluation.metric import METRICS
from evaluation.policy import Policy, overall_verdict
from evaluation.predictions import Predictions
from evaluation.settings import Settings
from evaluation.threshold import Threshold, choose_threshold

Progress = Callable[[int, int], None]
_DEFAULT_METRICS = (
    "auroc",
    "average_precision",
    "accuracy",
    "true_positive_rate",
    "false_positive_rate",
    "brier_score",
)


class AuditSpec(Settings):
    """What to audit.

    Attributes:
        attributes: What groups are made of.
        metrics: Names of the metrics.
        threshold: Scores from here on are decided positive, in [0, 1]. None: chosen on the
            validation rows, or 0.5 if there are none.
        depth: How many attributes are crossed at most.
        draws: Bootstrap draws, over patients.
        confidence: Of the two-sided intervals, in (0, 1).
        minimum_patients: A metric that rests on fewer patients is listed but never ranked.
        widest: An interval wider than this is called imprecise.
        seed: Of all chance in the audit.
    """

    attributes: tuple[Attribute, ...] = ()
    metrics: tuple[str, ...] = _DEFAULT_METRICS
    threshold: float | None = Field(default=None, ge=0, le=1)
    depth: int = Field(default=2, ge=1, le=3)
    draws: int = Field(default=1000, ge=100, le=100_000)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    minimum_patients: int = Field(default=10, ge=2)
    widest: float = Field(default=0.2, gt=0)
    seed: int = 0

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            METRICS.check(name, "audit.metrics")
        return names


class Audit(Settings):
    """The findings; everything that the report shows.

    It holds no time and no path, so the same predictions, spec and version give the same bytes.

    Attributes:
        evenscan: Version of the program.
        source: Name of the predictions.
        digest: SHA-256 of the predictions.
        spec: What was audited, with bins that were chosen from the data filled in.
        threshold: The decision threshold and which rows chose it.
        cohort: Size of every group.
        estimates: Every metric in every group.
        gaps: Gap and worst group of every metric, by attribute and crossing.
        reliability: Curves overall and by attribute.
        leakage: What can be read from the embeddings, if there are any.
        champion: Name of the model that was compared with, or empty.
        changes: Paired changes against it.
        policy: The policy, if one was given.
        clauses: What each clause came to.
        verdict: What they come to together; None without a policy.
        notes: What a reader must know besides, as sentences.
    """

    evenscan: str
    source: str
    digest: str
    spec: AuditSpec
    threshold: Threshold
    cohort: tuple[GroupSize, ...]
    estimates: tuple[Estimate, ...]
    gaps: tuple[Gap, ...]
    reliability: tuple[Reliability, ...]
    leakage: tuple[Leakage, ...] = ()
    champion: str = ""
    changes: tuple[Change, ...] = ()
    policy: Policy | None = None
    clauses: tuple[ClauseVerdict, ...] = ()
    verdict: VerdictName | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The audit as JSON; undefined numbers are null."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls.model_validate_json(text)

    def estimate(self, metric: str, group: str = "all") -> Estimate:
        """The estimate of a metric in a group.

        Raises:
            KeyError: There is none.
        """
        for found in self.estimates:
            if (found.metric, found.group) == (metric, group):
                return found
        raise KeyError((metric, group))

    def gap(self, metric: str, *attributes: str) -> Gap:
        """The gap of a metric by one attribute or a crossing.

        Raises:
            KeyError: There is none.
        """
        for found in self.gaps:
            if (found.metric, found.attributes) == (metric, attributes):
                return found
        raise KeyError((metric, attributes))


def audit(
    predictions: Predictions,
    spec: AuditSpec,
    policy: Policy | None = None,
    embeddings: pd.DataFrame | None = None,
    champion: Champion | None = None,
    on_progress: Progress | None = None,
) -> Audit:
    """Audit the test rows of a model's predictions.

    Args:
        predictions: Validation rows, if any, choose the threshold; test rows are audited.
        spec: What to audit.
        policy: What must hold.
        embeddings: Column ``sample``, and ``content_*`` and ``style_*`` columns; for leakage.
        champion: A model to compare with on the same samples.
        on_progress: Called with bootstrap draws done and in all.

    Returns:
        The audit. The same arguments give the same audit.

    Raises:
        InputError: There are no test rows, or an attribute or embedding cannot be used.
    """
    test = predictions.only("test")
    if test.table.empty:
        raise InputError(
            Fault(
                predictions.source, "has no test rows", "Mark them 'test' in the split column."
            )
        )
    attributes = tuple(with_bins(a, predictions.table[a.name]) for a in spec.attributes)
    notes = _notes(spec, attributes, predictions)
    spec = spec.model_copy(update={"attributes": attributes})
    values = {a.name: a.values(test.table[a.name], predictions.source) for a in attributes}
    groups = make_groups(values, spec.depth, len(test.table))
    threshold = choose_threshold(predictions, spec.threshold)
    evidence = AuditEvidence.gather(test, threshold.value, groups, spec, champion, on_progress)
    if embeddings is not None:
        evidence.leakages = _leakages(test, values, embeddings, spec)
    clauses = policy.judge(evidence) if policy else ()
    return Audit(
        evenscan=version("evenscan"),
        source=predictions.source,
        digest=predictions.digest,
        spec=spec,
        threshold=threshold,
        cohort=evidence.sizes(),
        estimates=evidence.estimates(spec.confidence),
        gaps=evidence.gaps(spec.confidence),
        reliability=_reliability(test, evidence, spec),
        leakage=evidence.leakages,
        champion=champion.name if champion else "",
        changes=evidence.changes(spec.confidence),
        policy=policy,
        clauses=clauses,
        verdict=overall_verdict(clause.verdict for clause in clauses) if policy else None,
        notes=notes,
    )


def _notes(
    spec: AuditSpec, attributes: tuple[Attribute, ...], predictions: Predictions
) -> tuple[str, ...]:
    notes = [
        f"The bins of {after.name} are quartiles of this file: declare bins before you report."
        for before, after in zip(spec.attributes, attributes, strict=True)
        if before != after
    ]
    table = predictions.table
    shared = set(table["patient"][table["split"] == "test"]) & set(
        table["patient"][table["split"] != "test"]
    )
    if shared:
        notes.append(
            f"{len(shared)} test patients also have training or validation rows: the results "
            "are optimistic."
        )
    return tuple(notes)


def _reliability(
    test: Predictions, evidence: AuditEvidence, spec: AuditSpec
) -> tuple[Reliability, ...]:
    curves = []
    for group in evidence.groups:
        if len(group.attributes) > 1 or len(group.rows) == 0:
            continue
        rows = test.table.iloc[group.rows]
        label, score = rows["label"].to_numpy(float), rows["score"].to_numpy()
        mean, observed = reliability(label, score, np.ones(len(rows)))
        low, high = reliability_band(
            label, score, rows["patient"].to_numpy(), spec.draws, spec.seed, spec.confidence
        )
        curves.append(
            Reliability(
                group=group.name,
                score=tuple(mean),
                observed=tuple(observed),
                low=tuple(low),
                high=tuple(high),
                images=tuple(np.bincount(bin_of(score), minlength=BINS).tolist()),
            )
        )
    return tuple(curves)


def _leakages(
    test: Predictions,
    values: dict[str, pd.Categorical],
    embeddings: pd.DataFrame,
    spec: AuditSpec,
) -> tuple[Leakage, ...]:
    table = embeddings.set_index("sample")
    absent = ~test.table["sample"].isin(table.index)
    if absent.any():
        first = test.table["sample"][absent].iloc[0]
        found = f"{int(absent.sum())} audited samples have no embedding, first {first}"
        raise InputError(Fault("embeddings", found, "Embed every test sample."))
    table = table.loc[test.table["sample"]]
    leaked = []
    for latent in ("content", "style"):
        columns = [name for name in table.columns if name.startswith(f"{latent}_")]
        if not columns:
            continue
        for name, value in values.items():
            leaked.append(
                leakage(
                    latent,
                    table[columns].to_numpy(float),
                    name,
                    value,
                    test.table["label"].to_numpy(),
                    test.table["patient"].to_numpy(),
                    spec.draws,
                    spec.seed,
                    spec.confidence,
                )
            )
    return tuple(leaked)
