"""Patients who were tested on before are not learnt from, whatever the split draws."""

from collections import defaultdict
from collections.abc import Collection, Hashable

import pandas as pd

from evaluation.shift import Shift

_LEARNT = ("train", "validation")


def keep_out(
    split: pd.Series, table: pd.DataFrame, held_out: Collection[str], shift: Shift
) -> pd.Series:
    """A split in which no held-out patient is trained or validated on.

    A held-out patient whom the split would have learnt from trades places with a patient of the
    test set who is not held out and has as many samples of each label and category of the
    shifted attribute: no count that a shift rests on changes. One for whom there is nobody to
    trade with becomes a test patient where no attribute shifts and the rest of the cohort is
    as good as any (shift ``none``), else they are unused.

    >>> table = pd.DataFrame({"patient": list("abc"), "label": [0, 0, 1]}, index=list("xyz"))
    >>> split = pd.Series(["train", "test", "train"], index=table.index)
    >>> from evaluation.shift import SHIFTS
    >>> keep_out(split, table, {"a", "c"}, SHIFTS.get("none")()).tolist()
    ['test', 'train', 'test']

    Args:
        split: ``train``, ``validation``, ``test`` or ``unused`` for each sample.
        table: Indexed alike, with ``patient``, ``label`` and a column of groups for each
            attribute.
        held_out: The patients.
        shift: The rule that drew the split.

    Returns:
        The changed split. No patient is in two of train, validation and test.
    """
    cell = _cells(table, shift.attribute)
    # Sorted, so that the order of the rows decides nothing.
    ordered = pd.DataFrame({"patient": table["patient"], "cell": cell, "split": split})
    ordered = ordered.rename_axis("sample").reset_index()
    ordered = ordered.sort_values(["patient", "cell", "sample"], kind="stable")
    rows = {name: part.index.to_numpy() for name, part in ordered.groupby("patient")}
    placed = ordered["split"].to_dict()
    kinds = ordered.groupby("patient")["cell"].agg(tuple)
    testers: dict[Hashable, list[str]] = defaultdict(list)
    tested = ordered.loc[ordered["split"] == "test", "patient"].unique()
    for patient in tested:
        if patient not in held_out:
            testers[kinds[patient]].append(patient)
    learnt = ordered.loc[ordered["split"].isin(_LEARNT), "patient"].unique()
    for patient in (each for each in learnt if each in held_out):
        mine = rows[patient]
        if partners := testers[kinds[patient]]:
            theirs = rows[partners.pop(0)]
            for one, other in zip(mine, theirs, strict=True):
                placed[one], placed[other] = placed[other], placed[one]
        else:
            free = "test" if shift.where == "shift none" else "unused"
            placed |= dict.fromkeys(mine, free)
    changed = pd.Series(placed, name=split.name).reindex(ordered.index)
    return changed.set_axis(ordered["sample"]).reindex(table.index)


def _cells(table: pd.DataFrame, attribute: str) -> pd.Series:
    """Label, and category of the shifted attribute if one shifts, as text."""
    label = table["label"].astype(str)
    return label if not attribute else label + " " + table[attribute].astype(str)
