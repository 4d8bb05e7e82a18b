"""Strata: the samples within which the groups of an attribute can be compared."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.groups import MISSING
from evaluation.metric import Array

#: A category with fewer patients in a stratum takes no part in it.
MINIMUM_PATIENTS = 20

TOO_FEW = f"fewer than two categories with {MINIMUM_PATIENTS} patients each"
TOO_FEW_GIVEN_LABEL = f"no label has two categories with {MINIMUM_PATIENTS} patients each"


@dataclass(frozen=True)
class Stratum:
    """Samples of one label (or of all), with the groups they fall into.

    Attributes:
        rows: ``[m]`` increasing positions of the samples.
        code: ``[m]`` category of each, 0 ... K - 1.
        patient: ``[m]`` number of the patient of each, 0 ... P - 1.
        categories: Names of the K >= 2 categories.
    """

    rows: Array
    code: Array
    patient: Array
    categories: tuple[str, ...]

    @property
    def truth(self) -> Array:
        """One-hot categories, ``[m, K]`` bool."""
        membership: Array = self.code[:, None] == np.arange(len(self.categories))
        return membership

    def one_per_patient(self, generator: np.random.Generator) -> "Stratum":
        """One sample of each patient, drawn, so that all samples are independent.

        A category whose patients were all drawn with another one has no sample left.
        """
        kept = np.sort(first_in_random_order(self.patient, generator))
        patient = np.arange(len(kept))
        return Stratum(self.rows[kept], self.code[kept], patient, self.categories)


def first_in_random_order(patient: Array, generator: np.random.Generator) -> Array:
    """The position of one sample of each patient, in the order of the patients.

    >>> first_in_random_order(np.array(["b", "a"]), np.random.default_rng(0)).tolist()
    [1, 0]
    """
    order = generator.permutation(len(patient))
    first: Array = order[np.unique(patient[order], return_index=True)[1]]
    return first


def strata(values: pd.Categorical, given: Array | None, patient: Array) -> list[Stratum]:
    """Where the groups of an attribute can be compared.

    Args:
        values: ``[n]`` category of each sample; samples where it is missing are left out.
        given: ``[n]`` label, any number of classes; samples where it is NaN are left out. None:
            all samples make one stratum.
        patient: ``[n]``.

    Returns:
        A stratum for each label that has two or more categories with 20 patients each. Smaller
        categories are left out of it.

    >>> values = pd.Categorical(["f"] * 20 + ["m"] * 20 + ["x"])
    >>> [found] = strata(values, None, np.arange(41))
    >>> found.categories, len(found.rows)
    (('f', 'm'), 40)
    """
    known = np.asarray(values != MISSING) & (values.codes >= 0)
    if given is None:
        parts = [np.flatnonzero(known)]
    else:
        labels = np.unique(given[~pd.isna(given)])
        parts = [np.flatnonzero(known & (given == label)) for label in labels]
    found = [_stratum(rows, values, patient) for rows in parts]
    return [stratum for stratum in found if len(stratum.categories) >= 2]


def _stratum(rows: Array, values: pd.Categorical, patient: Array) -> Stratum:
    code = values.codes[rows]
    large = [
        k
        for k in np.unique(code)
        if len(np.unique(patient[rows[code == k]])) >= MINIMUM_PATIENTS
    ]
    rows = rows[np.isin(code, large)]
    number = np.unique(patient[rows], return_inverse=True)[1]
    place = np.searchsorted(large, values.codes[rows])
    return Stratum(rows, place, number, tuple(str(values.categories[k]) for k in large))
