"""A model card in the sense of Mitchell et al., as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import ClassVar

from evaluation.about import About, stated
from evaluation.audit import Audit
from evaluation.card import (
    Card,
    Measured,
    audited_data,
    cautions,
    decided,
    labelled,
    method,
    required,
)
from evaluation.findings import Estimate
from evaluation.metric import METRICS


class ModelCard(Card):
    """Model card with the nine sections of the paper.

    References:
        Mitchell et al. (2019), *Model cards for model reporting*, FAT*, section 4,
        arXiv:1810.03993.
    """

    filename: ClassVar[str] = "model_card.md"

    def render(self, audit: Audit, about: About) -> str:
        """The card as Markdown."""
        measured = Measured(audit)
        sections = {
            "Model details": _facts(_details(about)),
            "Intended use": _facts(_use(about)),
            "Factors": _factors(audit, about),
            "Metrics": _metrics(audit),
            "Evaluation data": _evaluation(audit, about),
            "Training data": _facts(_training(about)),
            "Quantitative analyses": _analyses(audit, measured),
            "Ethical considerations": [stated(about.ethics)],
            "Caveats and recommendations": _caveats(audit, about),
        }
        parts = [f"# {escape(about.name or 'Model')} (model card)"]
        for title, lines in sections.items():
            parts += [f"## {title}", "\n".join(lines)]
        return "\n\n".join(parts) + "\n"


def _details(about: About) -> dict[str, str]:
    return {
        "Developer": about.developer,
        "Contact": about.contact,
        "Version": about.version,
        "Date": about.date,
        "Type": about.model_type,
        "Builds on": about.foundation_models,
        "Input": about.input,
        "Output": about.output,
        "License": about.license,
        "Citation": about.citation,
        "Funding": about.funding,
    }


def _use(about: About) -> dict[str, str]:
    return {
        "Primary intended uses": about.intended_use,
        "Primary intended users": about.intended_users,
        "Patients": about.intended_patients,
        "Role in decisions": about.decision_role,
        "Out-of-scope uses": about.out_of_scope,
    }


def _training(about: About) -> dict[str, str]:
    return {
        "Data": about.training_data,
        "Criteria": about.training_criteria,
        "Representativeness": about.training_demographics,
        "Relevance to the setting": about.training_relevance,
    }


def _factors(audit: Audit, about: About) -> list[str]:
    names = ", ".join(_cell(attribute.name) for attribute in audit.spec.attributes)
    return [
        *_facts({"Relevant factors": about.factors}),
        f"- **Evaluation factors:** {names or 'none'}",
    ]


def _metrics(audit: Audit) -> list[str]:
    names = ", ".join(METRICS.get(name).label for name in audit.spec.metrics)
    lines = [f"- **Performance measures:** {names}"]
    for found in audit.thresholds:
        about = f" of {_cell(found.target)}" if found.target else ""
        level = "" if found.value != found.value else f" {found.value:g}"
        chosen = f"{found.rule}{level}, rows that chose it: {found.chosen_on}"
        lines.append(f"- **Decision threshold{about}:** {chosen}")
    return [*lines, f"- **Variation:** {_line(method(audit))}"]


def _evaluation(audit: Audit, about: About) -> list[str]:
    stated_ = {
        "Data": about.evaluation_data,
        "Source, seen from the training data": about.evaluation_source,
        "Run by": about.evaluation_party,
        "Process": about.evaluation_process,
    }
    return [*_facts(stated_), f"- **Audited:** {_cell(audited_data(audit))}"]


def _analyses(audit: Audit, measured: Measured) -> list[str]:
    lines = ["### All samples", "", *_table(measured.overall, measured), ""]
    lines += ["### Unitary results", "", *_table(measured.unitary, measured), ""]
    if measured.gaps:
        head = ("Metric", "By", "Gap", "Worst group")
        rows = [
            (
                labelled(gap),
                gap.attributes[0],
                measured.ends(gap.value, gap.low, gap.high),
                gap.worst or gap.reason,
            )
            for gap in measured.gaps
        ]
        lines += ["### Gaps", "", *_grid(head, rows), ""]
    lines += ["### Intersectional results", "", *_table(measured.crossed, measured)]
    if audit.policy is not None:
        lines += ["", "### Requirements", "", _line(required(audit)), "", _line(decided(audit))]
    return lines


def _caveats(audit: Audit, about: About) -> list[str]:
    return [f"- {_line(text)}" for text in (stated(about.limitations), *cautions(audit))]


def _table(found: Sequence[Estimate], measured: Measured) -> list[str]:
    if not found:
        return ["Not measured."]
    rows = [
        (
            labelled(each),
            each.group,
            measured.ends(each.value, each.low, each.high),
            each.units,
            each.state + (f": {each.reason}" if each.reason else ""),
        )
        for each in found
    ]
    return list(_grid(("Metric", "Group", "Estimate", "Patients", "Evidence"), rows))


def _grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _facts(facts: dict[str, str]) -> list[str]:
    return [f"- **{name}:** {_line(stated(text))}" for name, text in facts.items()]


def _line(text: str) -> str:
    """A text that stays in its list item."""
    return text.replace("\n", "\n  ")


def _cell(value: object) -> str:
    """A value from a table, which may hold anything, as plain text of one cell."""
    text = "not shown" if value is None else str(value)
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")
