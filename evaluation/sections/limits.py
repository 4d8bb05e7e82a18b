"""Limits of the audit."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.section import Section, joined, paragraph


class Limits(Section):
    """What the audit does not show."""

    title = "Limits"
    place = 90

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        spec = audit.spec
        blind = [
            size.group
            for size in audit.cohort
            if len(size.attributes) <= 1
            and not any(audit.estimate(metric, size.group).ranked for metric in spec.metrics)
        ]
        sentences = [
            *audit.notes,
            "Intervals express the chance of sampling these patients from a larger population "
            "like theirs. They do not cover a population that differs, wrong labels, or "
            "attributes recorded wrongly.",
            "A test set drawn at random from the same source carries the same bias as the "
            "training set: equal numbers on it do not show that a model reads the disease.",
            f"A metric that rests on fewer than {spec.minimum_patients} patients is listed and "
            "never ranked. Average precision and the Brier score depend on prevalence, so "
            "groups of different prevalence differ in them without any unfairness.",
        ]
        if blind:
            sentences.insert(0, f"Nothing can be said about: {', '.join(blind)}.")
        items = Markup("").join(Markup("<li>{}</li>").format(each) for each in sentences)
        return joined(
            [
                paragraph("Read the numbers with these in mind."),
                Markup("<ul>{}</ul>").format(items),
            ]
        )
