"""What it means that an image is far from those that a model was trained with."""

from typing import Final

from training.outliers import Outliers

_FAR: Final = (
    "farther: the share of this version's validation images that are at least as far from its "
    "training images as this one, "
)
_READ: Final = (
    "Near 0, the image is unlike those that the model was validated with, and its probability "
    "means little. Of images like those, at most a share p has p or less."
)

#: What ``farther`` means, said with every answer.
MEANING: Final = (
    f"{_FAR}twice the smaller one of two such shares, and at most 1: by Mahalanobis distance "
    "to the nearest class mean in content space, and by that of the mean, contrast and "
    f"fineness of its channels to theirs. {_READ}"
)

#: The same of versions whose run compares no pixels.
BY_CONTENT: Final = (
    f"{_FAR}by Mahalanobis distance to the nearest class mean in content space. {_READ}"
)

UNKNOWN: Final = (
    "farther is not known: the run of this version was made without outliers.npz, or had fewer "
    "than 20 validation images. Train it anew to have it."
)


def meaning(outliers: Outliers | None) -> str:
    """How ``farther`` of a version is to be read, or why it is not known.

    Args:
        outliers: What images are compared with; None if the version's run has no such file.
    """
    if outliers is None:
        return UNKNOWN
    return BY_CONTENT if outliers.picture is None else MEANING
