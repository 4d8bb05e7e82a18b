"""The audit as a page to read and sign, as JSON, and as a few lines for the terminal."""

from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evaluation.audit import Audit
from evaluation.card import CARDS
from evaluation.evidence_chain import Entry, append
from evaluation.files import atomic_path, write_text
from evaluation.metric import METRICS
from evaluation.pdf import print_pdf
from evaluation.section import SECTIONS, measured, number, spoken
from evaluation.table import file_digest
from evaluation.tables import tables


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
    return template.render(audit=audit, parts=parts) + "\n"


def write(audit: Audit, folder: Path, *, pdf: bool = False) -> Path:
    """Write the audit in every form: JSON, page, tables, cards and, if asked for, PDF.

    The files are ``audit.json``, ``report.html``, ``tables/*.csv``, the cards, ``report.pdf``;
    each is written whole or not at all, and its hash goes into ``evidence.jsonl``.

    Args:
        audit: What to write.
        folder: Where; made if it is not there. Files of an earlier audit are replaced, and the
            evidence chain goes on.
        pdf: Whether to print the page to PDF as well; needs the extra ``pdf``.

    Returns:
        Path of the page.

    Raises:
        InputError: The evidence in the folder is broken.
    """
    chain = folder / "evidence.jsonl"
    append(chain, [])  # refuses to go on from a broken chain, before anything is replaced
    page = render(audit)
    texts = {"audit.json": audit.to_json(), "report.html": page}
    for name, table in tables(audit).items():
        texts[f"tables/{name}.csv"] = table.to_csv(index=False)
    for name in CARDS.names():
        card = CARDS.get(name)()
        texts[f"cards/{card.filename}"] = card.render(audit, audit.about)
    for name, text in texts.items():
        write_text(folder / name, text)
    rests_on = (Entry(**dict(each), beside=False) for each in audit.inputs)
    made = (Entry.of_file("output", folder / name, folder) for name in texts)
    append(chain, [*rests_on, *made, *_removed(folder, texts)])
    if pdf:
        with atomic_path(folder / "report.pdf") as partial:
            partial.write_bytes(print_pdf(page, audit))
        append(chain, [Entry.of_file("output", folder / "report.pdf", folder)])
    return folder / "report.html"


def _removed(folder: Path, kept: Container[str]) -> Iterator[Entry]:
    """Take away what an earlier audit wrote and this one does not, and say so."""
    for path in sorted([*folder.glob("tables/*.csv"), *folder.glob("report.pdf")]):
        name = path.relative_to(folder).as_posix()
        if name not in kept:
            digest = file_digest(path)
            path.unlink()
            yield Entry(what="removed", name=name, sha256=digest, beside=False)


def summary(audit: Audit) -> Group:
    """The verdict, each clause, and for each metric all samples and the widest gap."""
    chief = measured(audit)[:1]
    lines = Table(box=SIMPLE_HEAD, title=escape(audit.source), title_justify="left")
    for head in ("Metric", "All samples", "Widest gap", "Worst group"):
        lines.add_column(head)
    for everyone in audit.estimates:
        if everyone.group != "all" or everyone.target not in chief:
            continue
        name = METRICS.get(everyone.metric).label
        about = f"{spoken(everyone.target)}: " if everyone.target else ""
        shown = [about + name, _ends(everyone.value, everyone.low, everyone.high)]
        gaps = [
            gap
            for gap in audit.gaps
            if (gap.target, gap.metric) == (everyone.target, everyone.metric)
            and gap.best
            and len(gap.attributes) == 1
        ]
        if gaps:
            gap = max(gaps, key=lambda each: each.value)
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
