"""What the dimensions of the embeddings hold."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.latent_map import MOST_POINTS, map_plots
from evaluation.latent_information import LatentInformation
from evaluation.latent_map import LatentMap
from evaluation.latent_modes import LatentMode
from evaluation.section import (
    UNDEFINED,
    Section,
    folded,
    joined,
    number,
    paragraph,
    table,
)

_Q = 0.05
_DRAWN = 4
_INFORMATION = (
    "How much the single dimensions of an embedding tell. Information is the mean over the "
    "dimensions, as a share of all there is to know: 0 tells nothing, 1 everything. gMIG is "
    "the information of content minus that of style: above 0 content knows more, as it should "
    "of the label; below 0 style does, as it should of an attribute. MIG is high if one "
    "dimension alone holds it. The silhouette says how far groups lie apart in the embedding, "
    "from −1 to 1; 0 is not at all. These describe the sample; the probes above are the "
    "evidence."
)
_MODES = (
    "Each embedding varies most along a few directions. For each it was tested whether the "
    "groups of an attribute differ along it, within each label. q is adjusted for the number "
    f"of tests: of all findings with q up to {_Q:g}, at most one in twenty is chance, on "
    "average."
)
_MAPS = (
    "An illustration, not evidence: patients along the two directions in which an embedding "
    "varies most, of many. Groups that overlap here may be told apart by a probe, and marks "
    f"that seem apart may be chance. At most {MOST_POINTS} patients are drawn."
)


class Information(Section):
    """Information, modes and maps of the embeddings."""

    title = "Inside the embeddings"
    place = 52

    def applies(self, audit: Audit) -> bool:
        """Whether there are embeddings."""
        return bool(audit.information or audit.modes or audit.maps)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        parts = []
        if audit.information:
            parts += [paragraph(_INFORMATION), _table(audit.information)]
        if audit.modes:
            parts += [paragraph(_MODES), paragraph(_differing(audit.modes))]
            parts.append(folded(f"All {len(audit.modes)} tests", _mode_table(audit.modes)))
        drawn = [each for each in audit.maps if each.x]
        if drawn:
            parts += [Markup("<h3>Maps</h3>"), paragraph(_MAPS), *_plots(audit, drawn)]
        return joined(parts)


def _table(found: Sequence[LatentInformation]) -> Markup:
    """Attributes down, embeddings within them."""
    head = ["Of", "Embedding", "Information", "gMIG", "MIG", "Silhouette", "Patients"]
    rows = [
        (
            each.attribute,
            each.latent,
            number(each.information),
            _signed(each.gmig) if each.latent == "content" else "",
            number(each.mig),
            _signed(each.silhouette),
            each.reason or f"{each.patients:,}",
        )
        for each in found
    ]
    return table(head, rows)


def _signed(value: float) -> str:
    return number(value).replace("-", "−")


def _differing(modes: Sequence[LatentMode]) -> str:
    """Where groups differ, in words."""
    tested = [mode for mode in modes if not np.isnan(mode.q)]
    if not tested:
        return f"Nothing could be tested: {modes[0].reason}."
    found = sorted((mode for mode in tested if mode.q <= _Q), key=lambda mode: mode.q)
    if not found:
        return f"Along none of {len(tested)} directions were groups found to differ."
    places = "; ".join(
        f"{mode.attribute} along direction {mode.mode} of {mode.latent} (q {mode.q:.2g})"
        for mode in found[:6]
    )
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""
    return f"Along {len(found)} of {len(tested)} directions groups differ: {places}{more}."


def _mode_table(modes: Sequence[LatentMode]) -> Markup:
    head = ["Attribute", "Embedding", "Direction", "Variance", "Difference", "p", "q"]
    rows = [
        (
            mode.attribute,
            mode.latent,
            mode.mode,
            UNDEFINED if np.isnan(mode.explained) else f"{mode.explained:.0%}",
            f"{UNDEFINED} {mode.reason}" if mode.reason else number(mode.statistic),
            number(mode.p),
            number(mode.q),
        )
        for mode in modes
    ]
    note = (
        "The difference is the largest distance between two groups' distributions "
        "(Kolmogorov and Smirnov), or for more groups the share of the variance of ranks that "
        "lies between them (Kruskal and Wallis); p is from permutations among patients, q "
        "after Benjamini and Yekutieli."
    )
    return joined([paragraph(note), table(head, rows)])


def _plots(audit: Audit, maps: Sequence[LatentMap]) -> Iterator[Markup]:
    ordered: dict[str, list[str]] = {}
    for size in audit.cohort:
        if len(size.attributes) == 1:
            ordered.setdefault(size.attributes[0], []).append(size.values[0])
    names = list(maps[0].groups)
    for name in names[: _DRAWN - 1]:
        groups = list(dict.fromkeys(ordered.get(name, [])))
        yield map_plots(maps, name, groups, f"Maps of the embeddings by {name}")
    labels = sorted({value for each in maps for value in each.label})
    if len(labels) > 1:
        yield map_plots(maps, "label", labels, "Maps of the embeddings by label")
    left = len(names) - (_DRAWN - 1)
    if left > 0:
        yield paragraph(f"Maps by {left} more attributes can be drawn from tables/maps.csv.")
