"""A fairness policy: what must hold of an audit, decided on intervals."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import Field, FiniteFloat, field_validator, model_validator

from evaluation.criteria import CRITERIA
from evaluation.errors import unknown_name
from evaluation.findings import ClauseVerdict, VerdictName
from evaluation.metric import METRICS
from evaluation.settings import Settings

Quantity = Literal[
    "overall",
    "each group",
    "worst group",
    "gap",
    "ratio",
    "demographic parity",
    "equal opportunity",
    "predictive equality",
    "equalised odds",
    "predictive parity",
    "stress",
    "leakage",
    "change",
]
ShiftName = Literal["correlation", "prevalence", "marginal", "worst case"]

# Criteria name their metrics themselves.
_NO_METRIC = (*CRITERIA, "leakage")
_SHARES = ("ratio", *_NO_METRIC)
_SHIPPED = Path(__file__).parent / "policies"


class Bounded(NamedTuple):
    """A number with its interval, as a clause judges it.

    Attributes:
        name: What it is of.
        value: The estimate; NaN if undefined.
        low: Lower end of the interval; NaN if there is none.
        high: Upper end.
        enough: Whether there is enough evidence to judge it.
        reason: Why there is not.
        units: Patients that it rests on; None where that is not counted.
        flattered: Why it is better than it would be on new patients, if so. Such a number
            cannot pass.
        target: The class or finding that it is of; empty where there is only one question.
    """

    name: str
    value: float
    low: float
    high: float
    enough: bool
    reason: str = ""
    units: int | None = None
    flattered: str = ""
    target: str = ""


class Evidence(Protocol):
    """What an audit can tell a clause."""

    def numbers(self, clause: "Clause") -> tuple[list[Bounded], str]:
        """The numbers that a clause is about, and why there is none, if so."""


class Clause(Settings):
    """One requirement.

    Attributes:
        quantity: What is bounded: the metric ``overall``, in ``each group``, in the ``worst
            group``, its ``gap`` (largest minus smallest) or ``ratio`` (smallest over largest);
            a fairness criterion's difference (``demographic parity``, ``equal opportunity``,
            ``predictive equality``, ``equalised odds``, ``predictive parity``); the metric
            under ``stress``, overall and in the worst group; the content ``leakage`` of an
            attribute given the label, for every probe; or the ``change`` against the champion,
            overall and in each group (positive is better).
        metric: Name of the metric; not used by leakage and the criteria.
        attribute: Only this attribute; by default every attribute of the audit.
        group: Only this value of the attribute; by default each.
        target: Only this class or finding, or ``macro`` for the mean of all; by default each.
        shift: Which shift, for ``stress``.
        level: How far it goes, for ``stress``: all cells of the matrix up to this correlation
            (of either sign) or divergence; all prevalences or shares up to this one. Without it
            the extreme cells count too, which few samples can be reweighted to.
        minimum: Least acceptable value.
        maximum: Largest acceptable value. At least one of the two is given.
        margin: For ``change``: the loss that is still acceptable; the same as a minimum of
            minus the margin (non-inferiority).
        confidence: Of the two-sided interval that decides, in (0, 1). For ``stress`` and
            ``leakage`` it must be that of the audit.
        minimum_patients: Numbers that rest on fewer patients are too little evidence; by
            default what the audit calls insufficient.
        small_groups: What a group with too little evidence means for the clause:
            ``insufficient`` (the default: it cannot pass) or ``listed`` (it is named in the
            report and decides nothing).
    """

    quantity: Quantity
    metric: str = ""
    attribute: str | None = None
    group: str | None = None
    target: str | None = None
    shift: ShiftName | None = None
    level: float | None = Field(default=None, ge=0, le=1)
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    margin: float | None = Field(default=None, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    minimum_patients: int | None = Field(default=None, ge=1)
    small_groups: Literal["insufficient", "listed"] = "insufficient"

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        return METRICS.check(name, "policy") if name else name

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = list(self._misplaced()) or list(self._out_of_range())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _misplaced(self) -> Iterator[str]:
        """Keys that do not go with the quantity."""
        if bool(self.metric) == (self.quantity in _NO_METRIC):
            word = "takes no" if self.metric else "needs a"
            yield f"a clause on '{self.quantity}' {word} metric"
        if self.quantity == "worst group" and self._has_two_worst_sides():
            yield f"{self.metric} can be too low or too high: bound it in 'each group'"
        if (self.shift is None) == (self.quantity == "stress"):
            word = "needs a" if self.shift is None else "takes no"
            yield f"a clause on '{self.quantity}' {word} shift"
        if self.level is not None and self.quantity != "stress":
            yield f"a clause on '{self.quantity}' takes no level"
        if self.group is not None and self.quantity not in ("each group", "change"):
            yield f"a clause on '{self.quantity}' takes no group"
        if self.group is not None and self.attribute is None:
            yield "a clause on a group needs its attribute"
        if self.margin is not None and (self.quantity != "change" or self.minimum is not None):
            yield "a margin belongs to a clause on 'change' without a minimum"
        if self.least is None and self.maximum is None:
            yield "a clause has a minimum or a maximum or both"

    def _has_two_worst_sides(self) -> bool:
        """Whether the farthest group may keep a bound that one on the other side breaks."""
        return bool(self.metric) and METRICS.get(self.metric).better == "ideal"

    def _out_of_range(self) -> Iterator[str]:
        """Bounds that nothing or everything keeps."""
        lowest, highest = self._range()
        for side, bound in (("minimum", self.least), ("maximum", self.maximum)):
            if bound is not None and not lowest <= bound <= highest:
                what = self.metric or self.quantity
                ends = f"{lowest:g} to {highest:g}"
                yield f"the {side} {bound:g} is outside the range of {what}, {ends}"
        if self.least is not None and self.maximum is not None and self.least > self.maximum:
            yield f"the minimum {self.least:g} is above the maximum {self.maximum:g}"

    def _range(self) -> tuple[float, float]:
        if self.quantity in _SHARES:
            return 0.0, 1.0
        metric = METRICS.get(self.metric)
        if self.quantity == "gap":
            return 0.0, metric.highest - metric.lowest
        if self.quantity == "change":
            return metric.lowest - metric.highest, metric.highest - metric.lowest
        return metric.lowest, metric.highest

    def __str__(self) -> str:
        """The clause as a sentence.

        >>> str(Clause(quantity="gap", metric="auroc", attribute="sex", maximum=0.1))
        'AUROC gap by sex is at most 0.1'
        """
        metric = METRICS.get(self.metric).label if self.metric else ""
        by = f"by {self.attribute}" if self.attribute else "by every attribute"
        groups = f"each group {by}" if self.group is None else f"{self.attribute}: {self.group}"
        level = f" up to {self.level:g}" if self.level is not None else ""
        about = {
            "overall": f"{metric} overall",
            "each group": f"{metric} in {groups}",
            "worst group": f"{metric} of the worst group {by}",
            "gap": f"{metric} gap {by}",
            "ratio": f"{metric} ratio {by}",
            "stress": f"{metric} under a shift of {self.shift}{level}, {by}",
            "leakage": f"Content leakage of {self.attribute or 'every attribute'}",
            "change": f"{metric} change against the champion, overall and in {groups}",
        }.get(self.quantity, f"{self.quantity.capitalize()} difference {by}")
        target = f" for {self.target}" if self.target else ""
        sides = [
            f"{word} {bound:g}"
            for word, bound in (("at least", self.least), ("at most", self.maximum))
            if bound is not None
        ]
        return f"{about}{target} is {' and '.join(sides)}"

    @property
    def least(self) -> float | None:
        """The minimum, if there is one; that of a margin is below 0."""
        return -self.margin if self.margin is not None else self.minimum

    @property
    def about(self) -> tuple[object, ...]:
        """What it bounds; two clauses about the same can contradict each other."""
        fields = (self.quantity, self.metric, self.attribute, self.group, self.target)
        return (*fields, self.shift, self.level)

    def decide(self, number: Bounded) -> VerdictName:
        """PASS if the whole interval keeps the bounds, FAIL if none of it does.

        Anything else, and anything without enough evidence, is INSUFFICIENT.
        """
        if not _is_enough(self, number) or np.isnan([number.low, number.high]).any():
            return "INSUFFICIENT"
        least = -np.inf if self.least is None else self.least
        most = np.inf if self.maximum is None else self.maximum
        if number.high < least or number.low > most:
            return "FAIL"
        keeps = number.low >= least and number.high <= most
        return "PASS" if keeps and not number.flattered else "INSUFFICIENT"


class Policy(Settings):
    """Requirements that a model must meet, all of them.

    Attributes:
        name: Of the policy.
        description: What it is for, and why these bounds.
        clause: The requirements.
    """

    name: str = Field(min_length=1)
    description: str = ""
    clause: tuple[Clause, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for one, other in combinations(self.clause, 2):
            if one.about != other.about:
                continue
            for low, high in ((one, other), (other, one)):
                least, most = low.least, high.maximum
                if least is not None and most is not None and least > most:
                    raise ValueError(f"clauses contradict each other: {low}; {high}")
        return self

    @classmethod
    def find(cls, name: str, folder: Path = Path()) -> Self:
        """Read one of the policies that come with the program by its name, or a TOML file.

        Args:
            name: ``screening``, ``triage``, ``research``, ``default``, or a path.
            folder: What the path is relative to.

        Raises:
            InputError: There is neither such a name nor such a file, or it does not fit.
        """
        path = folder / name
        names = shipped()
        if name in names:
            return cls.load(_SHIPPED / f"{name}.toml")
        if not path.suffix and not path.exists():
            raise unknown_name("policy", name, names, "policy")
        return cls.load(path)

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


def shipped() -> list[str]:
    """Names of the policies that come with the program.

    >>> shipped()
    ['default', 'research', 'screening', 'triage']
    """
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


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
        judged = [each for each in judged if _is_enough(clause, each[1])]
    if not judged:
        reason = missing or "No group has enough evidence."
        return ClauseVerdict(clause=str(clause), verdict="INSUFFICIENT", reason=reason)
    verdict = overall_verdict(verdict for verdict, _ in judged)
    deciding = [number for each, number in judged if each == verdict]
    return ClauseVerdict(
        clause=str(clause),
        verdict=verdict,
        reason=_reason(clause, deciding),
        judged=len(judged),
        decided=len(deciding),
        targets=tuple(dict.fromkeys(number.target for number in deciding if number.target)),
    )


def _reason(clause: Clause, deciding: list[Bounded]) -> str:
    """The number closest to (or furthest beyond) the bound, in words."""
    blind = [number for number in deciding if not _is_enough(clause, number)]
    if blind:
        lacks = list(dict.fromkeys(f"{each.name} ({_lack(clause, each)})" for each in blind))
        more = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""
        return f"Too little evidence for {'; '.join(lacks[:3])}{more}."

    def room(number: Bounded) -> float:
        below = np.inf if clause.least is None else number.low - clause.least
        above = np.inf if clause.maximum is None else clause.maximum - number.high
        return float(min(below, above))

    number = min(deciding, key=room)
    level = f"{100 * clause.confidence:g} %"
    ends = f"{number.low:.3f} to {number.high:.3f}"
    told = f"{number.name}: {number.value:.3f}, {level} interval {ends}."
    return f"{told} {number.flattered}".strip()


def _is_enough(clause: Clause, number: Bounded) -> bool:
    few = clause.minimum_patients or 0
    return number.enough and (number.units is None or number.units >= few)


def _lack(clause: Clause, number: Bounded) -> str:
    if number.enough:
        return f"{number.units} patients, {clause.minimum_patients} are required"
    return number.reason
