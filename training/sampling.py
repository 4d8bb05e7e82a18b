"""Which rows an epoch draws, and how often."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from evaluation.settings import Settings

Rows = NDArray[np.int64]


class Sampling(Settings):
    """How the training rows of an epoch are drawn.

    A cell is a label together with one group of each attribute. Rows whose attribute is not
    known are a group of their own, as everywhere in an audit. In a stage that compares images,
    a row that is drawn twice into a batch is a positive of itself.

    Attributes:
        name: ``uniform`` takes each row once. ``balanced`` takes from each cell as many rows as
            the smallest cell has, without replacement and others in each epoch, so that an
            epoch is shorter; it is SUBG of the reference, which draws only once. ``reweighted``
            draws as many rows as there are, with replacement, with a chance of 1 / (number of
            cells x size of the row's cell); it is RWG of the reference.
        attributes: Attributes that are crossed with the label; none: the labels alone are
            balanced (SUBY and RWY of the reference).

    References:
        Idrissi, Arjovsky, Pezeshki and Lopez-Paz (2022), *Simple data balancing achieves
        competitive worst-group-accuracy*, CLeaR, section 3, arXiv:2110.14503.
    """

    name: Literal["uniform", "balanced", "reweighted"] = "uniform"
    attributes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name == "uniform" and self.attributes:
            raise ValueError(
                "uniform sampling reads no attribute; leave them out, or choose balanced or "
                "reweighted"
            )
        return self

    def draw(self, rows: Rows, cell: Rows, seed: int) -> Rows:
        """The rows of an epoch, in random order.

        Args:
            rows: Row positions to draw from, ``[n]``.
            cell: Number of the cell of each of these rows, ``[n]``.
            seed: Of the draw and of the order.

        Returns:
            ``[m]`` of ``rows``: n of them, or fewer if ``balanced``.

        Examples:
            >>> rows, cell = np.arange(6), np.array([0, 0, 0, 0, 1, 1])
            >>> drawn = Sampling(name="balanced").draw(rows, cell, seed=0)
            >>> np.bincount(cell[drawn]).tolist()
            [2, 2]
        """
        generator = np.random.default_rng(seed)
        if self.name == "uniform":
            return generator.permutation(rows)
        _, inverse, sizes = np.unique(cell, return_inverse=True, return_counts=True)
        if self.name == "reweighted":
            chance = 1 / (len(sizes) * sizes[inverse])
            return generator.choice(rows, len(rows), p=chance / chance.sum())
        order = generator.permutation(len(rows))
        taken = order[repeats(inverse[order]) < sizes.min()]
        return generator.permutation(rows[taken])


def cells(label: Rows, groups: Rows) -> Rows:
    """Number of the cell of each row.

    Args:
        label: ``[n]``.
        groups: ``[attribute, n]``, -1 where it is not known.

    Returns:
        ``[n]`` in 0 ... number of cells that occur - 1.

    Examples:
        >>> cells(np.array([0, 1, 0]), np.array([[2, 2, -1]])).tolist()
        [1, 2, 0]
    """
    crossed = np.concatenate([label[np.newaxis], groups])
    return np.unique(crossed, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)


def repeats(values: Rows) -> Rows:
    """How often each value has occurred before, ``[n]`` of ``[n]``.

    >>> repeats(np.array([7, 3, 7, 7])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    first = np.searchsorted(ascending, ascending)
    found = np.empty_like(order)
    found[order] = np.arange(len(values)) - first
    return found
