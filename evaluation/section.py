"""What a report section is, and the pieces that sections share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
from markupsafe import Markup, escape

from evaluation.audit import Audit
from evaluation.findings import Estimate, Gap, GroupSize
from evaluation.metric import METRICS
from evaluation.registry import Registry
from evaluation.target import MACRO
from evaluation.threshold import Threshold

UNDEFINED = "–"


class Section(ABC):
    """A part of the report.

    Attributes:
        title: Its heading.
        place: Sections are ordered by it; the verdict page is 0.
    """

    title: ClassVar[str]
    place: ClassVar[int]

    def applies(self, audit: Audit) -> bool:
        """Whether the audit holds what the section shows."""
        return True

    @abstractmethod
    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""


SECTIONS: Registry[type[Section]] = Registry(
    "evaluation.sections", "section", Section, classes=True
)


def number(value: float) -> str:
    """A number with three decimals, or a dash where undefined.

    >>> number(0.12345), number(float("nan"))
    ('0.123', '–')
    """
    # A difference that rounds to 0 has no sign.
    return UNDEFINED if np.isnan(value) else f"{round(value, 3) + 0:.3f}"


def with_interval(value: float, low: float, high: float) -> Markup:
    """A number with its interval; a dash where undefined."""
    if np.isnan(value):
        return Markup(f"<small>{UNDEFINED}</small>")
    ends = "no interval" if np.isnan([low, high]).any() else f"{number(low)} to {number(high)}"
    return Markup("{} <small>{}</small>").format(number(value), ends)


def in_words(value: float, low: float, high: float) -> str:
    """A number with its interval, within a sentence.

    >>> in_words(0.612, 0.52, 0.7), in_words(0.5, float("nan"), float("nan"))
    ('0.612 (0.520 to 0.700)', '0.500 (no interval)')
    """
    if np.isnan([low, high]).any():
        return f"{number(value)} (no interval)"
    return f"{number(value)} ({number(low)} to {number(high)})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table that scrolls sideways on a narrow screen. Its first column heads the rows."""
    lines = [Markup('<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')]
    cells = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in head)
    lines.append(Markup("<thead><tr>{}</tr></thead><tbody>").format(cells))
    for first, *rest in rows:
        cells = Markup("").join(Markup("<td>{}</td>").format(cell) for cell in rest)
        lines.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(first, cells))
    lines.append(Markup("</tbody></table></div>"))
    return Markup("\n").join(lines)


def paragraph(text: str) -> Markup:
    """A paragraph of plain text."""
    return Markup("<p>{}</p>").format(text)


def bullets(sentences: Iterable[object]) -> Markup:
    """Sentences, one below the other."""
    items = Markup("").join(Markup("<li>{}</li>").format(each) for each in sentences)
    return Markup("<ul>{}</ul>").format(items)


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names in a sentence, the first of them if there are many.

    >>> listed(["a", "b"]), listed("abcdef", most=2)
    ('a and b', 'a, b and 4 more')
    """
    every = list(names)
    shown = every[:most]
    if len(every) > most:
        return f"{', '.join(shown)} and {len(every) - most:,} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def badge(verdict: str | None) -> Markup:
    """A verdict as a word with a sign, never by colour alone."""
    sign = {"PASS": "✓", "FAIL": "✗", "INSUFFICIENT": "?"}.get(verdict or "", "·")
    word = verdict or "N/A"
    css = word.lower().replace("/", "")
    return Markup('<span class="badge {}">{} {}</span>').format(css, sign, word)


def folded(summary: str, body: Markup) -> Markup:
    """A part that opens on demand, and is left out on paper."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, body)


def joined(parts: Iterable[Markup]) -> Markup:
    """Several pieces, one a line."""
    return Markup("\n").join(escape(part) for part in parts)


def estimates_table(
    audit: Audit, sizes: Iterable[GroupSize], target: str, metrics: Sequence[str]
) -> Markup:
    """Groups down, metrics across, for one target; a dash where it has no such metric."""
    found = {
        (each.group, each.metric): estimate_cell(each)
        for each in audit.estimates
        if each.target == target
    }
    rows = [
        (size.group, *(found.get((size.group, metric), UNDEFINED) for metric in metrics))
        for size in sizes
    ]
    return table(["Group", *(METRICS.get(metric).label for metric in metrics)], rows)


def count(number: int | None) -> str:
    """A count, or a dash where it is not shown.

    >>> count(12345), count(None)
    ('12,345', '–')
    """
    return UNDEFINED if number is None else f"{number:,}"


def question(audit: Audit) -> str:
    """What one target of the audit is called, as the head of a column."""
    return "Class" if audit.task == "multiclass" else "Finding"


def meaning(metric: str) -> str:
    """What a metric is: the first sentence of its documentation, without the formula.

    >>> meaning("true_positive_rate")
    'Share of the positive samples that are decided positive'
    """
    first = (METRICS.get(metric).__doc__ or "").partition("\n\n")[0].partition(":math:")[0]
    return " ".join(first.split()).rstrip(".,: ")


def chief_metric(audit: Audit) -> str:
    """The metric that summaries are about: AUROC, else the first that was declared."""
    named = (*audit.spec.primary, *audit.spec.metrics)
    return "auroc" if "auroc" in named else next(iter(named), "")


def exceeds_chance(gap: Gap) -> bool:
    """Whether a gap is larger than is to be expected if all groups were alike."""
    return bool(gap.value > gap.null_high)


def decided(thresholds: Sequence[Threshold]) -> str:
    """How decisions came about, in a sentence."""
    first, *others = thresholds
    if first.rule == "decisions":
        return f"as given in the file; {_said_to_be(first)}"
    if first.rule == "highest score":
        return "the class with the highest score"
    if others:
        return (
            "positive from a score on that differs by finding, see “What this report is about”"
        )
    return f"positive from a score of {first.value:.4f} on, {how_chosen(first)}"


def how_chosen(threshold: Threshold) -> str:
    """Which rows chose a threshold and by what rule."""
    rows = f"{threshold.rows:,} {threshold.chosen_on} rows"
    return {
        "decisions": f"decisions of the file; {_said_to_be(threshold)}",
        "highest score": "no threshold: the highest score decides",
        "fixed": f"given to the audit; {_said_to_be(threshold)}",
        "youden": f"chosen on {rows} (the largest sum of sensitivity and specificity)",
        "convention": f"the convention: none was given, and {rows} are too few to choose one "
        "on",
    }[threshold.rule]


def _said_to_be(threshold: Threshold) -> str:
    if threshold.chosen_on == "not stated":
        return "which rows chose the threshold is not stated"
    return f"chosen on {threshold.chosen_on} rows, as stated"


def spoken(target: str) -> str:
    """A target's name as readers see it.

    >>> spoken("pleural_thickening"), spoken("macro")
    ('pleural thickening', 'mean of all')
    """
    return "mean of all" if target == MACRO else target.replace("_", " ")


def measured(audit: Audit) -> tuple[str, ...]:
    """Targets with estimates: the mean of all first, a task as a whole before its classes."""
    found = dict.fromkeys(each.target for each in audit.estimates)
    return tuple(sorted(found, key=lambda target: target != MACRO))


def evidence(state: str, patients: int | None, reason: str = "") -> str:
    """What a number rests on: a mark for how much it may be trusted, and patients.

    >>> evidence("adequate", 1200), evidence("insufficient", 4, "rests on 4 patients")
    ('● 1,200', '○ insufficient: rests on 4 patients')
    >>> evidence("undefined", 0, "no positive samples")
    'undefined: no positive samples'
    """
    said = f": {reason}" if reason else ""
    if state == "undefined":
        return reason if reason.startswith(state) else f"{state}{said}"
    if state == "insufficient":
        return f"○ insufficient{said}"
    return f"{'◐ imprecise, ' if state == 'imprecise' else '● '}{count(patients)}{said}"


def estimate_cell(found: Estimate) -> Markup:
    """An estimate in a table: the number, its interval, and below what it rests on."""
    return resting_on(
        found.value, found.low, found.high, evidence(found.state, found.units, found.reason)
    )


def resting_on(value: float, low: float, high: float, note: str) -> Markup:
    """A number with its interval and, below, a note of what it rests on."""
    shown = with_interval(value, low, high)
    return shown + Markup("<br><small>{}</small>").format(note) if note else shown
