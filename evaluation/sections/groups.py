"""Performance of each group."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.forest import forest
from evaluation.findings import Estimate, GroupSize
from evaluation.metric import METRICS, Metric
from evaluation.parts import named, of_target, parts
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    estimates_table,
    in_words,
    joined,
    measured,
    paragraph,
    resting_on,
    table,
)

# Panels a forest plot, and metrics a table, that are wide enough to read on paper.
_PANELS, _COLUMNS = 3, 6


class Groups(Section):
    """Every metric in every group of one attribute: forest plot and table."""

    title = "Performance of each group"
    place = 20

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        targets = measured(audit)
        sizes = [size for size in _sizes(audit) if len(size.attributes) <= 1]
        spec = audit.spec
        how = (
            "How well the model does in all samples and in each group. A number stands with "
            f"the interval that holds the true value at {100 * spec.confidence:g} % "
            "confidence, and below it with the patients that it rests on: the sick ones for a "
            "sensitivity, say. ● is adequate; ◐ is imprecise, so read the interval and not the "
            f"number (it is wider than {spec.widest:g}); ○ is insufficient (fewer than "
            f"{spec.minimum_patients} patients): listed, never ranked. A dash is undefined, "
            "with the reason."
        )

        def part(target: str) -> Markup:
            return self._part(audit, target, sizes, drawn=target == targets[0])

        cells = len(sizes) * len(spec.primary or spec.metrics)
        tables = parts(targets, part, cells, "estimates")
        shown = [paragraph(how), *self._findings(audit, targets, sizes), tables]
        if len(targets) > 1 and spec.primary:
            note = "The parts that open hold the metrics that were declared; all others are in"
            shown.append(paragraph(f"{note} tables/estimates.csv."))
        return joined(shown)

    def _findings(
        self, audit: Audit, targets: Sequence[str], sizes: Sequence[GroupSize]
    ) -> Iterator[Markup]:
        """The least well served group in words, and how much of all is to be relied on."""
        target, groups = targets[0], {size.group for size in sizes}
        metrics = (audit.spec.primary or audit.spec.metrics)[:_COLUMNS]
        measured_by = {each.metric for each in audit.estimates if each.target == target}
        sentences = [
            _said(audit, name, target, groups)
            for name in metrics[:_PANELS]
            if name in measured_by and len(groups) > 1
        ]
        found = [each for each in audit.estimates if each.group in groups]
        states = [each.state for each in found]
        counts = [
            f"{states.count(state):,} {state}"
            for state in ("adequate", "imprecise", "insufficient", "undefined")
        ]
        sentences.append(f"Of the {len(found):,} numbers by group, {_and(counts)}.")
        yield bullets(sentences)
        if len(targets) > 1 and len(groups) > 1:
            yield from _of_every_target(audit, targets, metrics, groups)

    def _part(
        self, audit: Audit, target: str, sizes: Sequence[GroupSize], *, drawn: bool
    ) -> Markup:
        metrics = [
            each.metric
            for each in audit.estimates
            if (each.target, each.group) == (target, sizes[0].group)
        ]
        if not drawn and audit.spec.primary:
            metrics = [name for name in metrics if name in audit.spec.primary]
        metrics.sort(key=lambda name: METRICS.get(name).reads != "decision")
        shown = []
        known = [name for name in metrics if _any_known(audit, name, target)]
        for panel in _in_runs(known, _PANELS) if drawn else ():
            rows = [[audit.estimate(m, size.group, target) for size in sizes] for m in panel]
            title = "Forest plot of " + ", ".join(METRICS.get(m).label for m in panel)
            shown.append(forest([size.group for size in sizes], rows, title))
        for reads, about in _ABOUT.items():
            of_kind = [name for name in metrics if METRICS.get(name).reads == reads]
            if of_kind and drawn:
                shown.append(paragraph(about))
            for columns in _in_runs(of_kind, _COLUMNS):
                shown.append(estimates_table(audit, sizes, target, columns))
        return joined(shown)


_ABOUT = {
    "decision": "At the operating point, that is, of the decisions as they would be taken:",
    "score": "Of the scores themselves, whatever the threshold:",
}


def extreme(metric: Metric) -> str:
    """Where the worst group of a metric lies."""
    return {"higher": "lowest", "lower": "highest"}.get(
        metric.better, f"farthest from {metric.ideal:g}"
    )


def _sizes(audit: Audit) -> list[GroupSize]:
    return [size for size in audit.cohort if size.target == audit.cohort[0].target]


def _worst(audit: Audit, name: str, target: str, groups: Collection[str]) -> Estimate | None:
    """The worst of at least two groups that are ranked; None if there are fewer."""
    metric = METRICS.get(name)
    ranked = [
        each
        for each in audit.estimates
        if (each.metric, each.target) == (name, target)
        and each.group in groups
        and each.group != "all"
        and each.ranked
    ]
    if len(ranked) < 2:
        return None
    return min(ranked, key=lambda each: float(metric.goodness(np.array(each.value))))


def _said(audit: Audit, name: str, target: str, groups: Collection[str]) -> str:
    what = f"{METRICS.get(name).label}{of_target(target)}"
    worst = _worst(audit, name, target, groups)
    if worst is None:
        return f"{what} cannot be ranked by group: fewer than two have enough evidence."
    everyone = audit.estimate(name, "all", target)
    return (
        f"{what} is {extreme(METRICS.get(name))} for {worst.group}: "
        f"{in_words(worst.value, worst.low, worst.high)}; in all samples it is "
        f"{in_words(everyone.value, everyone.low, everyone.high)}."
    )


def _of_every_target(
    audit: Audit, targets: Sequence[str], metrics: Sequence[str], groups: Collection[str]
) -> Iterator[Markup]:
    """The worst group of each target, so that paper shows every one of them."""
    rows = []
    for target in targets:
        worst = [_worst(audit, name, target, groups) for name in metrics]
        rows.append((named(target), *map(_named_value, worst)))
    yield paragraph("The worst group of each; a dash where fewer than two can be ranked:")
    yield table(["", *(METRICS.get(name).label for name in metrics)], rows)


def _named_value(found: Estimate | None) -> Markup | str:
    if found is None:
        return UNDEFINED
    return resting_on(found.value, found.low, found.high, found.group)


def _any_known(audit: Audit, name: str, target: str) -> bool:
    """Whether there is a value in any group, so that there is something to draw."""
    return any(
        (each.metric, each.target) == (name, target) and not np.isnan(each.value)
        for each in audit.estimates
    )


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _in_runs(names: Sequence[str], most: int) -> list[Sequence[str]]:
    return [names[start : start + most] for start in range(0, len(names), most)]
