"""An audit: what a model's predictions show, group by group, and what a policy says of it."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Self

import numpy as np
import pandas as pd

from evaluation.calibration import BINS, bin_of, reliability, reliability_band
from evaluation.compare import Champion
from evaluation.embeddings import Embeddings
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
from evaluation.policy import Policy, overall_verdict
from evaluation.predictions import Predictions
from evaluation.settings import Settings
from evaluation.spec import AuditSpec
from evaluation.threshold import Threshold, choose_threshold

Progress = Callable[[int, int], None]


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
    embeddings: Embeddings | None = None,
    champion: Champion | None = None,
    on_progress: Progress | None = None,
) -> Audit:
    """Audit the test rows of a model's predictions.

    Args:
        predictions: Validation rows, if any, choose the threshold; test rows are audited.
        spec: What to audit.
        policy: What must hold.
        embeddings: Codes of at least the test samples, to probe for leakage.
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
    # On all rows, so that a fault names the row of the file.
    audited = (predictions.table["split"] == "test").to_numpy()
    values = {
        a.name: a.values(predictions.table[a.name], predictions.source)[audited]
        for a in attributes
    }
    groups = make_groups(values, spec.depth, len(test.table))
    threshold = choose_threshold(predictions, spec.threshold)
    evidence = AuditEvidence.gather(
        test,
        threshold.value,
        groups,
        spec,
        _leakages(test, values, embeddings, spec) if embeddings else (),
        champion,
        on_progress,
    )
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
    embeddings: Embeddings,
    spec: AuditSpec,
) -> tuple[Leakage, ...]:
    label, patient = test.table["label"].to_numpy(), test.table["patient"].to_numpy()
    return tuple(
        leakage(
            latent, code, name, value, label, patient, spec.draws, spec.seed, spec.confidence
        )
        for latent, code in embeddings.of(test.table["sample"]).items()
        for name, value in values.items()
    )
