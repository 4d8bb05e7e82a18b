"""Limits of the audit."""

from collections.abc import Iterator

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.section import Section, bullets, joined, listed, paragraph, spoken
from evaluation.target import MACRO

_ALWAYS = (
    "Intervals express the chance of sampling these patients from a larger population like "
    "theirs. They do not cover a population that differs, wrong labels, or attributes recorded "
    "wrongly.",
    "A test set drawn at random from the same source carries the same bias as the training "
    "set: equal numbers on it do not show that a model reads the disease.",
    "That no gap was found is not a proof that there is none: look at how large a gap could "
    "have been found. Groups that nobody recorded were not looked at.",
)
_NO_ATTRIBUTE = (
    "No attribute was given, so nothing is said about any group: this report is about average "
    "performance only."
)


class Limits(Section):
    """What the audit does not show."""

    title = "Limits"
    place = 90

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        sentences = [*_own(audit), *audit.notes, *_ALWAYS, _evidence(audit)]
        return joined(
            [
                paragraph("What this report cannot say; read its numbers with these in mind."),
                bullets(sentences),
            ]
        )


def blind(audit: Audit) -> dict[str, list[str]]:
    """Groups of which no metric could be ranked, by target; the mean of all is left out."""
    ranked = {(each.target, each.group) for each in audit.estimates if each.ranked}
    targets = dict.fromkeys(each.target for each in audit.estimates if each.target != MACRO)
    groups = dict.fromkeys(size.group for size in audit.cohort if len(size.attributes) <= 1)
    return {
        target: [group for group in groups if (target, group) not in ranked]
        for target in targets
    }


def _own(audit: Audit) -> Iterator[str]:
    """What this audit in particular cannot say."""
    if not audit.spec.attributes:
        yield _NO_ATTRIBUTE
    found = blind(audit)
    nowhere = set.intersection(*map(set, found.values())) if found else set()
    everywhere = [group for group in next(iter(found.values()), []) if group in nowhere]
    if everywhere:
        yield f"Nothing can be said about: {listed(everywhere, 12)}."
    elsewhere = {
        target: [g for g in groups if g not in nowhere] for target, groups in found.items()
    }
    partly = [f"{spoken(t)} ({listed(g, 3)})" for t, g in elsewhere.items() if g and t]
    if partly:
        yield f"Nothing can be said in some groups about: {listed(partly)}."
    crossed = {size.group for size in audit.cohort if len(size.attributes) > 1}
    known = {each.group for each in audit.estimates if each.ranked}
    if crossed - known:
        yield (
            f"Of {len(crossed):,} crossed groups, {len(crossed - known):,} rest on too few "
            "patients for any metric to be ranked."
        )


def _evidence(audit: Audit) -> str:
    return (
        f"A metric that rests on fewer than {audit.spec.minimum_patients} patients is listed "
        "and never ranked, so it takes no part in gaps and worst groups. Being left out is not "
        "being fair."
    )
