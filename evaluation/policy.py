"""A fairness policy: what must hold of an audit, decided on intervals."""

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import Field, FiniteFloat, field_validator, model_validator

from evaluation.findings import ClauseVerdict, VerdictName
from evaluation.metric import METRICS
from evaluation.settings import Settings

Quantity = Literal["overall", "each group", "worst group", "gap", "leakage", "change"]


class Bounded(NamedTuple):
    """A number with its interval, as a clause judges it.

    Attributes:
        name: What it is of.
        value: The estimate; NaN if undefined.
        low: Lower end of the interval; NaN if there is none.
        high: Upper end.
        enough: Whether there is enough evidence to judge it.
        reason: Why there is not.
    """

    name: str
    value: float
    low: float
    high: float
    enough: bool
    reason: str = ""


class Evidence(Protocol):
    """What an audit can tell a clause."""

    def numbers(self, clause: "Clause") -> tuple[list[Bounded], str]:
        """The numbers that a clause is about, and why there is none, if so."""


class Clause(Settings):
    """One requirement.

    Attributes:
        quantity: What is bounded: the metric ``overall``, in ``each group``, in the ``worst
            group``, its ``gap``, the content ``leakage`` of an attribute, or the ``change``
            against the champion, overall and in each group (positive is better).
        metric: Name of the metric; not used by ``leakage``.
        attribute: Only this attribute; by default every attribute of the audit.
        minimum: Least acceptable value.
        maximum: Largest acceptable value. Exactly one of the two is given.
        confidence: Of the two-sided interval that decides, in (0, 1).
        small_groups: What a group with too little evidence means for the clause:
            ``insufficient`` (the default: it cannot pass) or ``listed`` (it is named in the
            report and decides nothing).
    """

    quantity: Quantity
    metric: str = ""
    attribute: str | None = None
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    confidence: float = Field(default=0.95, gt=0, lt=1)
    small_groups: Literal["insufficient", "listed"] = "insufficient"

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        return METRICS.check(name, "policy") if name else name

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.minimum is None) == (self.maximum is None):
            raise ValueError("a clause has exactly one of minimum and maximum")
        if bool(self.metric) == (self.quantity == "leakage"):
            word = "takes no" if self.metric else "needs a"
            raise ValueError(f"a clause on '{self.quantity}' {word} metric")
        return self

    def __str__(self) -> str:
        """The clause as a sentence.

        >>> str(Clause(quantity="gap", metric="auroc", attribute="sex", maximum=0.1))
        'AUROC gap by sex is at most 0.1'
        """
        metric = METRICS.get(self.metric).label if self.metric else ""
        by = f"by {self.attribute}" if self.attribute else "by every attribute"
        about = {
            "overall": f"{metric} overall",
            "each group": f"{metric} in each group {by}",
            "worst group": f"{metric} of the worst group {by}",
            "gap": f"{metric} gap {by}",
            "leakage": f"Content leakage of {self.attribute or 'every attribute'}",
            "change": f"{metric} change against the champion, overall and in each group {by}",
        }[self.quantity]
        side = "at least" if self.minimum is not None else "at most"
        return f"{about} is {side} {self.bound:g}"

    @property
    def bound(self) -> float:
        """The minimum or maximum."""
        return self.minimum if self.minimum is not None else float(self.maximum or 0)

    def decide(self, number: Bounded) -> VerdictName:
        """PASS if the whole interval keeps the bound, FAIL if none of it does.

        Anything else, and anything without enough evidence, is INSUFFICIENT.
        """
        if not number.enough or np.isnan([number.low, number.high]).any():
            return "INSUFFICIENT"
        if self.minimum is not None:
            keeps, breaks = number.low >= self.minimum, number.high < self.minimum
        else:
            keeps, breaks = number.high <= self.bound, number.low > self.bound
        return "PASS" if keeps else "FAIL" if breaks else "INSUFFICIENT"


class Policy(Settings):
    """Requirements that a model must meet, all of them.

    Attributes:
        name: Of the policy.
        description: What it is for, and why these bounds.
        clause: The requirements.
    """

    name: str
    description: str = ""
    clause: tuple[Clause, ...] = Field(min_length=1)

    def judge(self, evidence: Evidence) -> tuple[ClauseVerdict, ...]:
        """Decide every clause.

        A clause about several groups is an intersection-union test: it passes only if each of
        them passes on its own interval, so a PASS needs no correction for their number. It
        fails if one fails; of k groups that are all just good enough, chance makes that happen
        up to k times as often as of one.

        References:
            Berger (1982), *Multiparameter hypothesis testing and acceptance sampling*,
            Technometrics 24, 295-300, theorem 1.
        """
        return tuple(_judge(clause, evidence) for clause in self.clause)


def overall_verdict(verdicts: Iterable[VerdictName | None]) -> VerdictName:
    """FAIL if one fails, PASS if all that apply pass, else INSUFFICIENT.

    >>> overall_verdict(["PASS", None, "INSUFFICIENT"])
    'INSUFFICIENT'
    >>> overall_verdict([None])
    'INSUFFICIENT'
    """
    found = {verdict for verdict in verdicts if verdict is not None}
    if "FAIL" in found:
        return "FAIL"
    return "PASS" if found == {"PASS"} else "INSUFFICIENT"


def _judge(clause: Clause, evidence: Evidence) -> ClauseVerdict:
    numbers, missing = evidence.numbers(clause)
    if clause.quantity == "change" and missing:
        return ClauseVerdict(clause=str(clause), verdict=None, reason=missing)
    judged = [(clause.decide(number), number) for number in numbers]
    if clause.small_groups == "listed":
        judged = [(verdict, number) for verdict, number in judged if number.enough]
    if not judged:
        reason = missing or "No group has enough evidence."
        return ClauseVerdict(clause=str(clause), verdict="INSUFFICIENT", reason=reason)
    verdict = overall_verdict(verdict for verdict, _ in judged)
    deciding = [number for each, number in judged if each == verdict]
    return ClauseVerdict(clause=str(clause), verdict=verdict, reason=_reason(clause, deciding))


def _reason(clause: Clause, deciding: list[Bounded]) -> str:
    """The number closest to (or furthest beyond) the bound, in words."""
    blind = [number for number in deciding if not number.enough]
    if blind:
        names = "; ".join(f"{number.name} ({number.reason})" for number in blind[:3])
        more = f" and {len(blind) - 3} more" if len(blind) > 3 else ""
        return f"Too little evidence for {names}{more}."
    if clause.minimum is not None:
        number = min(deciding, key=lambda each: each.low)
    else:
        number = max(deciding, key=lambda each: each.high)
    level = f"{100 * clause.confidence:g} %"
    ends = f"{number.low:.3f} to {number.high:.3f}"
    return f"{number.name}: {number.value:.3f}, {level} interval {ends}."
