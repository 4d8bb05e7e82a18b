"""What an audit is asked to do."""

from pydantic import Field, field_validator

from evaluation.groups import Attribute
from evaluation.metric import METRICS
from evaluation.settings import Settings

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
    seed: int = Field(default=0, ge=0, lt=2**63)

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            METRICS.check(name, "audit.metrics")
        return names
