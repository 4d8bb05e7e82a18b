"""Calibration of each group."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.calibration import Reliability
from evaluation.decomposition import BrierPart
from evaluation.figures.reliability import reliability
from evaluation.metric import METRICS
from evaluation.parts import named, parts
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    estimate_cell,
    joined,
    listed,
    paragraph,
    resting_on,
    table,
)

# Metrics of how true the scores are, in the order of the table.
_METRICS = (
    "calibration_slope",
    "calibration_intercept",
    "observed_expected_ratio",
    "expected_calibration_error",
    "debiased_calibration_error",
    "integrated_calibration_index",
)
_MEANING = {
    "calibration_slope": "slope 1 is right, below 1 the scores are too extreme",
    "calibration_intercept": "intercept 0 is right, below 0 the scores are too high",
    "observed_expected_ratio": "O:E 1 is right, below 1 the scores are too high",
}
_PARTS = {
    "reliability": "Off the mark",
    "resolution": "Telling apart",
    "uncertainty": "Uncertainty of the label",
}
# Panels of a figure; a page holds no more.
_PANELS = 12
_ROOM = 20


class Calibration(Section):
    """Reliability curves, calibration metrics and the parts of the Brier score by group."""

    title = "Calibration"
    place = 40

    def applies(self, audit: Audit) -> bool:
        """Whether any scores were compared with outcomes."""
        return bool(audit.reliability)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "Whether a score means what it says: among samples with a score of 0.3, three in "
            "ten should be positive. Points on the dotted line are right. Above it the model "
            "understates the risk, below it the model overstates it. The bins are the same for "
            "all groups. A line is the interval of one point alone; the grey band holds the "
            "whole curve at once. Hollow points rest on too few patients for either."
        )
        targets = list(dict.fromkeys(curve.target for curve in audit.reliability))
        of_first = [c for c in audit.reliability if c.target == targets[0]]
        shown = [paragraph(how), *_sentences(audit.reliability, targets)]
        if len(targets) > 1:
            everyone = [c for c in audit.reliability if c.group == "all"][:_ROOM]
            names = [named(curve.target) for curve in everyone]
            title = "Reliability of all samples, one panel a target"
            shown.append(reliability(everyone, names, title))
            shown.append(paragraph(f"By group, for {named(targets[0])}:"))
        chosen = _largest(of_first)
        title = "Reliability curves, one panel a group"
        shown.append(reliability(chosen, [curve.group for curve in chosen], title))
        if len(chosen) < len(of_first):
            shown.append(paragraph(f"These are the {len(chosen)} groups with the most images."))
        shown.append(paragraph(_explained(audit)))
        groups = len({part.group for part in audit.brier})

        def part(target: str) -> Markup:
            # The metrics of the others stand with all their metrics, by group.
            return _table(audit, target, _METRICS if target == targets[0] else ())

        return joined([*shown, parts(targets, part, 4 * groups, "brier")])


def _largest(curves: Sequence[Reliability]) -> list[Reliability]:
    """The curves of most images that fit, in the order given; all samples are the first."""
    kept = sorted(curves, key=lambda curve: -sum(curve.images))[:_PANELS]
    return [curve for curve in curves if curve in kept]


def _sentences(curves: Sequence[Reliability], targets: Sequence[str]) -> Iterator[Markup]:
    """Where the whole-curve band leaves the right line out."""
    wrong: dict[str, list[str]] = {"over": [], "under": [], "both": []}
    for curve in curves:
        if side := misplaced(curve):
            about = f" ({named(curve.target)})" if len(targets) > 1 else ""
            wrong[side].append(f"{_spoken(curve.group)}{about}")
    words = {
        "over": "Scores are too high, more than chance explains, somewhere in the curve of",
        "under": "Scores are too low, more than chance explains, somewhere in the curve of",
        "both": "Scores are too low in one range and too high in another for",
    }
    found = [f"{words[side]} {listed(names, 8)}." for side, names in wrong.items() if names]
    drawn = sum(not np.isnan(curve.band_low).all() for curve in curves)
    off = sum(map(len, wrong.values()))
    rest = (
        f"No error was shown in the other {drawn - off:,} of {drawn:,} curves: the right line "
        "lies within their whole band."
        if drawn
        else "No group holds enough patients for the band of a whole curve."
    )
    yield bullets([*found, rest])


def misplaced(curve: Reliability) -> str:
    """Which way scores are wrong beyond the whole-curve band.

    Returns:
        ``over``: too high somewhere; ``under``: too low; ``both``; empty if neither is shown.
    """
    score = np.asarray(curve.score)
    over = bool((score > np.asarray(curve.band_high)).any())
    under = bool((score < np.asarray(curve.band_low)).any())
    return "both" if over and under else "over" if over else "under" if under else ""


def _explained(audit: Audit) -> str:
    said = [_MEANING[name] for name in _MEANING if name in audit.spec.metrics]
    numbers = f"How to read the numbers: {'; '.join(said)}. " if said else ""
    return numbers + (
        "The Brier score is the mean squared error of the scores, and it has three parts: how "
        "far scores are off the mark (0 is best), how well they tell patients apart (more is "
        "better), and how uncertain the label itself is, which is no merit or fault of the "
        "model and differs with prevalence. The first two are without the noise of small "
        "groups."
    )


def _table(audit: Audit, target: str, shown: Sequence[str]) -> Markup:
    """Groups down; the calibration metrics shown, then the parts of the Brier score, across."""
    groups = list(dict.fromkeys(part.group for part in audit.brier))
    cells = {
        (each.group, each.metric): estimate_cell(each)
        for each in audit.estimates
        if each.target == target and each.metric in shown
    }
    metrics = [name for name in _METRICS if any(metric == name for _, metric in cells)]
    cells |= {
        (part.group, part.part): _part(part) for part in audit.brier if part.target == target
    }
    columns = [*metrics, *_PARTS]
    head = ["Group", *(METRICS.get(name).label for name in metrics), *_PARTS.values()]
    rows = [(group, *(cells.get((group, c), UNDEFINED) for c in columns)) for group in groups]
    return table(head, rows)


def _part(part: BrierPart) -> Markup:
    return resting_on(part.value, part.low, part.high, part.reason)


def _spoken(group: str) -> str:
    return "all samples" if group == "all" else group
