"""An audit: what a model's predictions show, group by group, and what a policy says of it."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from evaluation.about import About
from evaluation.adjustment import Adjusted, AdjustedGap
from evaluation.analytic import AnalyticInterval
from evaluation.audited_rows import AuditedRows, Progress
from evaluation.breakdown import Breakdown
from evaluation.calibration import Reliability, reliabilities
from evaluation.clause_evidence import ClauseEvidence
from evaluation.columns import Task
from evaluation.compare import Champion
from evaluation.counterfactual import StyleEffect
from evaluation.counterfactual_table import Counterfactuals, Picture
from evaluation.curves import Curve, curves
from evaluation.decomposition import BrierPart, brier_parts
from evaluation.diagnosis import Diagnosis
from evaluation.differences import Difference
from evaluation.embeddings import Embeddings
from evaluation.errors import Fault, InputError
from evaluation.evidence import AuditEvidence
from evaluation.fairness import Criterion
from evaluation.findings import (
    Change,
    ClauseVerdict,
    Estimate,
    Gap,
    GroupSize,
    Leakage,
    LevellingDown,
    VerdictName,
)
from evaluation.inputs import Input
from evaluation.latent_information import LatentInformation
from evaluation.latent_map import LatentMap
from evaluation.latent_modes import LatentMode
from evaluation.policy import Policy, overall_verdict
from evaluation.pooling import Pooled, pooled
from evaluation.predictions import Predictions
from evaluation.provenance import Provenance, provenance
from evaluation.reconstruction import Reconstruction
from evaluation.settings import Settings, faults_of
from evaluation.spec import AuditSpec
from evaluation.stress import StressCell
from evaluation.threshold import Threshold
from evaluation.utility import DecisionCurve, decision_curves


class Audit(Settings):
    """The findings; everything that the report shows.

    It holds no time and no path, so the same predictions, spec and version give the same bytes.

    Attributes:
        evenscan: Version of the program.
        source: Name of the predictions.
        digest: SHA-256 of the predictions.
        inputs: Everything that the audit rests on, by hash.
        task: What the model answers.
        targets: Classes or findings; one empty name for a binary task.
        about: What its makers state about the model.
        spec: What was audited, with bins that were chosen from the data filled in.
        thresholds: How each target is decided and which rows chose it.
        provenance: Which patients and images are on both sides of a split.
        cohort: Size of every group.
        estimates: Every metric in every group.
        analytic: Intervals without resampling, beside those of the estimates.
        gaps: Gap and worst group of every metric, by attribute and crossing.
        criteria: Fairness criteria, by attribute and crossing.
        differences: Every group against the reference group, with multiplicity control.
        pooled: Rates of crossed groups, drawn towards each other.
        diagnoses: Under- and over-diagnosis of each group.
        curves: ROC and precision-recall curves.
        reliability: Reliability curves overall and by attribute.
        brier: What the Brier score is made of, overall and by attribute.
        utility: Decision curves overall and by attribute.
        adjusted: Estimates with the confounders balanced, if any were named.
        adjusted_gaps: Gaps of these.
        stress: The metrics in other populations.
        breakdowns: Where under stress a clause of the policy fails.
        leakage: What can be read from the embeddings, if there are any.
        information: What their dimensions share with the attributes.
        modes: Along which of their modes groups differ.
        maps: Pictures of them.
        counterfactuals: How predictions move when the style of images is exchanged.
        reconstructions: What reconstruction alone does to them, without any exchange.
        pictures: Of exchanged and interpolated styles.
        champion: Name of the model that was compared with, or empty.
        changes: Paired changes against it.
        levelling: Gaps that narrowed because a group lost.
        policy: The policy, if one was given.
        clauses: What each clause came to.
        verdict: What they come to together; None without a policy.
        notes: What a reader must know besides, as sentences.
    """

    evenscan: str
    source: str
    digest: str
    inputs: tuple[Input, ...]
    task: Task
    targets: tuple[str, ...]
    about: About
    spec: AuditSpec
    thresholds: tuple[Threshold, ...]
    provenance: Provenance
    cohort: tuple[GroupSize, ...] = Field(min_length=1)
    estimates: tuple[Estimate, ...] = Field(min_length=1)
    analytic: tuple[AnalyticInterval, ...]
    gaps: tuple[Gap, ...]
    criteria: tuple[Criterion, ...]
    differences: tuple[Difference, ...]
    pooled: tuple[Pooled, ...]
    diagnoses: tuple[Diagnosis, ...]
    curves: tuple[Curve, ...]
    reliability: tuple[Reliability, ...]
    brier: tuple[BrierPart, ...]
    utility: tuple[DecisionCurve, ...]
    adjusted: tuple[Adjusted, ...]
    adjusted_gaps: tuple[AdjustedGap, ...]
    stress: tuple[StressCell, ...]
    breakdowns: tuple[Breakdown, ...]
    leakage: tuple[Leakage, ...] = ()
    information: tuple[LatentInformation, ...] = ()
    modes: tuple[LatentMode, ...] = ()
    maps: tuple[LatentMap, ...] = ()
    counterfactuals: tuple[StyleEffect, ...] = ()
    reconstructions: tuple[Reconstruction, ...] = ()
    pictures: tuple[Picture, ...] = ()
    champion: str = ""
    changes: tuple[Change, ...] = ()
    levelling: tuple[LevellingDown, ...] = ()
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

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an ``audit.json``.

        Raises:
            InputError: The file is missing, or is no audit of this version.
        """
        try:
            found = cls.from_json(path.read_text(encoding="utf-8"))
            if found.evenscan == version("evenscan"):
                return found
            reason = f"Evenscan {found.evenscan:.40} wrote it"
        except ValidationError as error:
            first = faults_of(error, str(path), cls)[0]
            reason = f"{first.found}. {first.remedy}".rstrip(".")
        except (OSError, ValueError) as error:
            reason = str(error)
        remedy = f"Give an audit.json that Evenscan {version('evenscan')} wrote."
        raise InputError(Fault(str(path), f"not readable as an audit: {reason}", remedy))

    @property
    def chosen_on_test(self) -> bool:
        """Whether test rows chose a threshold, which flatters what hangs on it."""
        return any(threshold.chosen_on == "test" for threshold in self.thresholds)

    def estimate(self, metric: str, group: str = "all", target: str = "") -> Estimate:
        """The estimate of a metric in a group.

        Raises:
            KeyError: There is none.
        """
        for found in self.estimates:
            if (found.metric, found.group, found.target) == (metric, group, target):
                return found
        raise KeyError((metric, group, target))

    def gap(self, metric: str, *attributes: str, target: str = "") -> Gap:
        """The gap of a metric by one attribute or a crossing.

        Raises:
            KeyError: There is none.
        """
        for found in self.gaps:
            if (found.metric, found.attributes, found.target) == (metric, attributes, target):
                return found
        raise KeyError((metric, attributes, target))

    def leaked(self, attribute: str, latent: str = "content", probe: str = "linear") -> Leakage:
        """How well a probe reads an attribute from an embedding, given the label.

        Raises:
            KeyError: There is no such finding.
        """
        asked = (attribute, latent, probe)
        for found in self.leakage:
            judged = found.given_label and found.predicts == "attribute"
            if judged and (found.attribute, found.latent, found.probe) == asked:
                return found
        raise KeyError(asked)


def audit(
    predictions: Predictions,
    spec: AuditSpec,
    policy: Policy | None = None,
    embeddings: Embeddings | None = None,
    champion: Champion | None = None,
    about: About | None = None,
    on_progress: Progress | None = None,
    counterfactuals: Counterfactuals | None = None,
) -> Audit:
    """Audit the test rows of a model's predictions.

    Args:
        predictions: Validation rows, if any, choose the threshold; test rows are audited.
        spec: What to audit.
        policy: What must hold.
        embeddings: Codes of at least the test samples, to probe for leakage.
        champion: A model to compare with on the same samples.
        about: What its makers state about the model.
        on_progress: Called with each step, and how far it is.
        counterfactuals: Scores of test samples whose style was exchanged.

    Returns:
        The audit. The same arguments give the same audit.

    Raises:
        InputError: There are no test rows, or an attribute, target, embedding or exchanged
            style that was named or given cannot be used.
    """
    tell = on_progress or (lambda step, done, total: None)
    rows = AuditedRows.of(predictions, spec)
    spec = rows.spec
    # Before the long work, which bad hashes would make in vain.
    origin = provenance(
        predictions.table,
        "hash" if "hash" in predictions.given else None,
        spec.near_hashes,
        predictions.source,
    )
    exchanged = rows.counterfactuals(counterfactuals)
    leaked = rows.leakages(embeddings, tell)
    evidence = AuditEvidence.gather(
        rows.predictions,
        rows.targets,
        rows.groups,
        rows.resampling,
        spec,
        champion,
        lambda done: tell("bootstrap", done, spec.draws),
    )
    stressed = rows.stress(tell)
    clause_evidence = ClauseEvidence(evidence, rows.thresholds, leaked.probes, stressed)
    clauses = policy.judge(clause_evidence) if policy else ()
    balanced, balanced_gaps = rows.adjusted()
    tell("curves", 0, 1)
    return Audit(
        evenscan=version("evenscan"),
        source=predictions.source,
        digest=predictions.digest,
        inputs=tuple(
            _inputs(predictions, spec, policy, embeddings, champion, about, counterfactuals)
        ),
        task=predictions.task,
        targets=predictions.targets,
        about=about or About(),
        spec=spec,
        thresholds=rows.thresholds,
        provenance=origin,
        cohort=evidence.sizes(),
        estimates=evidence.estimates(),
        analytic=rows.analytic(),
        gaps=evidence.gaps(),
        criteria=evidence.criteria(spec.confidence),
        differences=rows.differences(evidence),
        pooled=pooled(evidence.cube, rows.groups, evidence.units, spec.confidence),
        diagnoses=rows.diagnoses(),
        curves=curves(rows.questions, rows.simple, rows.resampling.weight),
        reliability=reliabilities(rows.questions, rows.simple, rows.resampling),
        brier=brier_parts(rows.questions, rows.simple, rows.resampling),
        utility=decision_curves(rows.questions, rows.simple, rows.resampling),
        adjusted=balanced,
        adjusted_gaps=balanced_gaps,
        stress=stressed,
        breakdowns=clause_evidence.breakdowns(policy),
        leakage=leaked.probes,
        information=leaked.information,
        modes=leaked.modes,
        maps=leaked.maps,
        counterfactuals=exchanged.effects,
        reconstructions=exchanged.reconstructions,
        pictures=counterfactuals.pictures if counterfactuals else (),
        champion=champion.name if champion else "",
        changes=evidence.changes(),
        levelling=evidence.levelling(),
        policy=policy,
        clauses=clauses,
        verdict=overall_verdict(clause.verdict for clause in clauses) if policy else None,
        notes=rows.notes,
    )


def _inputs(
    predictions: Predictions,
    spec: AuditSpec,
    policy: Policy | None,
    embeddings: Embeddings | None,
    champion: Champion | None,
    about: About | None,
    counterfactuals: Counterfactuals | None,
) -> Iterator[Input]:
    yield Input(what="predictions", name=predictions.source, sha256=predictions.digest)
    if embeddings is not None:
        yield Input(what="embeddings", name=embeddings.source, sha256=embeddings.digest)
    if counterfactuals is not None:
        yield counterfactuals.input()
    if champion is not None:
        theirs = champion.predictions
        yield Input(what="champion", name=theirs.source, sha256=theirs.digest)
    if policy is not None:
        yield Input.of_settings("policy", policy.name, policy)
    if about is not None and about != About():
        yield Input.of_settings("about", about.name or "the model", about)
    yield Input.of_settings("settings", "spec", spec)
