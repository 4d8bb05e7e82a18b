"""Says how far an image is from what a model has learnt from."""

import io
import zipfile
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from training.imaging import Pixels
from training.predictor import Predictor

NAME: Final = "outliers.npz"

#: Most images of each split that are looked at: more would not change the result.
MOST: Final = 4096

#: Fewest validation images that a share can be told of.
FEWEST: Final = 20

#: Weight of the spherical covariance that the sample's is mixed with, so that directions in
#: which training images hardly vary do not decide alone.
SHRINKAGE: Final = 0.05

# Keeps the chance of the draw apart from that of the split and the training.
_STREAM = 0x0075


class Outliers:
    """Distances of validation images from the training images, to compare others with.

    The distance is that of Mahalanobis in content space to the nearest class mean, with one
    covariance for all classes (Lee et al. 2018, https://arxiv.org/abs/1807.03888). Nobody knows
    the class of an image that comes, so the nearest counts, and validation images are measured
    in the same way, whatever their label: the share is over all of them, not by class.
    """

    def __init__(
        self,
        whitening: NDArray[np.float32],
        centres: NDArray[np.float32],
        distances: NDArray[np.float32],
    ) -> None:
        """Keep what :meth:`fitted` found.

        Args:
            whitening: ``[content, content]``, makes the covariance within classes spherical.
            centres: ``[class, content]``, whitened means.
            distances: ``[m]``, of the validation images, sorted.
        """
        self.whitening, self.centres, self.distances = whitening, centres, distances

    @classmethod
    def fitted(
        cls,
        train: NDArray[np.float32],
        label: NDArray[np.int64],
        validation: NDArray[np.float32],
    ) -> Self:
        """Measure.

        Args:
            train: Content of training images, ``[n, content]``.
            label: Their classes, ``[n]``.
            validation: Content of validation images, ``[m, content]``; never of test images.
        """
        means = {k: train[label == k].mean(axis=0, dtype=float) for k in np.unique(label)}
        inner = train - np.stack([means[k] for k in label])
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

    def distance(self, content: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance to the nearest class mean, ``[n]``, in standard deviations.

        Args:
            content: ``[n, content]``.
        """
        placed = content @ self.whitening
        apart = [np.square(placed - centre).sum(axis=1) for centre in self.centres]
        return np.asarray(np.sqrt(np.min(apart, axis=0)), np.float32)

    def share(self, content: NDArray[np.float32]) -> NDArray[np.float64]:
        """Share of validation images at least as far away, ``[n]`` in (0, 1].

        The image counts as one of them, so it is a p value of "this image is like those the
        model was validated with": of images like those at most a share p gets p or less.

        Args:
            content: ``[n, content]``.

        >>> line = np.array([[-1.0], [1.0], [3.0]], np.float32)
        >>> found = Outliers.fitted(line, np.zeros(3, int), line)
        >>> found.share(np.array([[1.0], [9.0]], np.float32)).tolist()
        [1.0, 0.25]
        """
        nearer = np.searchsorted(self.distances, self.distance(content), side="left")
        return np.asarray((len(self.distances) - nearer + 1) / (len(self.distances) + 1))

    def write(self, folder: Path) -> None:
        """Write ``outliers.npz``."""
        with atomic_path(folder / NAME) as partial:
            np.savez(partial, **vars(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``outliers.npz``.

        Raises:
            FileNotFoundError: The run was made before there were such files, or had too few
                images for one.
            InputError: The file is damaged.
        """
        try:
            data = io.BytesIO((folder / NAME).read_bytes())
            with np.load(data, allow_pickle=False) as saved:
                return cls(**saved)
        except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            found = f"the file is damaged: {error}"
            raise InputError(
                Fault(str(folder / NAME), found, "Register the run again.")
            ) from None


def write_outliers(
    folder: Path,
    pixels: Pixels,
    label: NDArray[np.int64],
    split: NDArray[np.str_],
    seed: int,
) -> None:
    """Measure training and validation images with the model of a run, and write the file.

    Nothing is written with fewer than 20 validation images, or without training images.

    Args:
        folder: Of the run; its model is there.
        pixels: ``[n, channel, *space]``, all images of the cohort. At most 4,096 of each split
            are drawn.
        label: Their classes, ``[n]``.
        split: Where each is placed, ``[n]``.
        seed: Of the run.
    """
    generator = np.random.default_rng([seed, _STREAM])
    train, validation = (
        np.sort(generator.permutation(np.flatnonzero(split == name))[:MOST])
        for name in ("train", "validation")
    )
    if not len(train) or len(validation) < FEWEST:
        return
    predictor = Predictor(folder)
    fitted = Outliers.fitted(
        predictor.predict(np.asarray(pixels[train])).content,
        label[train],
        predictor.predict(np.asarray(pixels[validation])).content,
    )
    fitted.write(folder)
