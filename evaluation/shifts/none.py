"""No shift."""

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.shift import Shift, check_split, parted


class Unshifted(Shift):
    """A random split by patient: training and test come from one population.

    Attributes:
        test: Share of the patients in the test set, in (0, 1).
    """

    test: float = Field(default=0.2, gt=0, lt=1)

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        split = parted(table, self.test, self.validation, generator)
        return check_split(split, table["label"], self)
