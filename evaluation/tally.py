"""Weighted counts of the samples in cells of groups, for all draws of a bootstrap at once."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from evaluation.groups import Group
from evaluation.metric import Array


class Tally:
    """Which cell of which group each sample is counted in.

    A sample is counted once in each group that it is in. Counting is one sparse product: about
    ``draws * n * depth`` additions, where ``depth`` is the number of groups a sample is in.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        known: Array,
        cell: Array,
        cells: int,
        value: Array | None = None,
    ) -> None:
        """Keep where each sample counts.

        Args:
            groups: Their rows index into ``[n]``.
            known: ``[n]`` bool; other samples are not counted.
            cell: ``[n]`` in 0 ... cells - 1, read where known.
            cells: Number of cells.
            value: ``[n]`` what a sample counts for, read where known; one if not given.
        """
        rows = [group.rows[known[group.rows]] for group in groups]
        self.rows = np.concatenate([np.array([], np.intp), *rows])
        of_group = np.repeat(np.arange(len(groups)), [len(each) for each in rows])
        self.place = of_group * cells + cell[self.rows].astype(np.intp)
        self.shape = (len(groups), cells)
        counted = np.ones(len(self.rows)) if value is None else value[self.rows]
        size = (len(groups) * cells, len(known))
        self._where = csr_array((counted, (self.place, self.rows)), shape=size)

    def __call__(self, weight: Array) -> Array:
        """Sum of the weights in each cell, ``[draw, group, cell]`` for ``[draw, n]``."""
        counts: Array = (self._where @ np.ascontiguousarray(weight.T)).T
        return counts.reshape(len(weight), *self.shape)

    def samples(self) -> Array:
        """Samples in each cell, ``[group, cell]``."""
        return np.bincount(self.place, minlength=self.shape[0] * self.shape[1]).reshape(
            self.shape
        )

    def patients(self, patient: Array) -> Array:
        """Distinct patients in each cell, ``[group, cell]``.

        Args:
            patient: ``[n]`` patient of each sample.
        """
        _, code = np.unique(patient, return_inverse=True)
        pairs = np.unique(np.stack([self.place, code[self.rows]]), axis=1)
        return np.bincount(pairs[0], minlength=self.shape[0] * self.shape[1]).reshape(
            self.shape
        )
