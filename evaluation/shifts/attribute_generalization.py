"""Attribute generalization."""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from evaluation.errors import Fault, InputError
from evaluation.shift import Shift, held_out


class AttributeGeneralization(Shift):
    """Some categories of an attribute are never trained on; the test set holds them.

    No patient with a sample of an unseen category is trained or validated on. Such a patient's
    samples of seen categories are unused, or test samples if ``seen_test`` is above 0, so that
    at 0 the test set holds unseen categories only. Samples without the attribute are unused.

    Attributes:
        categories: The unseen categories.
        unseen: Number of unseen categories instead, at least 1; they are drawn.
        seen_test: Share of the patients without an unseen category that are held out for the
            test set as well, in [0, 1), so that the unseen categories can be compared with seen
            ones.

    References:
        Yang, Zhang, Katabi and Ghassemi (2023), *Change is hard: a closer look at subpopulation
        shift*, arXiv:2302.12254, section 3.
    """

    attribute: str
    categories: tuple[str, ...] = ()
    unseen: int | None = Field(default=None, ge=1)
    seen_test: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.unseen is None) == (not self.categories):
            raise ValueError("Give either 'categories' or 'unseen'")
        return self

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        value = self.categories_of(table)
        unseen = value.isin(self.named(value, self.categories) or self._drawn(value, generator))
        whole = self.seen_test > 0
        return held_out(table, unseen, self, self.seen_test, generator, whole=whole)

    def _drawn(self, value: pd.Series, generator: np.random.Generator) -> list[str]:
        categories = sorted(set(value))
        count = self.unseen or 0
        if count >= len(categories):
            found = f"unseen={count} leaves no category of '{self.attribute}' for training"
            remedy = (
                f"It has {len(categories)}: {', '.join(categories)}. Set unseen below that."
            )
            raise InputError(Fault(self.where, found, remedy))
        drawn = generator.choice(len(categories), count, replace=False)
        return [categories[i] for i in drawn]
