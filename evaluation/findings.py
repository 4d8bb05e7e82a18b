"""What an audit finds, as plain data."""

from typing import Literal

from evaluation.settings import Number, Settings

State = Literal["adequate", "imprecise", "insufficient", "undefined"]
VerdictName = Literal["PASS", "FAIL", "INSUFFICIENT"]


class GroupSize(Settings):
    """How much evidence a group holds.

    Attributes:
        group: Its name, such as ``sex: female``; ``all`` for all samples.
        attributes: Names of the attributes that make it; empty for all samples.
        values: Their values.
        patients: Number of patients.
        images: Number of samples.
        positives: Number of samples with label 1.
    """

    group: str
    attributes: tuple[str, ...]
    values: tuple[str, ...]
    patients: int
    images: int
    positives: int


class Estimate(Settings):
    """One metric in one group.

    Attributes:
        metric: Its name.
        group: Name of the group.
        value: The estimate; NaN where undefined.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end.
        units: Patients that the metric rests on: the positive ones for a sensitivity, the rarer
            class for an AUROC.
        state: ``undefined`` (no value or no interval), ``insufficient`` (too few units),
            ``imprecise`` (interval wider than the audit allows) or ``adequate``. Only the last
            two are ranked.
        reason: Why it is undefined or insufficient, or what is special about the interval.
    """

    metric: str
    group: str
    value: Number
    low: Number
    high: Number
    units: int
    state: State
    reason: str = ""

    @property
    def ranked(self) -> bool:
        """Whether it takes part in gaps and worst groups."""
        return self.state in ("adequate", "imprecise")


class Gap(Settings):
    """Gap and worst group of a metric over the groups of one or several crossed attributes.

    Attributes:
        metric: Its name.
        attributes: What the groups are made of.
        value: Best minus worst estimate among the ranked groups, >= 0; NaN with fewer than two.
        low: Lower end of the true gap's simultaneous interval.
        high: Upper end.
        null_high: A gap up to this is to be expected if all groups are truly alike.
        best: Group with the best estimate.
        worst: Group with the worst estimate.
        worst_value: Its estimate.
        worst_low: Lower end of the truly worst group's interval.
        worst_high: Upper end.
        unranked: Groups that could not be ranked: undefined or with too little evidence.
        reason: Why there is no gap, if there is none.
    """

    metric: str
    attributes: tuple[str, ...]
    value: Number
    low: Number
    high: Number
    null_high: Number
    best: str
    worst: str
    worst_value: Number
    worst_low: Number
    worst_high: Number
    unranked: tuple[str, ...]
    reason: str = ""


class Reliability(Settings):
    """Reliability curve of one group, in ten bins of equal width.

    Attributes:
        group: Its name.
        score: Mean score a bin, ``[10]``, NaN where the bin is empty.
        observed: Share of label 1 a bin, ``[10]``.
        low: Lower end of its pointwise interval, ``[10]``.
        high: Upper end, ``[10]``.
        images: Samples a bin, ``[10]``.
    """

    group: str
    score: tuple[Number, ...]
    observed: tuple[Number, ...]
    low: tuple[Number, ...]
    high: tuple[Number, ...]
    images: tuple[int, ...]


class Leakage(Settings):
    """How well an attribute can be read from an embedding, within each label.

    Attributes:
        latent: ``content`` or ``style``.
        attribute: Its name.
        auroc: Patient-grouped cross-validated AUROC of a linear probe, averaged over the
            attribute's categories and the labels; 0.5 is chance. NaN where undefined.
        low: Lower end of its interval.
        high: Upper end.
        chance_high: 95th percentile of the same number after permuting the attribute.
        patients: Patients that took part.
        reason: Why it is undefined, else empty.
    """

    latent: str
    attribute: str
    auroc: Number
    low: Number
    high: Number
    chance_high: Number
    patients: int
    reason: str = ""


class Change(Estimate):
    """How much better or worse the audited model is than the champion, on the same samples.

    ``value`` is the audited model minus the champion, turned so that positive is better; its
    interval is paired. The rest is as of :class:`Estimate`.
    """


class ClauseVerdict(Settings):
    """What a clause of the policy came to.

    Attributes:
        clause: The clause as a sentence.
        verdict: None if the clause does not apply (no champion to compare with).
        reason: The number that decided, as a sentence.
    """

    clause: str
    verdict: VerdictName | None
    reason: str
