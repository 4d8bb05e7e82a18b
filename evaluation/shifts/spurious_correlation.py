"""Spurious correlation."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from evaluation.association import nearest_counts, nearest_table, phi
from evaluation.errors import Fault, InputError
from evaluation.metric import Array
from evaluation.shift import Shift, check_split, parted
from evaluation.thinning import beyond

#: A part with fewer samples than this has no correlation worth the name.
LEAST_SAMPLES = 20

#: Largest distance between the asked and the reached correlation.
TOLERANCE = 0.01


class SpuriousCorrelation(Shift):
    """Training ties the label to one category of an attribute at a stated strength.

    The strength is the phi coefficient: the Pearson correlation of "is of the positive class"
    and "is in the category". Patients are drawn at random for test and validation, within each
    class and category; then samples are left out of each part until its correlation is met.
    The shares of the class and of the category stay as they are where that is possible at all;
    else both move by the same, smallest step in log-odds, see
    :func:`evaluation.association.nearest_table`, and one combination of class and category is
    then absent. As many samples as possible are kept, evenly over the patients.

    The reached correlation is the nearest among whole numbers near each cell's ideal size, see
    :func:`evaluation.association.nearest_counts`. Over random cohorts it is right to four
    decimals with 1,000 samples kept or more, and within 0.001 in 95 % of them with 100; an
    error above 0.01, or fewer than 20 samples left, is refused. Validation has the proportions
    of training; where it is small its correlation is as near as its samples allow. Samples
    without the attribute are unused.

    Attributes:
        correlation: Of the training and validation rows, in (-1, 1). Negative: the positive
            class is rarer in the category.
        test_correlation: Of the test rows, in (-1, 1), or ``natural`` to leave out none. The
            default is 0: every category then has the same prevalence, so nothing can be gained
            by reading the attribute, and a gap between categories comes from the model and not
            from the mix of cases. The negative of ``correlation`` turns the association round,
            which is harsher and needs samples of the rarest cells.
        category: Category that the label is tied to. May be left out where there are two: the
            first in alphabetical order.
        positive: Index of the class that is tied to it. May be left out where there are two:
            the second. Other classes keep their mix.
        test: Share of the patients in the test set, in (0, 1), before samples are left out.

    References:
        Yang, Zhang, Katabi and Ghassemi (2023), *Change is hard: a closer look at subpopulation
        shift*, arXiv:2302.12254, section 3.
    """

    attribute: str
    correlation: float = Field(gt=-1, lt=1)
    test_correlation: float | Literal["natural"] = 0.0
    category: str | None = None
    positive: int | None = Field(default=None, ge=0)
    test: float = Field(default=0.2, gt=0, lt=1)

    @field_validator("test_correlation", mode="before")
    @classmethod
    def _number_or_natural(cls, given: Any) -> Any:
        if given == "natural" or (isinstance(given, int | float) and -1 < given < 1):
            return given
        raise ValueError("Give a number between -1 and 1, or 'natural'")

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        value = self.categories_of(table)
        label = table["label"].loc[value.index]
        other = value != self.chosen_category(value, self.category)
        known = table.loc[value.index, ["patient", "label"]].assign(
            value=value,
            cell=2 * (label != self._positive_class(label)) + other,
            stratum=2 * label + other,
        )
        placed = parted(known, self.test, self.validation, generator, within="stratum")
        split = placed.reindex(table.index, fill_value="unused")
        for part, sizes in self._sizes(known["cell"], placed).items():
            members = known[placed == part]
            kept = {str(cell): int(size) for cell, size in enumerate(sizes.ravel())}
            split[beyond(members, members["cell"].astype(str), kept, generator)] = "unused"
        return check_split(split, table["label"], self)

    def _positive_class(self, label: pd.Series) -> int:
        classes = sorted(set(label))
        named = f"It has {', '.join(map(str, classes))}."
        if len(classes) < 2:
            found = f"every sample with '{self.attribute}' is of class {classes[0]}"
            remedy = "A correlation needs two classes; take another cohort or shift."
        elif self.positive is None and len(classes) > 2:
            found = f"'positive' is missing: the label has {len(classes)} classes"
            remedy = f"Name the class that is tied to the category. {named}"
        elif self.positive is not None and self.positive not in classes:
            found, remedy = f"positive={self.positive} is no class of the label", named
        else:
            return int(classes[1]) if self.positive is None else self.positive
        raise InputError(Fault(self.where, found, remedy))

    def _sizes(self, cell: pd.Series, placed: pd.Series) -> dict[str, Array]:
        """Samples to keep of each cell, ``[2, 2]`` a part that is not natural."""
        there = {
            part: np.bincount(cell[placed == part], minlength=4).reshape(2, 2)
            for part in ("train", "validation", "test")
        }
        asked = {"train": self.correlation, "test": self.test_correlation}
        sizes: dict[str, Array] = {}
        faults = []
        for part, correlation in asked.items():
            if correlation == "natural":
                continue
            reached = _reached(there[part], correlation)
            if reached is None:
                faults.append(self._infeasible(part, correlation, there[part]))
            else:
                sizes[part] = reached
        if faults:
            raise InputError(*faults)
        shares = sizes["train"] / sizes["train"].sum()
        sizes["validation"] = nearest_counts(there["validation"], shares, self.correlation)
        return sizes

    def _infeasible(self, part: str, asked: float, there: Array) -> Fault:
        name = "correlation" if part == "train" else "test_correlation"
        (tied, positive), (category, neither) = there.tolist()
        found = (
            f"{name}={asked:g} cannot be reached in the {part} rows: of the positive samples "
            f"{tied} are in the category and {positive} are not, of the negative ones "
            f"{category} are and {neither} are not"
        )
        hundredths = sorted(np.arange(-99, 100) / 100, key=lambda each: abs(each - asked))
        for each in hundredths:
            if _reached(there, each) is not None:
                return Fault(self.where, found, f"The strongest towards it is {each:g}.")
        return Fault(self.where, found, "No other can: more patients are needed.")


def _reached(available: Array, correlation: float) -> Array | None:
    """Samples of each cell to keep, ``[2, 2]``; None if the correlation cannot be met."""
    shares = nearest_table(available, correlation)
    if shares is None:
        return None
    counts = nearest_counts(available, shares, correlation)
    if counts.sum() < LEAST_SAMPLES or not abs(phi(counts) - correlation) <= TOLERANCE:
        return None
    return counts
