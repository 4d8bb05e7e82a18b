"""How training images are varied: the settings, which need no torch."""

from typing import Literal, Self

from pydantic import Field, model_validator

from evaluation.errors import Fault
from evaluation.settings import Settings

Axis = Literal["depth", "height", "width"]


class Variation(Settings):
    """One way to vary an image.

    Attributes:
        probability: Chance that an image is varied so in an epoch, in (0, 1].
    """

    probability: float = Field(default=0.5, gt=0, le=1)


class Flip(Variation):
    """Mirrors the image along each of some axes, each with the probability.

    Attributes:
        axes: Of images ``height`` (upside down) and ``width`` (left and right), of volumes
            ``depth`` too. Left and right are not alike in a chest.
    """

    axes: tuple[Axis, ...] = Field(default=("width",), min_length=1)


class Rotation(Variation):
    """Turns the image about its centre, a volume about each of its axes.

    Attributes:
        degrees: Angles are uniform in -degrees ... degrees.
    """

    degrees: float = Field(default=10.0, gt=0, le=180)


class Zoom(Variation):
    """Enlarges or shrinks the image, at a random place.

    Above 1 a window of the image is enlarged to the whole (random cropping); below 1 the whole
    image is shrunk and stands somewhere in the frame.

    Attributes:
        lowest: Smallest factor, above 0.1 and at most ``highest``.
        highest: Largest factor, at most 10. Factors are uniform.
    """

    lowest: float = Field(default=0.9, gt=0.1)
    highest: float = Field(default=1.1, le=10)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.lowest, self.highest)
        return self


class Blur(Variation):
    """Convolves the image with a Gaussian.

    Attributes:
        sigma: Its standard deviation is uniform in 0 ... sigma, in pixels; at most 10.
    """

    sigma: float = Field(default=1.0, gt=0, le=10)


class Contrast(Variation):
    """Scales the distance of each value from the mean of its image.

    Attributes:
        lowest: Smallest factor, in [0, highest].
        highest: Largest factor, at most 10. Factors are uniform.
    """

    lowest: float = Field(default=0.8, ge=0)
    highest: float = Field(default=1.25, le=10)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.lowest, self.highest)
        return self


class Brightness(Variation):
    """Adds a number to all values of an image.

    Attributes:
        reach: It is uniform in -reach ... reach, where 1 is the distance of black and white.
    """

    reach: float = Field(default=0.1, gt=0, le=1)


class Noise(Variation):
    """Adds independent Gaussian noise to each value.

    Attributes:
        deviation: Its standard deviation is uniform in 0 ... deviation for each image, where 1
            is the distance of black and white.
    """

    deviation: float = Field(default=0.05, gt=0, le=1)


class Erasing(Variation):
    """Fills a square, or cube, at a random place with the mean of its channel.

    Attributes:
        lowest: Shortest side as a share of the side of the image, in (0, highest].
        highest: Longest side, at most 1. Sides are uniform.

    References:
        DeVries and Taylor (2017), *Improved regularization of convolutional neural networks
        with cutout*, arXiv:1708.04552; here with a random size and wholly inside.
    """

    lowest: float = Field(default=0.1, gt=0)
    highest: float = Field(default=0.4, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.lowest, self.highest)
        return self


class Augmentation(Settings):
    """Which variations training images undergo, one after the other in this order.

    Values stay in [0, 1]: they are clipped at the end. Validation rows are never varied, nor
    are the images of a stage that reads features which are computed once.
    """

    flip: Flip | None = None
    rotation: Rotation | None = None
    zoom: Zoom | None = None
    blur: Blur | None = None
    contrast: Contrast | None = None
    brightness: Brightness | None = None
    noise: Noise | None = None
    erasing: Erasing | None = None

    def faults(self, dimensions: int) -> list[Fault]:
        """What does not fit images of 2, or volumes of 3, dimensions."""
        if self.flip and "depth" in self.flip.axes and dimensions == 2:
            found = "images have no depth to be flipped along"
            remedy = "Name height or width, or train on volumes."
            return [Fault("recipe.augmentation.flip", found, remedy, column="axes")]
        return []


def _check_order(lowest: float, highest: float) -> None:
    if lowest > highest:
        raise ValueError(f"lowest must not be above highest, got {lowest:g} and {highest:g}")
