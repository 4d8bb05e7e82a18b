"""Verdict page."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.section import Section, badge, joined, paragraph, table

_SENTENCE = {
    "PASS": "Every clause of the policy holds, each on its whole interval.",
    "FAIL": "At least one clause of the policy is broken on its whole interval.",
    "INSUFFICIENT": "No clause is broken beyond doubt, but the evidence does not show that all "
    "hold. This is not a pass.",
}
_RULE = {
    "fixed": "was fixed before the audit",
    "youden": "was chosen on {rows} validation rows (largest Youden index)",
    "convention": "is the convention 0.5: none was given, and {rows} validation rows are too "
    "few to choose one on (20, of both classes, are needed)",
}


class Verdict(Section):
    """The decision, clause by clause, what was audited, and room to sign."""

    title = "Verdict"
    place = 0

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        return joined([*self._decision(audit), self._identity(audit), _SIGNATURES])

    def _decision(self, audit: Audit) -> list[Markup]:
        if audit.policy is None:
            return [paragraph("No policy was given, so nothing was judged.")]
        heading = Markup('<p class="verdict">{} under policy “{}”</p>').format(
            badge(audit.verdict), audit.policy.name
        )
        rows = [
            (clause.clause, badge(clause.verdict), clause.reason) for clause in audit.clauses
        ]
        return [
            heading,
            *([paragraph(audit.policy.description)] if audit.policy.description else []),
            paragraph(_SENTENCE[audit.verdict or "INSUFFICIENT"]),
            table(["Clause", "Verdict", "What decided"], rows),
        ]

    def _identity(self, audit: Audit) -> Markup:
        everyone = audit.cohort[0]
        threshold = audit.threshold
        rule = _RULE[threshold.rule].format(rows=threshold.rows)
        rows = [
            ("Predictions", audit.source),
            ("SHA-256", Markup("<code>{}</code>").format(audit.digest)),
            (
                "Audited",
                f"{everyone.images:,} test images of {everyone.patients:,} patients, "
                f"{everyone.positives:,} with the positive label",
            ),
            ("Decision threshold", f"{threshold.value:.4f}; it {rule}"),
            (
                "Intervals",
                f"{100 * audit.spec.confidence:g} %, {audit.spec.draws:,} bootstrap "
                f"draws of patients, seed {audit.spec.seed}",
            ),
            ("Program", f"Evenscan {audit.evenscan}"),
        ]
        return table(["", "What was audited"], rows)


_SIGNATURES = Markup(
    '<div class="signatures">'
    + "".join(
        f'<div><span class="line"></span>{role}: name, date, signature</div>'
        for role in ("Validated by", "Approved by")
    )
    + "</div>"
)
