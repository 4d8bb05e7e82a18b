"""Under- and over-diagnosis of each group."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.diagnosis import CAVEAT, Diagnosis, Kind
from evaluation.parts import named, parts
from evaluation.section import (
    Section,
    bullets,
    evidence,
    in_words,
    joined,
    paragraph,
    resting_on,
    table,
    with_interval,
)

_MEANING: dict[Kind, str] = {
    "under": "Underdiagnosis: of the sick, how many are called healthy",
    "over": "Overdiagnosis: of the healthy, how many are called sick",
}
_AMONG: dict[Kind, str] = {
    "under": "Sick among those called healthy, at one prevalence",
    "over": "Healthy among those called sick, at one prevalence",
}
_AT_COMMON: dict[Kind, str] = {
    "under": "Rate at one overdiagnosis rate for all",
    "over": "Rate at one underdiagnosis rate for all",
}


class Diagnoses(Section):
    """Who is told to be healthy and is not, and the reverse, with what puts it into context."""

    title = "Under- and overdiagnosis"
    place = 22

    def applies(self, audit: Audit) -> bool:
        """Whether it is known for any target what is sick and what is healthy."""
        return bool(_targets(audit))

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "A missed disease and a false alarm harm differently, so they are shown apart. "
            "Beside each rate stand two companions. The first asks how often the model's "
            "answer misleads if the disease were as common in every group as in all samples. "
            "The second moves the threshold of each group until its other error is as frequent "
            "as in all samples: what still differs then is not the threshold."
        )
        targets = _targets(audit)
        groups = {found.group for found in audit.diagnoses}
        first = [found for found in audit.diagnoses if found.target == targets[0]]
        tables = parts(
            targets, lambda target: _tables(audit, target), 6 * len(groups), "diagnoses"
        )
        caveat = Markup('<p class="caveat"><strong>{}</strong> {}</p>').format(
            "What these rates do not show.", CAVEAT
        )
        return joined([paragraph(how), *_sentences(first), caveat, tables])


def _targets(audit: Audit) -> list[str]:
    """Those where sick and healthy are known, "no finding" and its like first."""
    found = dict.fromkeys(each.target for each in audit.diagnoses)
    healthy = [target for target in found if target in audit.spec.healthy]
    if audit.task == "multiclass":
        # To be of another class than this one is no disease unless this one is the healthy one.
        return healthy
    return [*healthy, *(target for target in found if target not in healthy)]


def _sentences(found: Sequence[Diagnosis]) -> Iterator[Markup]:
    sentences = []
    for kind, called in (("under", "sick called healthy"), ("over", "healthy called sick")):
        of_kind = {each.group: each for each in found if each.kind == kind}
        everyone = of_kind.pop("all", None)
        ranked = [each for each in of_kind.values() if each.state == "adequate"]
        if everyone is None or len(ranked) < 2:
            continue
        most, least = max(ranked, key=_rate), min(ranked, key=_rate)
        about = f" by “{named(most.target)}”" if most.target else ""
        sentences.append(
            f"{kind.capitalize()}diagnosis{about} ({called}) is most frequent for "
            f"{most.group}: {_said(most)}; least for {least.group}: {_said(least)}. In all "
            f"samples it is {_said(everyone)}."
        )
    if sentences:
        yield bullets(sentences)


def _tables(audit: Audit, target: str) -> Markup:
    found = [each for each in audit.diagnoses if each.target == target]
    meaning = (
        f"“{named(target)}” says healthy: to say it wrongly is an underdiagnosis."
        if target in audit.spec.healthy
        else ""
    )
    tables = [
        table(
            ["Group", _MEANING[kind], _AMONG[kind], _AT_COMMON[kind]],
            [_row(each) for each in found if each.kind == kind],
        )
        for kind in _MEANING
    ]
    return joined([*([paragraph(meaning)] if meaning else []), *tables])


def _row(found: Diagnosis) -> tuple[object, ...]:
    note = evidence(found.state, found.units, found.reason)
    return (
        found.group,
        resting_on(found.rate, found.low, found.high, note),
        with_interval(found.standardised, found.standardised_low, found.standardised_high),
        with_interval(
            found.at_common_rate, found.at_common_rate_low, found.at_common_rate_high
        ),
    )


def _rate(found: Diagnosis) -> float:
    return found.rate


def _said(found: Diagnosis) -> str:
    return in_words(found.rate, found.low, found.high)
