"""Leakage of attributes from the embeddings."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.embeddings import PIXELS
from evaluation.figures.leakage import leakage_plot
from evaluation.findings import Leakage
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    folded,
    in_words,
    joined,
    number,
    paragraph,
    spoken,
    table,
    with_interval,
)

_HOW_TO_READ = (
    "A probe is a small classifier that tries to tell an attribute, such as sex, from the "
    "model's embedding of an image. Its AUROC is the chance that it puts two images of "
    "different groups in the right order: 0.5 is guessing, 1 is always. It is tried on "
    "patients that it was not fitted to, and among images of the same label, as an embedding "
    "that knows the disease would otherwise know every attribute that goes with it."
)
_WANTED = (
    "Content is what the model decides by, and should tell the label but no attribute; style "
    "is where attributes may go. Pixels are the image itself, made small: what there was to "
    "leak. Guessing exceeds the grey tick one time in twenty, for each probe by itself: of "
    "many probes and attributes a few are above it by chance. A probe that finds nothing "
    "does not prove that nothing is there."
)
_PROBES = {
    "linear": "the linear probe draws a straight border",
    "knn": "knn asks the most similar images",
    "mlp": "mlp is a small neural network",
}


class LeakageTable(Section):
    """What probes read from content, style and pixels."""

    title = "What the embeddings give away"
    place = 50

    def applies(self, audit: Audit) -> bool:
        """Whether embeddings were probed."""
        return bool(audit.leakage)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        judged = [found for found in audit.leakage if _is_judged(found)]
        parts = [paragraph(_HOW_TO_READ), paragraph(_WANTED), *_kinds(judged)]
        parts.append(bullets(_sentences(judged)))
        label = next(filter(None, (found.target for found in audit.leakage)), "")
        if label:
            parts.append(paragraph(f"The label is {spoken(label)}."))
        parts.append(leakage_plot(judged, "AUROC of probes by attribute and embedding"))
        parts.append(_probes(judged))
        others = [found for found in audit.leakage if not _is_judged(found)]
        if others:
            without = joined([paragraph(_WITHOUT), _probes(others)])
            parts.append(folded("The same without regard to the label", without))
        return joined(parts)


_WITHOUT = (
    "What somebody who holds the embedding can read over all images together. Some of it may "
    "be the label, where groups differ in how common it is."
)


def _kinds(found: Sequence[Leakage]) -> list[Markup]:
    """What the probes are, if there are several."""
    names = list(dict.fromkeys(each.probe for each in found))
    if len(names) < 2:
        return []
    said = "; ".join(_PROBES.get(name, name) for name in names)
    return [paragraph(f"{said[:1].upper()}{said[1:]}.")]


def _is_judged(found: Leakage) -> bool:
    """Whether it is about the label, or an attribute given the label."""
    return found.predicts == "label" or found.given_label


def _sentences(found: Sequence[Leakage]) -> list[str]:
    """A sentence for each attribute, and one for the label."""
    names = dict.fromkeys((each.predicts, each.attribute) for each in found)
    return [
        _sentence([each for each in found if (each.predicts, each.attribute) == name])
        for name in names
    ]


def _sentence(found: Sequence[Leakage]) -> str:
    """What content gives away, by the probe that reads most, and beside what pixels do.

    It is the largest of several numbers, each with a chance band of its own, so it says how
    many there were.
    """
    content = [each for each in found if each.latent == "content"] or list(found)
    defined = [each for each in content if not np.isnan(each.auroc)]
    what = "The label" if content[0].predicts == "label" else content[0].attribute
    if not defined:
        return f"{what}: nothing can be said of {content[0].latent}, {content[0].reason}."
    most = max(defined, key=lambda each: each.auroc)
    seen = f"{in_words(most.auroc, most.low, most.high)}, {most.probe} probe"
    chance = f"guessing exceeds {number(most.chance_high)} one time in twenty"
    said = f"{what} {_reading(most)} in {most.latent}: {seen}{_picked(defined)}; {chance}"
    pixels = [e for e in found if (e.latent, e.probe) == (PIXELS, most.probe)]
    there = [
        f"; in the pixels it is {number(e.auroc)}" for e in pixels if not np.isnan(e.auroc)
    ]
    return "".join([said, *there, "."])


def _picked(found: Sequence[Leakage]) -> str:
    return f", the highest of {len(found)}" if len(found) > 1 else ""


def _reading(found: Leakage) -> str:
    if np.isnan(found.auroc):
        return UNDEFINED
    return "can be read" if found.auroc > found.chance_high else "was not found"


def _probes(found: Sequence[Leakage]) -> Markup:
    """Attributes and probes down, embeddings across."""
    latents = list(dict.fromkeys(each.latent for each in found))
    cells = {(e.attribute, e.probe, e.latent): _shown(e) for e in found}
    rows = [
        (
            attribute,
            probe,
            *(cells.get((attribute, probe, name), UNDEFINED) for name in latents),
        )
        for attribute, probe in dict.fromkeys((e.attribute, e.probe) for e in found)
    ]
    return table(["Read", "Probe", *(name.capitalize() for name in latents)], rows)


def _shown(found: Leakage) -> Markup:
    value = with_interval(found.auroc, found.low, found.high)
    if np.isnan(found.auroc):
        return Markup('{} <span class="reason">{}</span>').format(value, found.reason)
    note = f"{_reading(found)}, chance up to {number(found.chance_high)}"
    note += f"; {found.reason}" if found.reason else ""
    return Markup('{}<br><span class="reason">{}</span>').format(value, note)
