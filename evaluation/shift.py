"""What a shift is: a rule that splits a cohort so that training and test differ."""

from abc import ABC, abstractmethod

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.errors import Fault, InputError
from evaluation.registry import Registry
from evaluation.settings import Settings


class Shift(Settings, ABC):
    """A rule that places every sample in train, validation, test or unused.

    Attributes:
        attribute: The attribute that shifts; empty if none does.
        validation: Share of the training patients that are kept for validation, in (0, 1).
    """

    attribute: str = ""
    validation: float = Field(default=0.15, gt=0, lt=1)

    @abstractmethod
    def split(self, table: pd.DataFrame, generator: np.random.Generator) -> pd.Series:
        """Place every sample.

        Args:
            table: Indexed by sample, with ``patient``, ``label`` and a column of groups for
                each attribute.
            generator: Source of all chance. The order of the rows does not matter.

        Returns:
            ``train``, ``validation``, ``test`` or ``unused`` for each sample, indexed like the
            table. No patient is in two of the first three.

        Raises:
            InputError: The rule cannot be applied to this table.
        """


SHIFTS: Registry[type[Shift]] = Registry("evaluation.shifts", "shift", Shift, classes=True)


def drawn_patients(
    table: pd.DataFrame, share: float, generator: np.random.Generator
) -> "set[str]":
    """A share of the patients, drawn within each label so that every class is represented.

    Args:
        table: With ``patient`` and ``label``. A patient counts under their largest label.
        share: In [0, 1]; at least one patient of each label that has two or more, unless 0.
        generator: Source of chance.

    Returns:
        The drawn patients.
    """
    drawn: set[str] = set()
    label = table.groupby("patient")["label"].max().sort_index()
    for _, patients in label.groupby(label):
        count = round(share * len(patients))
        if share > 0 and len(patients) > 1:
            count = min(max(count, 1), len(patients) - 1)
        drawn |= set(generator.permutation(patients.index.to_numpy())[:count])
    return drawn


def check_split(split: pd.Series, label: pd.Series, where: str) -> pd.Series:
    """Return the split if training and validation hold every class, and test is not empty.

    Raises:
        InputError: They do not.
    """
    faults = []
    for part in ("train", "validation"):
        for absent in sorted(set(label) - set(label[split == part])):
            found = f"leaves no sample of class {absent} for the {part} rows"
            faults.append(Fault(where, found, "Choose another seed, or a weaker shift."))
    if not (split == "test").any():
        faults.append(
            Fault(where, "leaves no test rows", "Choose another seed, or raise test.")
        )
    if faults:
        raise InputError(*faults)
    return split
