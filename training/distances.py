"""How far numbers of an image are from those of training images, beside validation images."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

#: Weight of the spherical covariance that the sample's is mixed with, so that directions in
#: which training images hardly vary do not decide alone.
SHRINKAGE: Final = 0.05


class Distances:
    """Distances of validation images from the training images, to compare others with.

    The distance is that of Mahalanobis to the nearest centre, with one covariance for all of
    them (Lee et al. 2018, https://arxiv.org/abs/1807.03888).
    """

    def __init__(
        self,
        whitening: NDArray[np.float32],
        centres: NDArray[np.float32],
        distances: NDArray[np.float32],
    ) -> None:
        """Keep what :meth:`fitted` found.

        Args:
            whitening: ``[width, width]``, makes the covariance around the centres spherical.
            centres: ``[centre, width]``, whitened.
            distances: ``[m]``, of the validation images, sorted.
        """
        self.whitening, self.centres, self.distances = whitening, centres, distances

    @classmethod
    def fitted(
        cls,
        train: NDArray[np.float32],
        group: NDArray[np.int64],
        validation: NDArray[np.float32],
    ) -> Self:
        """Measure.

        Args:
            train: Of training images, ``[n, width]``.
            group: Each group has a centre, ``[n]``.
            validation: Of validation images, ``[m, width]``; never of test images.
        """
        means = {k: train[group == k].mean(axis=0, dtype=float) for k in np.unique(group)}
        inner = train - np.stack([means[k] for k in group])
        covariance = inner.T @ inner / len(train)
        spherical = max(float(np.trace(covariance)) / len(covariance), 1e-12)
        mixed = (1 - SHRINKAGE) * covariance + SHRINKAGE * spherical * np.eye(len(covariance))
        whitening = np.linalg.inv(np.linalg.cholesky(mixed)).T
        centres = np.stack(list(means.values())) @ whitening
        found = cls(
            whitening.astype(np.float32), centres.astype(np.float32), np.zeros(0, np.float32)
        )
        found.distances = np.sort(found.distance(validation))
        return found

    def distance(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance to the nearest centre, ``[n]``, in standard deviations.

        Args:
            rows: ``[n, width]``.
        """
        placed = rows @ self.whitening
        apart = [np.square(placed - centre).sum(axis=1) for centre in self.centres]
        return np.asarray(np.sqrt(np.min(apart, axis=0)), np.float32)

    def share(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Share of validation images at least as far away, ``[n]`` in (0, 1].

        The image counts as one of them, so it is a p value of "this image is like those the
        model was validated with": of images like those at most a share p gets p or less.

        Args:
            rows: ``[n, width]``.

        >>> line = np.array([[-1.0], [1.0], [3.0]], np.float32)
        >>> found = Distances.fitted(line, np.zeros(3, int), line)
        >>> found.share(np.array([[1.0], [9.0]], np.float32)).tolist()
        [1.0, 0.25]
        """
        nearer = np.searchsorted(self.distances, self.distance(rows), side="left")
        return np.asarray((len(self.distances) - nearer + 1) / (len(self.distances) + 1))
