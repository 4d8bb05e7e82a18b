"""What an audit finds, as plain data."""

from typing import Literal

from evaluation.settings import Number, Settings

State = Literal["adequate", "imprecise", "insufficient", "undefined"]
VerdictName = Literal["PASS", "FAIL", "INSUFFICIENT"]


class GroupSize(Settings):
    """How much evidence a group holds about a target.

    Attributes:
        target: Its name; empty for a binary task, and for a multiclass task as a whole.
        group: Its name, such as ``sex: female``; ``all`` for all samples.
        attributes: Names of the attributes that make it; empty for all samples.
        values: Their values.
        patients: Number of patients with a known label; None where it is not to be shown.
        images: Number of samples with a known label.
        positives: Number of samples with label 1; None for a multiclass task as a whole.
        reason: Why counts are not shown, if so.
    """

    target: str = ""
    group: str
    attributes: tuple[str, ...]
    values: tuple[str, ...]
    patients: int | None
    images: int | None
    positives: int | None
    reason: str = ""


class Estimate(Settings):
    """One metric of a target in one group.

    Attributes:
        target: Name of the target; ``macro`` is the mean over all of them.
        metric: Its name.
        group: Name of the group.
        value: The estimate; NaN where undefined.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end.
        units: Patients that the metric rests on: the positive ones for a sensitivity, the rarer
            class for an AUROC; those of the weakest target for the mean of all. None
            where it is not to be shown.
        state: ``undefined`` (no value or no interval), ``insufficient`` (too few units),
            ``imprecise`` (interval wider than the audit allows) or ``adequate``. Only the last
            two are ranked.
        reason: Why it is undefined or insufficient, or what is special about the interval.
    """

    target: str = ""
    metric: str
    group: str
    value: Number
    low: Number
    high: Number
    units: int | None
    state: State
    reason: str = ""

    @property
    def ranked(self) -> bool:
        """Whether it takes part in gaps and worst groups."""
        return self.state in ("adequate", "imprecise")


class Gap(Settings):
    """Gap and worst group of a metric over the groups of one or several crossed attributes.

    Attributes:
        target: Name of the target.
        metric: Name of the metric.
        attributes: What the groups are made of.
        value: Largest minus smallest estimate among the ranked groups, >= 0; NaN with fewer
            than two.
        low: Lower end of the true gap's simultaneous interval.
        high: Upper end.
        null_high: A gap up to this is to be expected if all groups are truly alike.
        ratio: Smallest over largest estimate, in (0, 1]; NaN where one is 0 or negative: no
            ratio has a scale then.
        ratio_low: Lower end of the true ratio's simultaneous interval.
        ratio_high: Upper end.
        spread: Standard deviation between the groups, corrected for the noise of the estimates.
        spread_low: Lower end of the interval of the true spread.
        spread_high: Upper end.
        spread_raw: The same without the correction.
        spread_null: Uncorrected spread up to this is to be expected if all groups are alike.
        best: Group with the best estimate.
        worst: Group with the worst estimate.
        worst_value: Its estimate.
        worst_low: Lower end of the truly worst group's interval.
        worst_high: Upper end.
        unranked: Groups that could not be ranked: undefined or with too little evidence.
        reason: Why there is no gap, if there is none.
    """

    target: str = ""
    metric: str
    attributes: tuple[str, ...]
    value: Number
    low: Number
    high: Number
    null_high: Number
    ratio: Number
    ratio_low: Number
    ratio_high: Number
    spread: Number
    spread_low: Number
    spread_high: Number
    spread_raw: Number
    spread_null: Number
    best: str
    worst: str
    worst_value: Number
    worst_low: Number
    worst_high: Number
    unranked: tuple[str, ...]
    reason: str = ""


class Leakage(Settings):
    """How well an attribute, or the label, can be read from an embedding.

    Attributes:
        target: Name of the target whose label is meant; empty for a binary task, and for a
            multiclass task as a whole.
        latent: ``content``, ``style`` or ``pixels``, the baseline: what there was to leak.
        predicts: Whether an ``attribute`` is read or the ``label``.
        attribute: Name of the attribute; ``label`` for the label.
        given_label: Whether it is read within each label, or from all samples together: then an
            embedding that knows the label knows every attribute that goes with it.
        probe: Which family of models reads it.
        auroc: Patient-grouped nested cross-validated AUROC, one-vs-rest, averaged over the
            categories and, given the label, over the labels; 0.5 is chance. NaN where
            undefined.
        low: Lower end of its interval.
        high: Upper end.
        chance_high: 95th percentile of the same number after permuting the attribute among
            patients.
        chance_of: Name of the probe that was fitted to the permutations; another one than
            ``probe`` if that is too slow to be.
        dimensions: Dimensions that were read; fewer than the embedding has if that is so wide
            that only its leading principal components were.
        patients: Patients that took part.
        reason: Why it is undefined, or what is special about it; else empty.
    """

    target: str = ""
    latent: str
    predicts: Literal["attribute", "label"] = "attribute"
    attribute: str
    given_label: bool = True
    probe: str = "linear"
    auroc: Number
    low: Number
    high: Number
    chance_high: Number
    chance_of: str = "linear"
    dimensions: int
    patients: int | None
    reason: str = ""


class Change(Estimate):
    """How much better or worse the audited model is than the champion, on the same samples.

    ``value`` is the audited model minus the champion, turned so that positive is better; its
    interval is paired. The rest is as of :class:`Estimate`.

    Attributes:
        conclusion: Against the margin of the audit: ``non-inferior`` (the whole interval loses
            less), ``inferior`` (all of it loses more), ``undecided`` or ``undefined``.
    """

    conclusion: Literal["non-inferior", "inferior", "undecided", "undefined"]


class LevellingDown(Settings):
    """Whether a gap narrowed because a group lost.

    Attributes:
        target: Name of the target.
        metric: Name of the metric.
        attributes: What the groups are made of.
        before: Gap of the champion among the groups that can be ranked in both models.
        after: Gap of the audited model.
        low: Lower end of the interval of after minus before.
        high: Upper end.
        lost: Groups whose whole interval of change is below 0.
        levelled: Whether the gap narrowed, on its whole interval, and a group lost: fairness
            bought with harm.
        reason: Why it is undefined, if so.

    References:
        Zietlow et al. (2022), *Leveling down in computer vision*, CVPR; Mittelstadt, Wachter
        and Russell (2023), *The unfairness of fair machine learning*.
    """

    target: str = ""
    metric: str
    attributes: tuple[str, ...]
    before: Number
    after: Number
    low: Number
    high: Number
    lost: tuple[str, ...]
    levelled: bool
    reason: str = ""


class ClauseVerdict(Settings):
    """What a clause of the policy came to.

    Attributes:
        clause: The clause as a sentence.
        verdict: None if the clause does not apply (no champion to compare with).
        reason: The number that decided, as a sentence.
        judged: How many numbers were judged.
        decided: How many of them have this verdict.
        targets: The classes or findings that these are of.
    """

    clause: str
    verdict: VerdictName | None
    reason: str
    judged: int = 0
    decided: int = 0
    targets: tuple[str, ...] = ()
