"""The audit as a page to read and sign, as JSON, and as a few lines for the terminal."""

from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evaluation.audit import Audit
from evaluation.files import write_text
from evaluation.metric import METRICS
from evaluation.section import SECTIONS, badge, number


def render(audit: Audit) -> str:
    """The report as one HTML page that needs no other file and no network."""
    loader = PackageLoader("evaluation", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    sections = [SECTIONS.get(name)() for name in SECTIONS.names()]
    shown = sorted(
        (each for each in sections if each.applies(audit)), key=lambda each: each.place
    )
    parts = [
        {"title": each.title, "anchor": type(each).__name__.lower(), "body": each.render(audit)}
        for each in shown
    ]
    template = environment.get_template("report.html")
    return template.render(audit=audit, parts=parts, badge=badge(audit.verdict)) + "\n"


def write(audit: Audit, folder: Path) -> Path:
    """Write ``audit.json`` and ``report.html``.

    Returns:
        Path of the page.
    """
    page = render(audit)
    write_text(folder / "audit.json", audit.to_json())
    write_text(folder / "report.html", page)
    return folder / "report.html"


def summary(audit: Audit) -> Group:
    """The verdict, each clause, and for each metric all samples and the widest gap."""
    lines = Table(box=SIMPLE_HEAD, title=escape(audit.source), title_justify="left")
    for head in ("Metric", "All samples", "Widest gap", "Worst group"):
        lines.add_column(head)
    for metric in audit.spec.metrics:
        everyone = audit.estimate(metric)
        name = METRICS.get(metric).label
        shown = [name, _ends(everyone.value, everyone.low, everyone.high)]
        gaps = [gap for gap in audit.gaps if gap.metric == metric and gap.best]
        single = [gap for gap in gaps if len(gap.attributes) == 1]
        if single:
            gap = max(single, key=lambda each: each.value)
            worst = escape(f"{gap.worst} {number(gap.worst_value)}")
            shown += [_ends(gap.value, gap.low, gap.high), worst]
        lines.add_row(*shown)
    clauses = Table.grid(padding=(0, 2))
    for clause in audit.clauses:
        reason = f"{clause.clause}. {clause.reason}"
        clauses.add_row(clause.verdict or "not applicable", escape(reason))
    verdict = Text(f"Verdict: {audit.verdict or 'none, since no policy was given'}", "bold")
    return Group(lines, clauses, verdict)


def _ends(value: float, low: float, high: float) -> str:
    ends = "" if np.isnan([low, high]).any() else f" [{number(low)}, {number(high)}]"
    return escape(number(value) + ends)
