"""Identity of model, data and settings."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from evaluation.about import About
from evaluation.audit import Audit
from evaluation.groups import Attribute
from evaluation.metric import METRICS
from evaluation.section import (
    Section,
    decided,
    folded,
    how_chosen,
    joined,
    number,
    paragraph,
    question,
    spoken,
    table,
)
from evaluation.spec import AuditSpec

_SHORT = 6
_NOTHING = "The makers state nothing about the model: no intended use, no origin, no version."


class Identity(Section):
    """What was audited, for what use, with which settings: enough to repeat it."""

    title = "What this report is about"
    place = 5

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        note = (
            "This pins down what was audited and how, so that another person can check that it "
            "is the same model and the same data, and can repeat the audit. What the makers "
            "state about the model was not checked."
        )
        hashes = [
            (
                entry.what.capitalize(),
                entry.name,
                Markup("<code>{}</code>").format(entry.sha256),
            )
            for entry in audit.inputs
        ]
        return joined(
            [
                paragraph(note),
                *_stated(audit.about),
                Markup("<h3>Fingerprints</h3>"),
                paragraph("The same SHA-256 means the same bytes."),
                table(["", "Name", "SHA-256"], hashes),
                Markup("<h3>Decisions</h3>"),
                *_decisions(audit),
                Markup("<h3>Settings of the audit</h3>"),
                table(["Setting", "Value"], settings(audit)),
            ]
        )


def _stated(about: About) -> Iterator[Markup]:
    stated = {name: _text(value) for name, value in about}
    rows = [(_spoken(name), text) for name, text in stated.items() if text]
    if rows:
        yield table(["The makers state", ""], rows)
    absent = [_spoken(name).lower() for name, text in stated.items() if not text]
    if absent:
        said = f"Not stated: {', '.join(absent)}." if rows else _NOTHING
        yield Markup('<p class="reason">{}</p>').format(said)


def _text(value: str | tuple[str, ...]) -> str:
    return (value if isinstance(value, str) else ", ".join(value)).strip()


def _spoken(field: str) -> str:
    return field.replace("_", " ").capitalize()


def _decisions(audit: Audit) -> Iterator[Markup]:
    if len(audit.thresholds) == 1:
        yield paragraph(f"Decided: {decided(audit.thresholds)}.")
        return
    rows = [
        (spoken(each.target), number(each.value), how_chosen(each), each.chosen_on)
        for each in audit.thresholds
    ]
    ways = {how_chosen(each) for each in audit.thresholds}
    if len(ways) == 1:
        yield paragraph(f"For every finding: {ways.pop()}.")
    if all(np.isnan(each.value) for each in audit.thresholds):
        return
    full = table([question(audit), "Positive from", "How it was chosen", "Rows"], rows)
    yield folded(f"All {len(rows)} thresholds", full) if len(rows) > _SHORT else full


def settings(audit: Audit) -> Iterator[tuple[str, str]]:
    """The settings that another person needs to get the same numbers, as name and value."""
    spec = audit.spec
    yield "Program", f"Evenscan {audit.evenscan}"
    yield "Task", audit.task
    yield (
        "Intervals",
        f"{100 * spec.confidence:g} %, from {spec.draws:,} bootstrap draws of patients, "
        f"seed {spec.seed}",
    )
    yield "Metrics", _labels(spec.metrics)
    yield "Declared beforehand", _labels(spec.primary) if spec.primary else "all metrics"
    for attribute in spec.attributes:
        yield f"Groups by {attribute.name}", _groups(attribute)
    if len(spec.attributes) > 1:
        yield "Crossed", f"up to {spec.depth} attributes at once"
    yield from _limits(spec)


def _limits(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    yield "Least evidence", f"{spec.minimum_patients} patients; below, listed and never ranked"
    yield "Called imprecise", f"intervals wider than {spec.widest:g}"
    yield "Hidden when shared", f"groups of fewer than {spec.smallest_cell} patients"
    yield "Margin of no loss", f"{spec.margin:g}, against a champion"
    yield "Adjusted for", ", ".join(spec.confounders) or "nothing"
    if spec.healthy:
        yield "Positive means healthy", ", ".join(map(spoken, spec.healthy))


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(METRICS.get(name).label for name in names)


def _groups(attribute: Attribute) -> str:
    unit = f" ({attribute.unit})" if attribute.unit else ""
    names = attribute.bands or attribute.categories
    made = ", ".join(names) + unit if names else "the values that occur"
    return f"{made}; compared with {attribute.reference or 'the group with the most patients'}"
