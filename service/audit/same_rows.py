"""Whether two tables of predictions are about the same test rows."""

import numpy as np

from evaluation.errors import Fault, InputError
from evaluation.predictions import Predictions


def check_same(ours: Predictions, theirs: Predictions) -> None:
    """Refuse two tables that are not about the same test rows.

    Raises:
        InputError: Questions, samples, patients or labels differ. Rows are counted, and none is
            named: an id may be a patient's.
    """
    where = theirs.source
    if (ours.task, ours.targets) != (theirs.task, theirs.targets):
        found = "it answers other questions than the audited model"
        raise InputError(Fault(where, found, "Compare models of the same task and targets."))
    mine, other = (each.only("test").table.set_index("sample") for each in (ours, theirs))
    remedy = "Score the same test rows with both models."
    faults = [
        Fault(where, f"{count:,} test rows are {place}", remedy)
        for count, place in (
            (len(mine.index.difference(other.index)), f"in {ours.source} only"),
            (len(other.index.difference(mine.index)), f"not in {ours.source}"),
        )
        if count
    ]
    common = mine.index.intersection(other.index)
    truth = [name for name in mine.columns if name.split("_")[0] == "label"]
    for name in ("patient", *(each for each in truth if each in other.columns)):
        left, right = (each.loc[common, name] for each in (mine, other))
        differs = (left != right) & ~(left.isna() & right.isna())
        if differs.any():
            # The rows as they are counted in the table, whose index was the sample before.
            first = int(np.flatnonzero(theirs.table["sample"] == differs.idxmax())[0]) + 1
            found = f"{int(differs.sum()):,} test rows differ from {ours.source} in '{name}'"
            truth_remedy = "Compare models on one version of the truth."
            faults.append(Fault(where, found, truth_remedy, row=first, column=name))
    if faults:
        raise InputError(*faults)
