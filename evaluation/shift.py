"""What a shift is: a rule that splits a cohort so that training and test differ."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.groups import MISSING
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
            table: Indexed by sample, with ``patient``, ``label`` (class index) and a column of
                groups for each attribute.
            generator: Source of all chance. The order of the rows does not matter.

        Returns:
            ``train``, ``validation``, ``test`` or ``unused`` for each sample, indexed like the
            table. No patient is in two of the first three.

        Raises:
            InputError: The rule cannot be applied to this table.
        """

    @property
    def where(self) -> str:
        """What messages call it: ``shift`` and the name of its file."""
        return f"shift {type(self).__module__.rpartition('.')[2]}"

    def column_of(self, table: pd.DataFrame) -> pd.Series:
        """The shifted attribute, as it stands in the table.

        Raises:
            InputError: The table has no such attribute.
        """
        attributes = set(table.columns) - {"patient", "label"}
        if self.attribute not in attributes:
            raise unknown_name("attribute", self.attribute, attributes, self.where)
        return table[self.attribute]

    def categories_of(self, table: pd.DataFrame) -> pd.Series:
        """Category of the shifted attribute, of the samples where it is known.

        Raises:
            InputError: The table has no such attribute, or fewer than two of its categories.
        """
        column = self.column_of(table)
        value = column[column.notna()].astype(str)
        value = value[value != MISSING]
        if value.nunique() < 2:
            found = f"attribute '{self.attribute}' has {value.nunique()} known categories"
            remedy = "A shift needs two or more: name another attribute, or take shift none."
            raise InputError(Fault(self.where, found, remedy))
        return value

    def chosen_category(self, value: pd.Series, category: str | None) -> str:
        """The category that a setting names, or the first of two.

        Args:
            value: Categories that occur.
            category: What the setting ``category`` says.

        Raises:
            InputError: It does not occur, or it must be named because there are more than two.
        """
        if category is not None:
            return self.named(value, [category])[0]
        categories = sorted(set(value))
        if len(categories) > 2:
            found = (
                f"'category' is missing: '{self.attribute}' has {len(categories)} categories"
            )
            remedy = f"Name one of them: {', '.join(categories)}."
            raise InputError(Fault(self.where, found, remedy))
        return str(categories[0])

    def named(self, value: pd.Series, categories: Sequence[str]) -> list[str]:
        """The categories that a setting names, if they occur and leave one for training.

        Raises:
            InputError: One does not occur, with the nearest, or all of them are named.
        """
        there = set(value)
        faults = [
            fault
            for each in categories
            if each not in there
            for fault in unknown_name(
                f"category of '{self.attribute}'", each, there, self.where
            ).faults
        ]
        if there <= set(categories):
            found = f"leaves no category of '{self.attribute}' for training"
            faults.append(Fault(self.where, found, f"It has {', '.join(sorted(there))}."))
        if faults:
            raise InputError(*faults)
        return list(categories)


SHIFTS: Registry[type[Shift]] = Registry("evaluation.shifts", "shift", Shift, classes=True)


def drawn_patients(
    table: pd.DataFrame, share: float, generator: np.random.Generator, within: str = "label"
) -> "set[str]":
    """A share of the patients, drawn within each label so that every class is represented.

    Args:
        table: With ``patient`` and ``within``. A patient counts under their largest label.
        share: In [0, 1]; at least one patient of each label that has two or more, unless 0.
        generator: Source of chance.
        within: Column to draw within instead of the label.

    Returns:
        The drawn patients.
    """
    drawn: set[str] = set()
    label = table.groupby("patient")[within].max().sort_index()
    for _, patients in label.groupby(label):
        count = round(share * len(patients))
        if share > 0 and len(patients) > 1:
            count = min(max(count, 1), len(patients) - 1)
        drawn |= set(generator.permutation(patients.index.to_numpy())[:count])
    return drawn


def parted(
    table: pd.DataFrame,
    test: float,
    validation: float,
    generator: np.random.Generator,
    within: str = "label",
) -> pd.Series:
    """Train, validation and test drawn at random by patient.

    Args:
        table: With ``patient`` and ``within``.
        test: Share of the patients in the test set, in [0, 1).
        validation: Share of the others that are kept for validation, in (0, 1).
        generator: Source of chance.
        within: Column to draw within, see :func:`drawn_patients`.

    Returns:
        ``train``, ``validation`` or ``test`` for each sample.
    """
    tested = table["patient"].isin(drawn_patients(table, test, generator, within))
    kept = drawn_patients(table[~tested], validation, generator, within)
    split = pd.Series("train", index=table.index)
    split[table["patient"].isin(kept)] = "validation"
    split[tested] = "test"
    return split


def held_out(
    table: pd.DataFrame,
    unseen: pd.Series,
    shift: Shift,
    seen_test: float,
    generator: np.random.Generator,
    *,
    whole: bool,
) -> pd.Series:
    """A split that tests on some samples and trains on no patient who has one of them.

    Args:
        table: With ``patient`` and ``label``.
        unseen: Samples to test on; those that may be placed at all are in its index, the
            others are unused.
        shift: Whose share of validation patients it is.
        seen_test: Share of the other patients who are tested on as well, in [0, 1).
        generator: Source of chance.
        whole: Whether the other samples of a patient with an unseen one are tested on, too.
            Else they are unused.

    Returns:
        Placement of each sample.

    Raises:
        InputError: A class is left out of training or validation, or the test set is empty.
    """
    placeable = table.loc[unseen.index]
    outside = placeable["patient"].isin(set(placeable["patient"][unseen]))
    split = parted(placeable[~outside], seen_test, shift.validation, generator)
    split = split.reindex(placeable.index, fill_value="test" if whole else "unused")
    split[unseen] = "test"
    return check_split(split.reindex(table.index, fill_value="unused"), table["label"], shift)


def check_split(split: pd.Series, label: pd.Series, shift: Shift) -> pd.Series:
    """Return the split if training and validation hold every class, and test is not empty.

    Raises:
        InputError: They do not.
    """
    faults = []
    for part in ("train", "validation"):
        for absent in sorted(set(label) - set(label[split == part])):
            found = f"leaves no sample of class {absent} for the {part} rows"
            remedy = "Choose another seed, or a weaker shift."
            faults.append(Fault(shift.where, found, remedy))
    if not (split == "test").any():
        remedy = "Choose another seed, or raise test."
        faults.append(Fault(shift.where, "leaves no test rows", remedy))
    if faults:
        raise InputError(*faults)
    return split
