"""Says how far an image is from what a model has learnt from."""

import io
import zipfile
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from training.distances import Distances
from training.imaging import Pixels
from training.picture_statistics import picture_statistics
from training.predictor import Predictor

NAME: Final = "outliers.npz"

#: Most images of each split that are looked at: more would not change the result.
MOST: Final = 4096

#: Fewest validation images that a share can be told of.
FEWEST: Final = 20

#: What the arrays of picture statistics are called in the file, before their own names.
PICTURE: Final = "picture_"

# Keeps the chance of the draw apart from that of the split and the training.
_STREAM = 0x0075


class Outliers:
    """Distances of validation images from the training images, by content and at a glance.

    A content of a few numbers may leave out what makes an image strange: grey noise can lie
    amidst the training images. Statistics of the picture see that, and the content sees what
    has ordinary statistics, such as a negative.

    By content the nearest class counts: nobody knows the class of an image that comes, and
    validation images are measured in the same way, whatever their label.
    """

    def __init__(self, content: Distances, picture: Distances | None) -> None:
        """Keep what :meth:`fitted` found.

        Args:
            content: Distances in content space.
            picture: Of statistics of the pictures; None for runs of earlier versions.
        """
        self.content, self.picture = content, picture

    @classmethod
    def fitted(
        cls,
        train: tuple[NDArray[np.float32], Pixels],
        label: NDArray[np.int64],
        validation: tuple[NDArray[np.float32], Pixels],
    ) -> Self:
        """Measure.

        Args:
            train: Content of training images, ``[n, content]``, and their pixels,
                ``[n, channel, *space]``.
            label: Their classes, ``[n]``.
            validation: The same of validation images; never of test images.
        """
        pictures = [picture_statistics(pixels) for _, pixels in (train, validation)]
        return cls(
            Distances.fitted(train[0], label, validation[0]),
            Distances.fitted(pictures[0], np.zeros_like(label), pictures[1]),
        )

    def share(
        self, content: NDArray[np.float32], pixels: Pixels | None = None
    ) -> NDArray[np.float64]:
        """Share of validation images at least as far away, ``[n]`` in (0, 1].

        It is a p value of "this image is like those the model was validated with", see
        :meth:`training.distances.Distances.share`. Of two shares, by content and at a glance,
        twice the smaller one is given, at most 1: then of images like those still at most a
        share p gets p or less (Bonferroni), whatever the two have to do with each other.

        Args:
            content: ``[n, content]``.
            pixels: ``[n, channel, *space]``, of the same images. None: only their content is
                compared, as it is with a run of an earlier version.
        """
        share = self.content.share(content)
        if pixels is None or self.picture is None:
            return share
        glance = self.picture.share(picture_statistics(pixels))
        return np.asarray(np.minimum(2 * np.minimum(share, glance), 1.0))

    def write(self, folder: Path) -> None:
        """Write ``outliers.npz``."""
        picture = {} if self.picture is None else vars(self.picture)
        named = {PICTURE + name: values for name, values in picture.items()}
        with atomic_path(folder / NAME) as partial:
            np.savez(partial, **vars(self.content), **named)

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
                arrays = dict(saved)
            named = [name for name in arrays if name.startswith(PICTURE)]
            picture = {name.removeprefix(PICTURE): arrays.pop(name) for name in named}
            return cls(Distances(**arrays), Distances(**picture) if picture else None)
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
    drawn = (np.asarray(pixels[train]), np.asarray(pixels[validation]))
    learnt, chosen = ((predictor.predict(each).content, each) for each in drawn)
    Outliers.fitted(learnt, label[train], chosen).write(folder)
