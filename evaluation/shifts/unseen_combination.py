"""Unseen combinations."""

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.errors import Fault, InputError
from evaluation.shift import Shift, held_out


class UnseenCombination(Shift):
    """Every class is trained on some categories of an attribute and tested on the others.

    For each class, ``seen`` of the attribute's categories are drawn for training; all samples
    of the other combinations are test samples. Where the classes draw different categories, the
    association between label and attribute that training shows is turned around at test time;
    where they draw the same ones, the test set holds new categories without an association. A
    patient with a sample in an unseen combination is a test patient, and is not trained on.
    Samples without the attribute are unused.

    Attributes:
        seen: Categories of the attribute that each class is trained on, at least 1 and fewer
            than there are.
        seen_test: Share of the remaining patients that are held out for the test set as well,
            in [0, 1). At 0, the protocol of the source, a group may hold one class only, and
            then it has no AUROC of its own.

    References:
        Sun, Goldstein and Engelhard (2025), *CLEAR*, arXiv:2507.18794, section 4.
    """

    attribute: str
    seen: int = Field(ge=1)
    seen_test: float = Field(default=0.0, ge=0, lt=1)

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        value = self.categories_of(table)
        categories = sorted(set(value))
        if self.seen >= len(categories):
            found = (
                f"seen={self.seen} leaves no category of '{self.attribute}' for the test set"
            )
            remedy = f"It has {len(categories)}: {', '.join(categories)}. Set seen below that."
            raise InputError(Fault(self.where, found, remedy))
        label = table["label"].loc[value.index]
        unseen = ~self._is_seen(label, value, categories, generator)
        whole = self.seen_test > 0
        return held_out(table, unseen, self, self.seen_test, generator, whole=whole)

    def _is_seen(
        self,
        label: pd.Series,
        value: pd.Series,
        categories: list[str],
        generator: np.random.Generator,
    ) -> pd.Series:
        seen = pd.Series(False, index=label.index)
        for each in sorted(set(label)):
            drawn = generator.choice(len(categories), self.seen, replace=False)
            seen |= (label == each) & value.isin([categories[i] for i in drawn])
        return seen
