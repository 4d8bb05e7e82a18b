"""Site holdout."""

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.shift import Shift, held_out


class SiteHoldout(Shift):
    """Some sites are the test set and the others train: external validation from one cohort.

    Other than under ``attribute_generalization`` the sites are named and never drawn, because
    an external validation is declared beforehand, and a patient who was seen at a held-out site
    is a test patient with all images, wherever they were taken. Samples without a site are
    unused, for they may be of any.

    Attributes:
        attribute: The attribute that names the site.
        sites: The held-out sites; name one for leave-one-site-out.
        seen_test: Share of the patients of the other sites who are held out for the test set as
            well, in [0, 1): the internal validation beside the external one.

    References:
        Zech et al. (2018), *Variable generalization performance of a deep learning model to
        detect pneumonia in chest radiographs*, PLOS Medicine 15(11): e1002683.
    """

    attribute: str = "site"
    sites: tuple[str, ...] = Field(min_length=1)
    seen_test: float = Field(default=0.0, ge=0, lt=1)

    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample, see :meth:`evaluation.shift.Shift.split`."""
        value = self.categories_of(table)
        outside = value.isin(self.named(value, self.sites))
        return held_out(table, outside, self, self.seen_test, generator, whole=True)
