"""Performance of crossed groups."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.section import Section, estimates_table, folded, joined, measured, paragraph


class Crossings(Section):
    """Every metric where attributes are crossed."""

    title = "Crossed groups"
    place = 25

    def applies(self, audit: Audit) -> bool:
        """Whether any attributes were crossed."""
        return any(len(size.attributes) > 1 for size in audit.cohort)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        first = audit.cohort[0].target
        sizes = [s for s in audit.cohort if len(s.attributes) > 1 and s.target == first]
        note = (
            "A model can be even across each attribute and still fail where two of them meet. "
            "The full table opens below; it is left out on paper, and its numbers are in "
            "audit.json."
        )
        full = folded(f"All {len(sizes)} crossed groups", estimates_table(audit, sizes, measured(audit)[0]))
        return joined([paragraph(note), full])
