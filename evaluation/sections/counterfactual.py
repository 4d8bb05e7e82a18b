"""How predictions move when the style of an image is exchanged for another patient's."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.counterfactual import ALL, StyleEffect
from evaluation.counterfactual_table import Picture
from evaluation.figures.counterfactual import swap_plot
from evaluation.reconstruction import Reconstruction
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    count,
    folded,
    in_words,
    joined,
    number,
    paragraph,
    question,
    spoken,
    table,
    with_interval,
)

_HOW_TO_READ = (
    "The model splits an image into content, what the diagnosis needs, and style, all the "
    "rest. Here each image keeps its content and gets the style of another patient; the "
    "decoder draws that image, and the classifier looks at it again. A decision flips if it "
    "differs from the one about the image's own reconstruction, so what the decoder blurs is "
    "not counted. As a control each image also gets the style of another patient of its own "
    "group: only what flips beyond that goes with the group."
)
_LIMITS = (
    "What this cannot show: it says nothing of causes. Style is what the encoder put there, "
    "which need not be the attribute; part of the attribute may be left in the content, and a "
    "style may bring along more than the attribute. The drawn images are no photographs of any "
    "patient and may look like none that the classifier has ever seen. A model may depend on a "
    "group and show nothing here; if decisions flip, that is a reason to look closer."
)
_READS_CONTENT = (
    "A classifier that reads the content code only cannot see an exchanged style directly. For "
    "it this measures how much of the style the encoder takes for content when it looks at the "
    "drawn image."
)
_INTERVALS = (
    "A training run draws the partners among the test images of other patients with the same "
    "label. Intervals resample the patients whose images they are, and are widened where one "
    "partner gave a style to many."
)
_GUARD = (
    "The guard: what reconstruction alone, without any exchange, does to the predictions. "
    "Where it moves them too much, effects of a swap are listed but not to be read."
)
# Pairs that are open to see in the table, and those that fit into the figure.
_PAIRS, _DRAWN = 12, 24

_Key = tuple[str, str, str, str, str]


class CounterfactualStyle(Section):
    """Effects of exchanged styles, the guard beside them, and pictures."""

    title = "If an image had another patient's style"
    place = 55

    def applies(self, audit: Audit) -> bool:
        """Whether styles were exchanged."""
        return bool(audit.counterfactuals)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        effects, guards = audit.counterfactuals, audit.reconstructions
        parts = [
            paragraph(_HOW_TO_READ),
            paragraph(_drawn(audit)),
            bullets(map(_sentence, _overall(effects))),
            *_pictures(audit.pictures),
            Markup("<h3>All images of an attribute</h3>"),
            _effects_table(audit, [e for e in effects if e.group == ALL]),
            *_pairs(audit, [e for e in effects if e.group != ALL]),
            Markup("<h3>Whether the reconstructions can be trusted</h3>"),
            paragraph(_GUARD),
            _guards_table(audit, [each for each in guards if each.group == ALL]),
        ]
        groups = [each for each in guards if each.group != ALL]
        parts += [folded("The guard in each group", _guards_table(audit, groups))]
        parts += [paragraph(_READS_CONTENT), paragraph(_INTERVALS), paragraph(_LIMITS)]
        return joined(parts)


def _drawn(audit: Audit) -> str:
    """How much of the test set took part."""
    whole = audit.cohort[0]
    most = max(audit.reconstructions, key=lambda each: each.images or 0)
    if most.images is None or whole.images is None or most.images >= whole.images:
        return f"All {count(most.images)} test images take part."
    return (
        f"{count(most.images)} of {count(whole.images)} test images take part, all those of "
        f"{count(most.patients)} patients who were drawn: the exchange costs as much as many "
        "predictions."
    )


def _overall(effects: Sequence[StyleEffect]) -> list[StyleEffect]:
    return [each for each in effects if each.group == ALL and each.measure == "flip_rate"]


def _sentence(found: StyleEffect) -> str:
    """What happens to decisions over all images, and what of it goes with the group."""
    what = f", {spoken(found.target)}" if found.target else ""
    who = f"{found.attribute} ({found.classifier}{what})"
    if found.state == "untrusted":
        return f"{who}: not to be read, since {found.reason}."
    if found.state != "adequate":
        return f"{who}: nothing can be said, {found.reason}."
    across = in_words(found.value, found.low, found.high)
    said = f"{who}: with the style of another group a share of {across} of the decisions flips"
    if np.isnan(found.excess):
        return f"{said}; there is no control to compare it with."
    said += f", with one of the same group {number(found.control)}"
    beyond = in_words(found.excess, found.excess_low, found.excess_high)
    return f"{said}. {_verdict(found)}: the difference is {beyond}."


def _verdict(found: StyleEffect) -> str:
    if found.excess_low > 0:
        return "More flips across groups than within them"
    if found.excess_high < 0:
        return "Fewer flip across groups than within them"
    return "That flips go with the group was not shown"


def _pictures(pictures: Sequence[Picture]) -> Iterator[Markup]:
    for each in pictures:
        yield Markup(
            '<figure class="scroll" tabindex="0" role="group" aria-label="Picture">'
            '<img src="data:image/png;base64,{}" alt="{}"><figcaption>{}</figcaption></figure>'
        ).format(each.png, each.alt, each.caption)


def _pairs(audit: Audit, found: Sequence[StyleEffect]) -> Iterator[Markup]:
    """Each ordered pair of groups: drawn for the first classifier and target, and listed."""
    if not found:
        return
    yield Markup("<h3>From group to group</h3>")
    first = (found[0].classifier, found[0].target)
    mine = [each for each in found if (each.classifier, each.target) == first]
    flips = [each for each in mine if each.measure == "flip_rate"]
    if not np.isnan([each.value for each in flips]).all():
        yield paragraph(
            "Images of the group on the left, styles of that on the right of the arrow; the "
            f"upright tick is the control. Classifier: {first[0]}"
            f"{f', {spoken(first[1])}' if first[1] else ''}."
        )
        if len(flips) > _DRAWN:
            yield paragraph(f"Drawn are the first {_DRAWN} of {len(flips)} pairs.")
        title = "Share of decisions that flip, by group of the image and of the style"
        yield swap_plot(flips[:_DRAWN], title)
    ranked = [e for e in flips if e.state == "adequate" and not np.isnan(e.excess)]
    if ranked:
        most = max(ranked, key=lambda each: each.excess)
        ends = in_words(most.excess, most.excess_low, most.excess_high)
        yield paragraph(
            f"Most flips beyond the control: images of {most.group} with a style of "
            f"{most.donor}, {ends}. It is the highest of {len(ranked)} pairs, so some of it "
            "may be chance."
        )
    shown = _effects_table(audit, mine)
    many = len(flips) > _PAIRS
    yield folded(f"All {len(flips)} pairs of groups", shown) if many else shown
    if len(mine) < len(found):
        yield paragraph(
            "Pairs of the other classifiers and targets are in tables/counterfactuals.csv."
        )


def _effects_table(audit: Audit, found: Sequence[StyleEffect]) -> Markup:
    """One row a classifier, target and pair of groups; measures across."""
    cells: dict[_Key, dict[str, StyleEffect]] = {}
    for each in found:
        key = (each.group, each.donor, each.attribute, each.target, each.classifier)
        cells.setdefault(key, {})[each.measure] = each
    targets = any(each.target for each in found)
    rows = []
    for (group, donor, attribute, target, classifier), one in cells.items():
        flips = one["flip_rate"]
        what = attribute if group == ALL else f"{group} ← {donor}"
        changes = (_moved(one[name]) for name in ("mean_change", "mean_absolute_change"))
        rows.append(
            (
                what,
                classifier,
                *([spoken(target)] if targets else []),
                with_interval(flips.value, flips.low, flips.high),
                number(flips.control),
                with_interval(flips.excess, flips.excess_low, flips.excess_high),
                *changes,
                _rests_on(flips),
            )
        )
    about = [question(audit)] if targets else []
    head = [
        "Images ← style" if found and found[0].group != ALL else "Attribute",
        "Classifier",
        *about,
        "Decisions that flip",
        "Within the group",
        "Difference",
        "Mean change of the score",
        "Mean size of the change",
        "Rests on",
    ]
    return table(head, rows)


def _moved(found: StyleEffect) -> Markup:
    shown = with_interval(found.value, found.low, found.high)
    if np.isnan(found.control):
        return shown
    return shown + Markup("<br><small>within {}</small>").format(number(found.control))


def _rests_on(found: StyleEffect) -> str:
    if found.state == "adequate":
        note = f"; {found.reason}" if found.reason else ""
        return f"● {count(found.patients)} patients, {count(found.donors)} donors{note}"
    if found.state == "untrusted":
        return "✗ not trusted, see below"
    sign = "○ insufficient" if found.state == "insufficient" else "undefined"
    return f"{sign}: {found.reason}"


def _guards_table(audit: Audit, found: Sequence[Reconstruction]) -> Markup:
    targets = any(each.target for each in found)
    rows = [
        (
            each.group,
            each.classifier,
            *([spoken(each.target)] if targets else []),
            with_interval(each.flip_rate, each.low, each.high),
            number(each.correlation),
            UNDEFINED if np.isnan(each.psnr) else f"{each.psnr:.1f} dB",
            _trust(each),
        )
        for each in found
    ]
    about = [question(audit)] if targets else []
    head = ["Images", "Classifier", *about, "Decisions that flip", "Correlation of the scores"]
    return table([*head, "Signal to noise", "Trusted"], rows)


def _trust(found: Reconstruction) -> str:
    note = f": {found.reason}" if found.reason else ""
    return f"{'✓ yes' if found.trusted else '✗ no'}{note}"
