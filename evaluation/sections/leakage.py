"""Leakage of attributes from the embeddings."""

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.findings import Leakage
from evaluation.section import Section, joined, number, paragraph, table, with_interval


class LeakageTable(Section):
    """What a probe reads from the content and style embeddings."""

    title = "What the embeddings give away"
    place = 50

    def applies(self, audit: Audit) -> bool:
        """Whether embeddings were probed."""
        return bool(audit.leakage)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        note = (
            "AUROC of a linear probe for the attribute, within each label, cross-validated by "
            "patient; 0.5 is chance. Content should be at chance; that style is far above it "
            "shows where the attribute went. A probe that finds nothing does not prove that "
            "nothing is there."
        )
        head = ["Attribute", "Embedding", "AUROC", "Chance", "Patients", "Reading"]
        rows = [
            (
                found.attribute,
                found.latent,
                with_interval(found.auroc, found.low, found.high),
                UP_TO.format(number(found.chance_high)),
                f"{found.patients:,}",
                _reading(found),
            )
            for found in audit.leakage
        ]
        return joined([paragraph(note), table(head, rows)])


UP_TO = "up to {}"


def _reading(found: Leakage) -> str:
    if np.isnan(found.auroc):
        return f"undefined: {found.reason}"
    return "readable" if found.auroc > found.chance_high else "not above chance"
