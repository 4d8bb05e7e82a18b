"""Class imbalance."""

from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from evaluation.errors import Fault, InputError
from evaluation.groups import MISSING
from evaluation.shift import Shift, check_split, parted
from evaluation.thinning import surplus


class ClassImbalance(Shift):
    """Training has another prevalence than the cohort.

    Patients are drawn at random for test and validation, within each class; then samples are
    left out of training and validation until each class has its share, to half a sample. If an
    attribute is named, its categories keep their shares within each class to one sample, and
    samples without it are a category like any other. If none is named, all attributes keep
    theirs on average.

    Attributes:
        attribute: Attribute whose mix within each class is kept; may be left out.
        prevalence: Share of class 1 in training and validation, in (0, 1), for a label of two
            classes.
        shares: Share of each class instead, in the order of the class index, each > 0, with sum
            1; for a label of any number of classes.
        test_set: ``natural`` leaves out no test sample: training is what is distorted, the test
            set is what the model will meet, and no evidence on the rarer class is lost.
            ``balanced``: as many test samples of each class.
        test: Share of the patients in the test set, in (0, 1), before samples are left out.

    References:
        Yang, Zhang, Katabi and Ghassemi (2023), *Change is hard: a closer look at subpopulation
        shift*, arXiv:2302.12254, section 3.
    """

    prevalence: float | None = Field(default=None, gt=0, lt=1)
    shares: tuple[float, ...] = ()
    test_set: Literal["balanced", "natural"] = "natural"
    test: float = Field(default=0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.prevalence is None) == (not self.shares):
            raise ValueError("Give either 'prevalence' or 'shares'")
        if self.shares and not (
            min(self.shares) > 0 and abs(sum(self.shares) - 1) < _SUM_TOLERANCE
        ):
            raise ValueError(f"'shares' must be positive with sum 1, got {list(self.shares)}")
        return self

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        wanted = self._shares(table["label"])
        split = parted(table, self.test, self.validation, generator)
        placed = split.copy()
        kept = table[["patient", "label"]].assign(value=self._value(table))
        cell = "class " + table["label"].astype(str)
        for part in ("train", "validation"):
            where = f"{self.where}, {part} rows"
            split[surplus(kept[placed == part], cell, wanted, generator, where)] = "unused"
        if self.test_set == "balanced":
            even = dict.fromkeys(wanted, 1 / len(wanted))
            where = f"{self.where}, test rows"
            split[surplus(kept[placed == "test"], cell, even, generator, where)] = "unused"
        return check_split(split, table["label"], self)

    def _value(self, table: pd.DataFrame) -> "pd.Series | str":
        if not self.attribute:
            return ""
        return self.column_of(table).astype(object).fillna(MISSING).astype(str)

    def _shares(self, label: pd.Series) -> dict[str, float]:
        shares = self.shares or (1 - float(self.prevalence or 0), float(self.prevalence or 0))
        classes = sorted(set(label))
        if classes != list(range(len(shares))):
            named = ", ".join(map(str, classes))
            found = f"shares of {len(shares)} classes are given; the label has {named}"
            remedy = "Give a share for each class, from 0 on, that the cohort has."
            raise InputError(Fault(self.where, found, remedy))
        return {f"class {index}": share for index, share in enumerate(shares)}


_SUM_TOLERANCE = 1e-9
