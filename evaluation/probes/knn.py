"""Nearest-neighbour probe."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from evaluation.metric import Array
from evaluation.probe import Probe

_NEIGHBOURS = (5, 15, 50)
# In a fold with more samples, neighbours are searched among so many drawn ones.
_MOST_ASKED = 2000


class NeighbourProbe(Probe):
    """Share of a category among the nearest training samples; their number is chosen.

    Distances are Euclidean between columns scaled to variance 1 over all samples. Neighbours
    are searched once, in each fold for each other one, among at most 2,000 samples of it, and
    serve every fit and every column. Cost, for ``c`` columns in five folds: ``n d min(n,
    10,000)`` operations for the search and about ``350 n c`` for the means.
    """

    settings = len(_NEIGHBOURS)
    refits = True

    def __init__(self, code: Array, fold: Array, target: Array, seed: int) -> None:
        """Search the neighbours, see :class:`evaluation.probe.Probe`."""
        super().__init__(code, fold, target, seed)
        folds = range(int(fold.max()) + 1)
        members = [self.rows((k,)) for k in folds]
        generator = np.random.default_rng(seed)
        asked = [generator.permutation(rows)[:_MOST_ASKED] for rows in members]
        self.near = {
            (k, other): self._search(members[k], asked[other])
            for k in folds
            for other in folds
            if k != other
        }

    def _search(self, asking: Array, asked: Array) -> tuple[Array, Array]:
        """Distances and positions of the nearest of some samples, ``[asking, neighbour]``."""
        count = min(_NEIGHBOURS[-1], len(asked))
        search = NearestNeighbors(n_neighbors=count).fit(self.code[asked])
        distance, place = search.kneighbors(self.code[asking])
        return distance, asked[place]

    def predict(self, setting: int, held: tuple[int, ...], columns: Array) -> Array:
        """Predict the held folds, see :meth:`evaluation.probe.Probe.predict`."""
        rows = self.rows(held)
        predicted = np.empty((len(rows), len(columns)))
        target = (
            self.target if len(columns) == self.target.shape[1] else self.target[:, columns]
        )
        for k in held:
            near = self._nearest(k, held, _NEIGHBOURS[setting])
            start = np.arange(len(near) + 1) * near.shape[1]
            weight = np.full(near.size, 1 / near.shape[1])
            mean = csr_matrix((weight, near.ravel(), start), (len(near), len(target)))
            predicted[self.fold[rows] == k] = mean @ target
        return predicted

    def _nearest(self, k: int, held: tuple[int, ...], count: int) -> Array:
        """Positions of the nearest samples outside the held folds, ``[rows of k, count]``."""
        seen = [pair for pair in self.near if pair[0] == k and pair[1] not in held]
        distance = np.concatenate([self.near[pair][0] for pair in seen], axis=1)
        place = np.concatenate([self.near[pair][1] for pair in seen], axis=1)
        order = np.argsort(distance, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(place, order, axis=1)
