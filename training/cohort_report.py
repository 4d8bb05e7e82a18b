"""What is in a cohort, for people who look before they train."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from training.cohort import Cohort

#: Groups of fewer patients are warned of: their intervals will be too wide to say anything.
FEW_PATIENTS: Final = 20


def cohort_report(cohort: Cohort) -> dict[str, Any]:
    """Counts of a cohort, as JSON: no sample and no patient is named.

    Args:
        cohort: It has at least one sample.

    Returns:
        ``samples``, ``patients``, ``left_out`` (rows that take no part), ``left_out_for`` (each
        ``reason`` with its ``rows`` and the number of the ``first``), ``classes`` (name to
        samples and patients), ``attributes`` (name to ``missing`` samples and ``groups``, each
        with samples, patients and samples of each class), and ``warnings`` as sentences.

    Raises:
        InputError: An attribute holds a value that its schema does not know.
    """
    grouped, names = cohort.grouped(), cohort.schema.classes
    label = grouped["label"].map(dict(enumerate(names)))
    attributes, warnings = {}, []
    for name in cohort.schema.attributes:
        known = cohort.table[name].notna().to_numpy()
        groups = {}
        for group, rows in grouped[known].groupby(name, sort=True):
            counted = label[known].loc[grouped.loc[known, name] == group].value_counts()
            patients = int(rows["patient"].nunique())
            groups[str(group)] = {
                "samples": len(rows),
                "patients": patients,
                "classes": {each: int(counted.get(each, 0)) for each in names},
            }
            if patients < FEW_PATIENTS:
                warnings.append(
                    f"{name} {group} has {patients} patients; under {FEW_PATIENTS} little can "
                    "be said of a group."
                )
            elif empty := [each for each in names if not counted.get(each, 0)]:
                warnings.append(f"{name} {group} has no sample of class {', '.join(empty)}.")
        attributes[name] = {"missing": int((~known).sum()), "groups": groups}
    return {
        "samples": len(grouped),
        "patients": int(grouped["patient"].nunique()),
        "left_out": cohort.left_out,
        "left_out_for": [each._asdict() for each in cohort.unused],
        "classes": _classes(grouped, names),
        "attributes": attributes,
        "warnings": warnings,
    }


def duplicates(table: pd.DataFrame, pixels: Mapping[str, str]) -> dict[str, int]:
    """How many images have the same pixels as another one.

    Args:
        table: Of a cohort, indexed by sample, with ``patient`` and ``label``.
        pixels: Hash of the pixels of each sample.

    Returns:
        ``images`` that are beyond the first of their kind, and how many sets of equal images
        there are of several ``patients`` and of several ``labels``.

    >>> table = pd.DataFrame({"patient": ["a", "b"], "label": [0, 0]}, index=["x", "y"])
    >>> duplicates(table, {"x": "1f", "y": "1f"})
    {'images': 1, 'patients': 1, 'labels': 0}
    """
    kinds = table[["patient", "label"]].groupby(pd.Series(pixels).reindex(table.index))
    counts = kinds.nunique()
    return {
        "images": len(table) - len(counts),
        "patients": int((counts["patient"] > 1).sum()),
        "labels": int((counts["label"] > 1).sum()),
    }


def _classes(grouped: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    found = {}
    for k, name in enumerate(names):
        rows = grouped[grouped["label"] == k]
        found[name] = {"samples": len(rows), "patients": int(rows["patient"].nunique())}
    return found
