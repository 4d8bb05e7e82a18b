"""What an audit is asked to do."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from evaluation.errors import unknown_name
from evaluation.groups import Attribute
from evaluation.leakage import LeakageSpec
from evaluation.metric import METRICS
from evaluation.reconstruction import CounterfactualSpec
from evaluation.settings import Settings
from evaluation.stress import StressSpec

Share = Annotated[float, Field(ge=0, le=1)]

_DEFAULT_METRICS = (
    "auroc",
    "average_precision",
    "true_positive_rate",
    "false_positive_rate",
    "positive_predictive_value",
    "negative_predictive_value",
    "selection_rate",
    "accuracy",
    "brier_score",
    "calibration_intercept",
    "calibration_slope",
    "observed_expected_ratio",
)


class AuditSpec(Settings):
    """What to audit.

    Attributes:
        attributes: What groups are made of.
        metrics: Names of the metrics.
        primary: Metrics of the pre-declared family: their differences between groups of one
            attribute get simultaneous bands. Empty: all metrics. The others are exploration.
        threshold: Scores from here on are decided positive, in [0, 1]; one for all targets or
            one for each named target. None: chosen on the rows below, or 0.5 if there are too
            few of them.
        threshold_rows: Which rows choose the threshold, or chose the one that is given. None:
            validation rows choose; of one that is given nothing is stated. ``test`` puts a
            watermark on the report, and no clause about decisions can pass.
        healthy: Targets whose positive label means that nothing was found: to decide them
            positive wrongly is an under-diagnosis.
        confounders: Attributes (or ``label``) that disparities are adjusted for. Empty: none.
        depth: How many attributes are crossed at most.
        draws: Bootstrap draws, over patients.
        confidence: Of the two-sided intervals, in (0, 1).
        margin: A change against the champion that loses less than this is no loss.
        minimum_patients: A metric that rests on fewer patients is listed but never ranked.
        smallest_cell: Groups of fewer patients are not shown in output to be shared.
        widest: An interval wider than this is called imprecise.
        near_hashes: Image hashes that differ in at most so many bits are near duplicates. 0:
            only equal hashes are looked for.
        stress: Which other populations the metrics are computed for.
        leakage: How embeddings are probed.
        counterfactual: How styles are exchanged, and when the result is believed.
        seed: Of all chance in the audit.
    """

    attributes: tuple[Attribute, ...] = ()
    metrics: tuple[str, ...] = Field(default=_DEFAULT_METRICS, min_length=1)
    primary: tuple[str, ...] = ()
    threshold: Share | dict[str, Share] | None = None
    threshold_rows: Literal["validation", "test"] | None = None
    healthy: tuple[str, ...] = ()
    confounders: tuple[str, ...] = ()
    depth: int = Field(default=2, ge=1, le=3)
    draws: int = Field(default=1000, ge=100, le=100_000)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    margin: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    minimum_patients: int = Field(default=10, ge=2)
    smallest_cell: int = Field(default=11, ge=1)
    widest: float = Field(default=0.2, gt=0, allow_inf_nan=False)
    near_hashes: int = Field(default=0, ge=0)
    stress: StressSpec = StressSpec()
    leakage: LeakageSpec = LeakageSpec()
    counterfactual: CounterfactualSpec = CounterfactualSpec()
    seed: int = Field(default=0, ge=0, lt=2**63)

    @field_validator("metrics", "primary")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(METRICS.check(name, "audit.metrics") for name in names)
        if len(set(names)) < len(names):
            raise ValueError(f"a metric is named twice: {', '.join(names)}")
        return names

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.primary:
            if name not in self.metrics:
                raise unknown_name("metric of the audit", name, self.metrics, "primary")
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) < len(names):
            raise ValueError(f"an attribute is named twice: {', '.join(names)}")
        for name in self.confounders:
            if name not in (*names, "label"):
                raise unknown_name("attribute of the audit", name, names, "confounders")
        return self
