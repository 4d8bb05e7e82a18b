"""Makes counterfactuals: images with their content and another patient's style, scored."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.counterfactual_table import DECISIONS, ERROR, SCORES
from evaluation.groups import MISSING
from evaluation.reconstruction import CounterfactualSpec
from training.classifier import Classifier
from training.imaging import Pixels
from training.predictor import Predictor

Rows = NDArray[np.intp]

# Images that are drawn and looked at between two reports.
_BLOCK = 256


class Judge(NamedTuple):
    """A classifier and how it decides.

    Attributes:
        classifier: Gives the probabilities.
        threshold: Frozen score from which two classes are decided positive; of more classes the
            most probable is decided.
    """

    classifier: Classifier
    threshold: float


def drawn_rows(patient: pd.Series, most: int, generator: np.random.Generator) -> Rows:
    """All rows of so many drawn patients that there are at most ``most`` of them.

    Args:
        patient: ``[n]``.
        most: >= 1. One patient is drawn even if that one alone has more.
        generator: Of the order in which patients are taken.

    Returns:
        Increasing positions.

    >>> drawn_rows(pd.Series(["a", "a", "b"]), 5, np.random.default_rng(0)).tolist()
    [0, 1, 2]
    """
    names, code = np.unique(patient.to_numpy(str), return_inverse=True)
    order = generator.permutation(len(names))
    held = np.bincount(code)[order].cumsum()
    taken = order[: max(int(np.searchsorted(held, most, side="right")), 1)]
    return np.flatnonzero(np.isin(code, taken))


def pairs(
    table: pd.DataFrame,
    values: Mapping[str, pd.Categorical],
    spec: CounterfactualSpec,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Partners of each sample: of other groups, and of its own group as a control.

    A partner is of another patient and of the same label, so that neither the patient nor the
    label goes with the style. It is drawn anew for each sample and group.

    Args:
        table: ``[n]``, with ``patient`` and ``label``.
        values: Group of each sample, ``[n]``, by attribute. Samples whose group is missing take
            no part in it.
        spec: Says how many partners.
        generator: Of the draws.

    Returns:
        ``row``, ``partner_row`` (positions in the table), ``attribute``, ``from`` and ``to``.
        Without a pair where there is no such partner.
    """
    patient, label = table["patient"].to_numpy(str), table["label"].to_numpy()
    found = []
    for attribute, column in values.items():
        group = np.asarray(column, str)
        names = [name for name in map(str, column.categories) if name in set(group) - {MISSING}]
        cells = {
            (name, k): np.flatnonzero((group == name) & (label == k))
            for name in names
            for k in np.unique(label)
        }
        for row in np.flatnonzero(group != MISSING):
            others = [name for name in names if name != group[row]]
            if spec.partners == "one" and others:
                others = [others[generator.integers(len(others))]]
            for donor in (*others, group[row]):
                cell = cells[donor, label[row]]
                cell = cell[patient[cell] != patient[row]]
                if len(cell):
                    partner = cell[generator.integers(len(cell))]
                    found.append((row, partner, attribute, group[row], donor))
    names = ["row", "partner_row", "attribute", "from", "to"]
    return pd.DataFrame(found, columns=names).astype({"row": int, "partner_row": int})


def counterfactuals(
    predictor: Predictor,
    judges: Sequence[Judge],
    images: Callable[[Rows], Pixels],
    table: pd.DataFrame,
    swaps: pd.DataFrame,
    on_progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Score images, their reconstructions, and the same content with a partner's style.

    Args:
        predictor: Encodes and decodes.
        judges: Who looks at the images; each at the same pixels.
        images: Gives the pixels ``[m, channel, *space]`` of some positions of the table.
        table: ``[n]``, with ``sample`` and ``patient``.
        swaps: What to exchange, see :func:`pairs`.
        on_progress: Called with the images drawn and their number.

    Returns:
        Columns of :class:`evaluation.counterfactual_table.Counterfactuals`: for two classes one
        row a swap and judge, for more one a swap, judge and class.
    """
    classes = predictor.classes
    used = np.unique(swaps[["row", "partner_row"]].to_numpy())
    total, tell = len(used) + len(swaps), on_progress or (lambda done, total: None)
    content, style, error = [], [], []
    before: list[list[NDArray[np.float64]]] = [[] for _ in judges]
    redrawn: list[list[NDArray[np.float64]]] = [[] for _ in judges]
    for start in range(0, len(used), _BLOCK):
        tell(start, total)
        pixels = images(used[start : start + _BLOCK])
        codes = predictor.predict(pixels)
        assert codes.style is not None
        own = predictor.decode(codes.content, codes.style)
        content.append(codes.content)
        style.append(codes.style)
        apart = (pixels.astype(np.float32) - own) / 255
        error.append(np.square(apart).reshape(len(own), -1).mean(axis=1))
        for judge, mine, theirs in zip(judges, before, redrawn, strict=True):
            mine.append(judge.classifier.probability(pixels))
            theirs.append(judge.classifier.probability(own))
    codes_of, styles = np.concatenate(content), np.concatenate(style)
    row, partner = (np.searchsorted(used, swaps[name]) for name in ("row", "partner_row"))
    after: list[list[NDArray[np.float64]]] = [[] for _ in judges]
    for start in range(0, len(swaps), _BLOCK):
        tell(len(used) + start, total)
        here = slice(start, start + _BLOCK)
        swapped = predictor.decode(codes_of[row[here]], styles[partner[here]])
        for judge, scores in zip(judges, after, strict=True):
            scores.append(judge.classifier.probability(swapped))
    named = _named(table, swaps).assign(**{ERROR: np.concatenate(error).astype(float)[row]})
    parts = []
    for judge, *three in zip(judges, before, redrawn, after, strict=True):
        first, second, last = (np.concatenate(each) for each in three)
        scores = [first[row], second[row], last]
        for target, columns in _answers(scores, classes, judge.threshold):
            parts.append(
                named.assign(classifier=judge.classifier.name, target=target, **columns)
            )
    return pd.concat(parts, ignore_index=True)


def _named(table: pd.DataFrame, swaps: pd.DataFrame) -> pd.DataFrame:
    """Who the swaps are about."""
    mine, theirs = (table.iloc[swaps[name]] for name in ("row", "partner_row"))
    return swaps[["attribute", "from", "to"]].assign(
        sample=mine["sample"].to_numpy(),
        patient=mine["patient"].to_numpy(),
        partner=theirs["sample"].to_numpy(),
        partner_patient=theirs["patient"].to_numpy(),
    )


def _answers(
    scores: Sequence[NDArray[np.float64]], classes: Sequence[str], threshold: float
) -> list[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Target and columns: the positive class of two, else each class against the others."""
    two = len(classes) == 2
    found = []
    for k, name in [(1, "")] if two else list(enumerate(classes)):
        columns = {}
        for score, decision, probability in zip(SCORES, DECISIONS, scores, strict=True):
            columns[score] = probability[:, k]
            decided = probability[:, k] >= threshold if two else probability.argmax(1) == k
            columns[decision] = decided.astype(float)
        found.append((name, columns))
    return found
