"""What a report section is, and the pieces that sections share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
from markupsafe import Markup, escape

from evaluation.audit import Audit
from evaluation.findings import Estimate, GroupSize
from evaluation.metric import METRICS
from evaluation.registry import Registry

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
    return UNDEFINED if np.isnan(value) else f"{value:.3f}"


def with_interval(value: float, low: float, high: float) -> Markup:
    """A number with its interval; a dash where undefined."""
    if np.isnan(value):
        return Markup(f'<span class="undefined">{UNDEFINED}</span>')
    ends = "no interval" if np.isnan([low, high]).any() else f"{number(low)} to {number(high)}"
    return Markup('{} <span class="interval">{}</span>').format(number(value), ends)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table that scrolls sideways on a narrow screen. Its first column heads the rows."""
    lines = [Markup('<div class="scroll" tabindex="0"><table>')]
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


def estimates_table(audit: Audit, sizes: Iterable[GroupSize]) -> Markup:
    """Groups down, metrics across."""
    head = ["Group", "Patients", *(METRICS.get(metric).label for metric in audit.spec.metrics)]
    rows = [
        (
            size.group,
            f"{size.patients:,}",
            *(_cell(audit.estimate(metric, size.group)) for metric in audit.spec.metrics),
        )
        for size in sizes
    ]
    return table(head, rows)


def _cell(found: Estimate) -> Markup:
    shown = with_interval(found.value, found.low, found.high)
    if found.state in ("undefined", "insufficient") or found.reason:
        note = f"{found.state}: {found.reason}" if not found.ranked else found.reason
        shown += Markup('<br><span class="reason">{}</span>').format(note)
    return shown
