"""Leaves samples out of a table until its cells have stated sizes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError
from evaluation.metric import Array


def surplus(
    table: pd.DataFrame,
    cell: pd.Series,
    shares: Mapping[str, float],
    generator: np.random.Generator,
    where: str,
) -> pd.Index:
    """Samples to leave out, so that each cell has a stated share and most samples stay.

    Args:
        table: Indexed by sample, with ``patient``, ``label`` and ``value``.
        cell: Cell of each sample, indexed like a larger table.
        shares: Share of each cell, > 0, adding up to 1; all cells are named.
        generator: Source of chance.
        where: What the samples are for, for messages.

    Returns:
        The samples that are left out, see :func:`beyond`.

    Raises:
        InputError: A cell has no sample.
    """
    own = cell.loc[table.index]
    there = {str(name): int(count) for name, count in own.value_counts().items()}
    faults = [
        Fault(where, f"leaves no sample of {name}", "Choose another seed, or other shares.")
        for name in shares
        if name not in there
    ]
    if faults:
        raise InputError(*faults)
    return beyond(table, own, largest_sizes(there, shares), generator)


def largest_sizes(available: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """Most samples of each cell that keep stated shares.

    Args:
        available: Samples of each cell.
        shares: Share of each cell, > 0, adding up to 1.

    Returns:
        Size of each cell, within half a sample of its share.

    Examples:
        >>> largest_sizes({"a": 80, "b": 10}, {"a": 0.75, "b": 0.25})
        {'a': 30, 'b': 10}
    """
    total = min(available[cell] / share for cell, share in shares.items())
    return {cell: round(total * share) for cell, share in shares.items()}


def beyond(
    table: pd.DataFrame,
    cell: pd.Series,
    sizes: Mapping[str, int],
    generator: np.random.Generator,
) -> pd.Index:
    """Samples to leave out, so that each cell has a stated size.

    Within a cell the samples are put in order of label, of ``value`` and then of patients in
    random order, and are kept at equal distances from a random start. So every sample has the
    same chance, the mix of labels and values within the cell stays the same to one sample, and
    images are left out before patients are.

    Args:
        table: Indexed by sample, with ``patient``, ``label`` and ``value``. The order of its
            rows does not matter.
        cell: Cell of each sample, ``[n]``.
        sizes: Samples to keep of each cell, at most what it has; every cell is named.
        generator: Source of chance.

    Returns:
        The samples that are left out.
    """
    patients = sorted(set(table["patient"]))
    turn = pd.Series(generator.permutation(len(patients)), index=patients)
    order = table.assign(cell=cell, turn=table["patient"].map(turn)).sort_index()
    order = order.iloc[generator.permutation(len(order))]
    order = order.sort_values(["label", "value", "turn"], kind="stable")
    out: list[str] = []
    for name in sorted(sizes):
        samples = order.index[order["cell"] == name]
        out.extend(samples.delete(_spread(len(samples), sizes[name], generator)))
    return pd.Index(out)


def _spread(n: int, size: int, generator: np.random.Generator) -> Array:
    """``size`` of n places at equal distances, in whole numbers so that none is met twice."""
    if size == 0:
        return np.zeros(0, np.int64)
    return np.asarray((int(generator.integers(n)) + np.arange(size) * n) // size)
