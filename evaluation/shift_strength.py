"""How strong a shift is: the label and an attribute in training and in test, in numbers."""

import numpy as np
import pandas as pd

from evaluation.association import cramers_v, mutual_information, phi
from evaluation.errors import unknown_name
from evaluation.groups import MISSING
from evaluation.metric import Array
from evaluation.settings import Number, Settings

#: Parts of a split that are described.
PARTS = ("train", "validation", "test")


class CategoryStrength(Settings):
    """One category of an attribute in one part of a split.

    Attributes:
        category: Its name.
        samples: Samples in it.
        patients: Patients with such a sample.
        share: Of the samples whose category is known; NaN if there is none.
        classes: Share of each class in it, in the order of the class index; of two the second
            is the prevalence. NaN if it has no sample.
        correlation: Phi coefficient between being of each class and being in this category, in
            [-1, 1]; NaN if one of them never changes.
    """

    category: str
    samples: int
    patients: int
    share: Number
    classes: tuple[Number, ...]
    correlation: tuple[Number, ...]


class PartStrength(Settings):
    """Label and attribute in one part of a split.

    Attributes:
        part: ``train``, ``validation`` or ``test``.
        samples: Samples in it.
        patients: Patients in it.
        missing: Samples whose attribute is not known. They do not enter what follows, except
            ``classes``.
        classes: Share of each class, in the order of the class index; NaN without samples.
        categories: Every category that occurs in the table, in alphabetical order.
        cramers_v: Association of label and attribute, in [0, 1].
        mutual_information: The same in bits, see
            :func:`evaluation.association.mutual_information`.
        reason: Why the two are NaN, if they are.
    """

    part: str
    samples: int
    patients: int
    missing: int
    classes: tuple[Number, ...]
    categories: tuple[CategoryStrength, ...]
    cramers_v: Number
    mutual_information: Number
    reason: str = ""


class ShiftStrength(Settings):
    """How much label and attribute differ between training and test.

    Attributes:
        attribute: Its name.
        parts: Training, validation and test.
        distance: Total variation distance between training and test: the share of the samples
            that would have to change class or category to make them alike, in [0, 1].
        unseen: Share of the test samples whose class and category never occur together in
            training, in [0, 1].
        reason: Why these two are NaN: training or test is empty.
    """

    attribute: str
    parts: tuple[PartStrength, ...]
    distance: Number
    unseen: Number
    reason: str = ""

    def part(self, name: str) -> PartStrength:
        """One part by its name."""
        return next(each for each in self.parts if each.part == name)


def strength(table: pd.DataFrame, split: pd.Series, attribute: str) -> ShiftStrength:
    """Describe what a split does to the label and one attribute.

    Args:
        table: Indexed by sample, with ``patient``, ``label`` (class index) and ``attribute``.
        split: ``train``, ``validation``, ``test`` or ``unused`` of each sample, in any order.
        attribute: Column of the table; ``(missing)`` or NaN where it is not known.

    Returns:
        Counts, shares, and association. Nothing is estimated: the numbers describe these very
        samples.

    Raises:
        InputError: The table has no such attribute.

    References:
        Yang, Zhang, Katabi and Ghassemi (2023), *Change is hard: a closer look at subpopulation
        shift*, arXiv:2302.12254, who name the kinds of shift by the same quantities.
    """
    if attribute not in table:
        attributes = set(table.columns) - {"patient", "label"}
        raise unknown_name("attribute", attribute, attributes, "split")
    value = table[attribute].astype(object).fillna(MISSING).astype(str)
    data = table[["patient", "label"]].assign(value=value, part=split.reindex(table.index))
    categories = sorted(set(value) - {MISSING})
    classes = range(int(table["label"].max()) + 1 if len(table) else 0)
    members = {part: data[data["part"] == part] for part in PARTS}
    counts = {part: _counts(rows, classes, categories) for part, rows in members.items()}
    parts = tuple(_part(part, members[part], counts[part], categories) for part in PARTS)
    train, test = counts["train"], counts["test"]
    empty = [part for part in ("train", "test") if counts[part].sum() == 0]
    if empty:
        nan = float("nan")
        reason = f"no {' and no '.join(empty)} samples with a known category"
        return ShiftStrength(
            attribute=attribute, parts=parts, distance=nan, unseen=nan, reason=reason
        )
    return ShiftStrength(
        attribute=attribute,
        parts=parts,
        distance=float(np.abs(train / train.sum() - test / test.sum()).sum() / 2),
        unseen=float(test[train == 0].sum() / test.sum()),
    )


def _counts(rows: pd.DataFrame, classes: range, categories: list[str]) -> Array:
    """Samples by class and category, ``[class, category]``."""
    counts = pd.crosstab(rows["label"], rows["value"])
    return counts.reindex(index=classes, columns=categories, fill_value=0).to_numpy(float)


def _part(part: str, rows: pd.DataFrame, counts: Array, categories: list[str]) -> PartStrength:
    filled = ((counts.sum(1) > 0).sum(), (counts.sum(0) > 0).sum())
    words = ("class", "category")
    lacking = [word for word, number in zip(words, filled, strict=True) if number < 2]
    label = np.bincount(rows["label"], minlength=len(counts))
    return PartStrength(
        part=part,
        samples=len(rows),
        patients=rows["patient"].nunique(),
        missing=int((rows["value"] == MISSING).sum()),
        classes=_shares(label),
        categories=tuple(
            _category(name, rows, counts, column) for column, name in enumerate(categories)
        ),
        cramers_v=cramers_v(counts),
        mutual_information=mutual_information(counts),
        reason=f"fewer than two {' and '.join(lacking)} values" if lacking else "",
    )


def _category(name: str, rows: pd.DataFrame, counts: Array, column: int) -> CategoryStrength:
    inside = counts[:, column]
    of_class, total = counts.sum(1), counts.sum()
    # [class, of it or not, in the category or not]
    rest = total - inside.sum() - of_class + inside
    tables = np.stack([inside, of_class - inside, inside.sum() - inside, rest], axis=-1)
    return CategoryStrength(
        category=name,
        samples=int(inside.sum()),
        patients=rows.loc[rows["value"] == name, "patient"].nunique(),
        share=float(inside.sum() / total) if total else float("nan"),
        classes=_shares(inside),
        correlation=tuple(phi(tables.reshape(-1, 2, 2)).tolist()),
    )


def _shares(counts: Array) -> tuple[float, ...]:
    total = counts.sum()
    return tuple((counts / total).tolist()) if total else (float("nan"),) * len(counts)
