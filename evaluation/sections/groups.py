"""Performance of each group."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.forest import forest
from evaluation.metric import METRICS
from evaluation.section import Section, estimates_table, joined, measured, paragraph

_PANELS = 3


class Groups(Section):
    """Every metric in every group of one attribute: forest plot and table."""

    title = "Performance of each group"
    place = 20

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        first, target = audit.cohort[0].target, measured(audit)[0]
        sizes = [s for s in audit.cohort if len(s.attributes) <= 1 and s.target == first]
        metrics = [e.metric for e in audit.estimates if (e.target, e.group) == (target, "all")]
        parts = [
            paragraph(
                "Lines are intervals over resampled patients, the dotted line is all samples. "
                "Hollow grey groups rest on too few patients: they are listed, and never "
                "ranked."
            )
        ]
        for start in range(0, len(metrics), _PANELS):
            panel = metrics[start : start + _PANELS]
            rows = [[audit.estimate(metric, size.group, target) for size in sizes] for metric in panel]
            title = "Forest plot of " + ", ".join(METRICS.get(m).label for m in panel)
            parts.append(forest([size.group for size in sizes], rows, title))
        return joined([*parts, estimates_table(audit, sizes, target)])
