"""What the model is worth to the patients of each group."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from evaluation.audit import Audit
from evaluation.figures.decision import decision, standardised
from evaluation.parts import named, parts
from evaluation.section import UNDEFINED, Section, bullets, joined, listed, paragraph, table
from evaluation.utility import DecisionCurve

# Panels of a figure, and lines of a panel that can still be told apart.
_PANELS, _LINES = 12, 8


class Utility(Section):
    """Decision curves of each group, and from which risk on the model helps it."""

    title = "Clinical utility"
    place = 42

    def applies(self, audit: Audit) -> bool:
        """Whether there are decision curves."""
        return bool(audit.utility)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "Whether patients are better off if one acts on the score. The horizontal axis is "
            "the risk from which one would treat or refer: at 0.2 one accepts four needless "
            "treatments for one that is needed. Net benefit counts the needed treatments less "
            "the needless ones at that price, a patient. The model helps where its line "
            "(solid, in its interval, which holds for one risk alone) is above both treating "
            "everybody (dashed) and treating nobody (the line at 0). What lies far below 0 is "
            "cut off."
        )
        targets = list(dict.fromkeys(curve.target for curve in audit.utility))
        first = [curve for curve in audit.utility if curve.target == targets[0]]
        chosen = _chosen(audit, first)
        shown = [paragraph(how), *_sentences(audit.utility, targets)]
        if len(targets) > 1:
            shown.append(paragraph(f"Drawn for {named(targets[0])}:"))
        shown.append(decision(chosen, "Decision curves, one panel a group"))
        if len(chosen) < len(first):
            shown.append(paragraph(f"These are the {len(chosen)} largest groups."))
        shown += _at_one_prevalence(audit, first)
        note = (
            "From which risk to which the model helps: by the line itself, and where its whole "
            "interval is above treating everybody and nobody."
        )
        head = ["Group", "Model helps at risks", "Shown by the whole interval"]
        tables = parts(
            targets,
            lambda target: table(
                head, [_row(curve) for curve in audit.utility if curve.target == target]
            ),
            2 * len(first),
            "utility",
        )
        return joined([*shown, paragraph(note), tables])


def helps(curve: DecisionCurve, *, surely: bool = False) -> list[tuple[float, float]]:
    """Ranges of thresholds at which the model beats treating everybody and nobody.

    Args:
        curve: Of one group.
        surely: Whether its whole interval must, rather than the estimate.
    """
    benefit = np.asarray(curve.low if surely else curve.net_benefit)
    better: NDArray[np.bool_] = benefit > np.maximum(curve.treat_all, 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], better, [False]]).astype(int)))
    level = curve.thresholds
    return [(level[a], level[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _chosen(audit: Audit, curves: Sequence[DecisionCurve]) -> list[DecisionCurve]:
    patients = {
        size.group: size.patients or 0
        for size in audit.cohort
        if size.target == curves[0].target
    }
    kept = sorted(curves, key=lambda curve: -patients.get(curve.group, 0))[:_PANELS]
    return [curve for curve in curves if curve in kept]


def _sentences(curves: Sequence[DecisionCurve], targets: Sequence[str]) -> Iterator[Markup]:
    several = len(targets) > 1
    never = [
        f"{curve.group} ({named(curve.target)})" if several else curve.group
        for curve in curves
        if curve.group != "all" and not _empty(curve) and not helps(curve, surely=True)
    ]
    everyone = next(curve for curve in curves if curve.group == "all")
    about = f"For {named(targets[0])}, in" if several else "In"
    sentences = [
        f"{about} all samples, the model helps at risks {_ranges(helps(everyone))}; its whole "
        f"interval shows it at {_ranges(helps(everyone, surely=True))}."
    ]
    if never:
        sentences.append(
            f"At no risk is it shown to help {listed(never, 8)}: there the whole interval is "
            "never above both treating everybody and treating nobody."
        )
    yield bullets(sentences)


def _at_one_prevalence(audit: Audit, curves: Sequence[DecisionCurve]) -> Iterator[Markup]:
    """The second figure, where there are groups to compare."""
    attribute = {
        size.group: size.attributes[0] for size in audit.cohort if len(size.attributes) == 1
    }
    families: dict[str, list[DecisionCurve]] = {}
    for curve in curves:
        if curve.group in attribute and not np.isnan(curve.standardised).all():
            families.setdefault(attribute[curve.group], []).append(curve)
    families = {name: family for name, family in families.items() if 1 < len(family) <= _LINES}
    if not families:
        return
    yield paragraph(
        "Where a disease is common there is more to gain, so the curves above differ between "
        "groups even if the model serves all alike. Below, each group is put at the prevalence "
        "of all samples: what differs here is how well the model tells sick from healthy, and "
        "at which score."
    )
    yield standardised(families, "Decision curves at one prevalence, one panel an attribute")


def _empty(curve: DecisionCurve) -> bool:
    return bool(np.isnan(curve.net_benefit).all())


def _row(curve: DecisionCurve) -> tuple[object, ...]:
    if _empty(curve):
        return curve.group, UNDEFINED, "undefined: no samples"
    return curve.group, _ranges(helps(curve)), _ranges(helps(curve, surely=True))


def _ranges(found: Sequence[tuple[float, float]]) -> str:
    """Ranges in words.

    >>> _ranges([(0.05, 0.41), (0.53, 0.53)]), _ranges([])
    ('0.05 to 0.41, 0.53', 'none')
    """
    said = [f"{a:.2f} to {b:.2f}" if a < b else f"{a:.2f}" for a, b in found]
    return ", ".join(said) or "none"
