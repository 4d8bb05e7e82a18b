"""Counterfactual style test: how predictions move when the style of an image is exchanged."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from evaluation.counterfactual_table import DECISIONS, SCORES, Counterfactuals
from evaluation.metric import Array
from evaluation.pair_means import PairMean, PatientPairs, Sampling
from evaluation.reconstruction import (
    NOTHING_DECIDES,
    CounterfactualSpec,
    Reconstruction,
    apart,
    reconstructions,
)
from evaluation.settings import Number, Settings

MeasureName = Literal["flip_rate", "mean_change", "mean_absolute_change"]

MEASURES: tuple[MeasureName, ...] = ("flip_rate", "mean_change", "mean_absolute_change")

ALL, ANOTHER = "all", "another group"


class StyleEffect(Settings):
    """How far predictions of a group move when its images get the style of another group.

    Everything is against the image's own reconstruction, not against the image, so that what
    the decoder blurs is not counted. The control is the same with the style of another patient
    of the image's own group: what remains beside it goes with the group.

    Attributes:
        classifier: Whose predictions.
        target: Name of the target; empty for a binary task.
        attribute: What the groups are made of.
        group: Whose images: ``sex: female``, or ``all``.
        donor: Whose styles: ``sex: male``, or ``another group``.
        measure: ``flip_rate``, the share of decisions that flip; ``mean_change`` of the score,
            with its sign; ``mean_absolute_change`` of the score.
        value: Of these swaps; NaN where undefined.
        low: Lower end of its interval over patients, see
            :meth:`evaluation.pair_means.PatientPairs.interval`.
        high: Upper end.
        control: The same of swaps within the group.
        excess: ``value - control``.
        excess_low: Lower end of its interval; both are from the same draws.
        excess_high: Upper end.
        patients: Patients whose images they are.
        donors: Patients whose styles they are.
        images: Swaps.
        state: ``undefined`` (no value), ``insufficient`` (too few patients or donors),
            ``untrusted`` (the guard: reconstruction alone moves predictions too much) or
            ``adequate``. Only the last is ranked.
        reason: Why it is not adequate, or what is special about an interval; else empty.
    """

    classifier: str
    target: str = ""
    attribute: str
    group: str
    donor: str
    measure: MeasureName
    value: Number
    low: Number
    high: Number
    control: Number
    excess: Number
    excess_low: Number
    excess_high: Number
    patients: int | None
    donors: int | None
    images: int | None
    state: Literal["adequate", "untrusted", "insufficient", "undefined"]
    reason: str = ""


class CounterfactualFindings(NamedTuple):
    """What exchanged styles show.

    Attributes:
        effects: By classifier, target and attribute: all images, then each ordered pair of
            groups; each in every measure.
        reconstructions: The guard, by classifier, target and group.
    """

    effects: tuple[StyleEffect, ...] = ()
    reconstructions: tuple[Reconstruction, ...] = ()


def style_effects(
    swaps: Counterfactuals | None,
    thresholds: Mapping[str, float],
    spec: CounterfactualSpec,
    sampling: Sampling,
) -> CounterfactualFindings:
    """Measure how predictions move, with guard and control.

    Args:
        swaps: Scores; None gives no findings. Rows without a partner of the same group are
            without control.
        thresholds: By target, the frozen threshold that decides if the table does not say what
            was decided. Targets that it leaves out are classes, of which the highest score
            decides; NaN decides nothing.
        spec: Bounds of the guard.
        sampling: Of patients.

    Returns:
        The findings. NaN with the reason, and with the counts, where fewer patients or donors
        than the minimum take part.
    """
    if swaps is None:
        return CounterfactualFindings()
    table = swaps.table if swaps.decided else _decided(swaps.table, thresholds)
    effects: list[StyleEffect] = []
    guards: list[Reconstruction] = []
    for _, rows in table.groupby(["classifier", "target"], sort=False):
        found = tuple(reconstructions(rows, spec, sampling))
        guards += found
        reasons = {each.group: each.reason for each in found if not each.trusted}
        for _, some in rows.groupby("attribute", sort=False):
            effects += _Swaps(some, reasons, sampling).effects()
    return CounterfactualFindings(tuple(effects), tuple(guards))


def _decided(table: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    """The table with the decisions that its scores lead to."""
    one = ["classifier", "attribute", "sample", "to", "partner"]
    threshold = table["target"].map(thresholds).astype(float)
    ranked = ~table["target"].isin(list(thresholds))
    columns = {}
    for score, decision in zip(SCORES, DECISIONS, strict=True):
        least = threshold.where(~ranked, table.groupby(one)[score].transform("max"))
        columns[decision] = (table[score] >= least).astype(float).where(least.notna())
    return table.assign(**columns)


class _Cell(NamedTuple):
    """One ordered pair of groups, or all.

    Attributes:
        group: Whose images.
        donor: Whose styles.
        across: ``[row]`` bool, the swaps.
        within: ``[row]`` bool, their control.
    """

    group: str
    donor: str
    across: Array
    within: Array


class _Swaps:
    """The swaps of one classifier, target and attribute."""

    def __init__(
        self, rows: pd.DataFrame, distrust: Mapping[str, str], sampling: Sampling
    ) -> None:
        """Take the rows, and the groups whose reconstructions are not trusted, with reasons."""
        self.rows, self.distrust, self.sampling = rows, distrust, sampling
        change = (rows["score_swapped"] - rows["score_reconstructed"]).to_numpy()
        flipped = apart(rows["decision_reconstructed"], rows["decision_swapped"])
        self.values = dict(zip(MEASURES, (flipped, change, np.abs(change)), strict=True))
        patient, partner = (rows[name].to_numpy() for name in ("patient", "partner_patient"))
        self.pairs = PatientPairs.of(patient, partner, sampling)
        self.attribute = str(rows["attribute"].iloc[0])

    def effects(self) -> Iterator[StyleEffect]:
        """All images, then each ordered pair."""
        source, onto = (self.rows[name].to_numpy(object) for name in ("from", "to"))
        same = source == onto
        yield from self._measured([_Cell(ALL, ANOTHER, ~same, same)])
        for group in dict.fromkeys(source):
            mine = source == group
            yield from self._measured(
                [
                    _Cell(self._named(group), self._named(donor), mine & (onto == donor), own)
                    for own in [mine & same]
                    for donor in dict.fromkeys(onto[mine & ~same])
                ]
            )

    def _named(self, value: str) -> str:
        return f"{self.attribute}: {value}"

    def _measured(self, cells: list[_Cell]) -> Iterator[StyleEffect]:
        """Every cell in every measure, from the same draws."""
        if not cells:
            return
        inside = np.array([each for cell in cells for each in (cell.across, cell.within)])
        found = {
            name: self.pairs.means(np.broadcast_to(values, inside.shape), inside)
            for name, values in self.values.items()
        }
        for k, cell in enumerate(cells):
            for name, means in found.items():
                yield self._effect(cell, name, means[2 * k], means[2 * k + 1])

    def _effect(
        self, cell: _Cell, measure: MeasureName, across: PairMean, within: PairMean
    ) -> StyleEffect:
        patients, donors = self._counted(cell.across)
        share = measure == "flip_rate"
        numbers, reasons = dict.fromkeys(_NUMBERS, np.nan), []
        least = self.sampling.minimum_patients
        state: Literal["adequate", "untrusted", "insufficient", "undefined"] = "adequate"
        if min(patients, donors) < least:
            state = "insufficient"
            reasons = [f"rests on {patients} patients and {donors} donors"]
        elif np.isnan(across.point):
            state, reasons = "undefined", [NOTHING_DECIDES]
        else:
            low, high, reason = self.pairs.interval(across, share=share)
            numbers |= {"value": across.point, "low": low, "high": high}
            reasons.append(reason)
            if min(self._counted(cell.within)) < least:
                reasons.append("too few swaps within the group for a control")
            else:
                excess = across - within
                low, high, reason = self.pairs.interval(excess, share=share, change=True)
                if np.isnan(low) and reason not in reasons:
                    reasons.append(f"no interval of the difference: {reason}")
                numbers |= {"control": within.point, "excess": excess.point}
                numbers |= {"excess_low": low, "excess_high": high}
            if distrust := self.distrust.get(ALL) or self.distrust.get(cell.group):
                state, reasons = "untrusted", [distrust]
        return StyleEffect(
            classifier=self.rows["classifier"].iloc[0],
            target=self.rows["target"].iloc[0],
            attribute=self.attribute,
            group=cell.group,
            donor=cell.donor,
            measure=measure,
            **numbers,
            patients=patients,
            donors=donors,
            images=int(cell.across.sum()),
            state=state,
            reason="; ".join(filter(None, reasons)),
        )

    def _counted(self, inside: Array) -> tuple[int, int]:
        """Patients and donors of some rows."""
        whose, partner = self.pairs.patient[inside], self.pairs.partner[inside]
        return len(np.unique(whose)), len(np.unique(partner))


_NUMBERS = ("value", "low", "high", "control", "excess", "excess_low", "excess_high")
