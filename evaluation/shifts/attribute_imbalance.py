"""Attribute imbalance."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.shift import Shift, check_split, parted
from evaluation.thinning import surplus


class AttributeImbalance(Shift):
    """Training holds one category of an attribute in a stated share.

    Patients are drawn at random for test and validation, within each class and category; then
    samples are left out of training and validation until the category has its share, to half a
    sample. The other categories keep their sizes relative to each other, and every category
    keeps its prevalence, to one sample a class. Samples without the attribute are unused.

    Attributes:
        share: Share of the training and validation samples that are in the category, in (0, 1).
        category: The category. May be left out where there are two: the first in alphabetical
            order.
        test_set: ``balanced``: as many test samples of each category, so that the shift is the
            same whatever the cohort's own mix, and a number over all test samples counts each
            category alike. ``natural`` leaves out none, which is more evidence on the frequent
            categories.
        test: Share of the patients in the test set, in (0, 1), before samples are left out.

    References:
        Yang, Zhang, Katabi and Ghassemi (2023), *Change is hard: a closer look at subpopulation
        shift*, arXiv:2302.12254, section 3.
    """

    attribute: str
    share: float = Field(gt=0, lt=1)
    category: str | None = None
    test_set: Literal["balanced", "natural"] = "balanced"
    test: float = Field(default=0.2, gt=0, lt=1)

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        value = self.categories_of(table)
        category = self.chosen_category(value, self.category)
        known = table.loc[value.index, ["patient", "label"]].assign(value=value)
        known["stratum"] = value + " " + known["label"].astype(str)
        placed = parted(known, self.test, self.validation, generator, within="stratum")
        split = placed.reindex(table.index, fill_value="unused")
        others = f"other categories than {category}"
        tied = value.where(value == category, others)
        shares = {category: self.share, others: 1 - self.share}
        for part in ("train", "validation"):
            where = f"{self.where}, {part} rows"
            split[surplus(known[placed == part], tied, shares, generator, where)] = "unused"
        if self.test_set == "balanced":
            even = dict.fromkeys(sorted(set(value)), 1 / value.nunique())
            where = f"{self.where}, test rows"
            split[surplus(known[placed == "test"], value, even, generator, where)] = "unused"
        return check_split(split, table["label"], self)
