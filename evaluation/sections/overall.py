"""Performance over all samples."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from markupsafe import Markup

from evaluation.analytic import AnalyticInterval
from evaluation.audit import Audit
from evaluation.curves import Curve
from evaluation.figures.roc import MOST_LINES, curves_by_group, curves_by_target
from evaluation.findings import Estimate
from evaluation.metric import METRICS
from evaluation.parts import parts
from evaluation.section import (
    Section,
    count,
    exceeds_chance,
    folded,
    joined,
    meaning,
    measured,
    number,
    paragraph,
    spoken,
    table,
    with_interval,
)


class Overall(Section):
    """Every metric over all samples by two kinds of interval, and the curves behind them."""

    title = "Performance overall"
    place = 18

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        confidence = f"{100 * audit.spec.confidence:g} %"
        note = (
            "How good the model is on average, over all samples. The interval is the range of "
            f"true values that the data leave open ({confidence}), found by drawing the "
            "patients anew many times. Beside it stands, for some metrics, an interval by a "
            "formula: if the two agree, neither hangs on its method. “Patients” is how many a "
            "number rests on, such as those with the disease for a sensitivity."
        )
        render = partial(_metrics, audit)
        tables = parts(measured(audit), render, 2 * len(audit.spec.metrics), "estimates")
        return joined([paragraph(note), tables, *_figures(audit)])


def _metrics(audit: Audit, target: str) -> Markup:
    """The table of one target."""
    formulas = {
        each.metric: each
        for each in audit.analytic
        if (each.target, each.group) == (target, "all")
    }
    told = target == measured(audit)[0]
    rows = [
        (
            METRICS.get(found.metric).label,
            _value(found),
            _formula(formulas.get(found.metric)),
            count(found.units),
            *([_meaning(found.metric)] if told else []),
        )
        for found in audit.estimates
        if (found.target, found.group) == (target, "all")
    ]
    head = ["Metric", "Value, interval", "By formula", "Patients"]
    return table([*head, "What it is"] if told else head, rows)


def _value(found: Estimate) -> Markup:
    shown = with_interval(found.value, found.low, found.high)
    if found.reason:
        shown += Markup('<br><span class="reason">{}</span>').format(found.reason)
    return shown


def _formula(found: AnalyticInterval | None) -> str:
    if found is None:
        return "–"
    if np.isnan([found.low, found.high]).any():
        return f"– ({found.reason})" if found.reason else "–"
    return f"{number(found.low)} to {number(found.high)} ({found.method})"


def _meaning(metric: str) -> str:
    """What the metric is, and what is better where it is not more."""
    found = METRICS.get(metric)
    best = {"lower": " Lower is better.", "ideal": f" Best at {found.ideal:g}."}
    return f"{meaning(metric)}.{best.get(found.better, '')}"


def _figures(audit: Audit) -> Iterator[Markup]:
    """Curves of all samples for every target, and by group for one."""
    drawn = [curve for curve in audit.curves if curve.x]
    targets = list(dict.fromkeys(curve.target for curve in drawn if curve.group == "all"))
    if not targets:
        return
    yield Markup("<h3>Curves</h3>")
    yield paragraph(
        "Each point of a line is one threshold. ROC curve: how much disease is found "
        "(sensitivity) at the price of how many false alarms; the nearer to the upper left "
        "corner the better, and the dotted line is guessing. Precision-recall curve: how many "
        "of the alarms are right while more and more of the disease is found; it falls with "
        "the prevalence of a group, without any unfairness."
    )
    if len(targets) > 1:
        yield _small_multiples(audit, drawn, targets)
    chosen = widest(audit, targets)
    if len(targets) > 1:
        yield Markup("<h3>Curves of each group: {}</h3>").format(spoken(chosen))
        yield paragraph(
            "Shown is the one with the widest gap of AUROC between groups, if any is beyond "
            "chance the widest of these. A group whose line "
            "runs below the others is served worse at every threshold there."
        )
    panels = by_attribute(audit, [curve for curve in drawn if curve.target == chosen])
    if any(len(curves) > 2 * MOST_LINES for curves in panels.values()):
        yield paragraph(f"Of many groups the {MOST_LINES} with the most patients are drawn.")
    yield curves_by_group(panels, f"ROC and precision-recall curves {spoken(chosen)}".strip())


def _small_multiples(audit: Audit, drawn: list[Curve], targets: list[str]) -> Markup:
    whole = [curve for curve in drawn if curve.group == "all"]
    figures = []
    for kind, metric in (("roc", "auroc"), ("precision recall", "average_precision")):
        values = {
            each.target: each.value
            for each in audit.estimates
            if (each.metric, each.group) == (metric, "all")
        }
        headings = {
            target: f"{spoken(target)} {number(values[target])}"
            if target in values
            else spoken(target)
            for target in targets
        }
        curves = [curve for curve in whole if curve.kind == kind]
        name = METRICS.get(metric).label
        figures.append(
            curves_by_target(curves, headings, f"{kind} curves, each with its {name}")
        )
    roc, precision = figures
    return joined([roc, folded("Precision-recall curves", precision)])


def widest(audit: Audit, targets: list[str]) -> str:
    """The target with the widest gap of AUROC, of those beyond chance if there are any."""
    gaps = [gap for gap in audit.gaps if gap.metric == "auroc" and len(gap.attributes) == 1]
    ranks = dict.fromkeys(targets, (False, 0.0))
    for gap in gaps:
        if gap.target in ranks and gap.value > 0:
            ranks[gap.target] = max(ranks[gap.target], (exceeds_chance(gap), gap.value))
    return max(targets, key=ranks.__getitem__)


def by_attribute(audit: Audit, curves: list[Curve]) -> dict[str, list[Curve]]:
    """Curves of all samples, then those of each attribute's groups, the largest first."""
    sizes = {size.group: size for size in audit.cohort}
    panels = {"all samples": [curve for curve in curves if curve.group == "all"]}
    for attribute in audit.spec.attributes:
        inside = [c for c in curves if sizes[c.group].attributes == (attribute.name,)]
        names = list(dict.fromkeys(curve.group for curve in inside))
        if len(names) > MOST_LINES:
            inside.sort(key=lambda curve: -(sizes[curve.group].patients or 0))
        if inside:
            panels[f"by {attribute.name}"] = inside
    return panels
