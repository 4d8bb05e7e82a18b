"""Principal components of an embedding."""

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from evaluation.metric import Array
from evaluation.probe import standardised


class Principal(NamedTuple):
    """Coordinates along the directions in which samples vary most.

    Attributes:
        scores: ``[n, k]``, columns uncorrelated, of decreasing variance.
        explained: Share of the whole variance along each, ``[k]``, in [0, 1].
    """

    scores: Array
    explained: Array


def principal_components(code: Array, fitted: Array, most: int, seed: int) -> Principal:
    """Project an embedding on its leading principal components.

    Args:
        code: ``[n, d]``, in its own units: a dimension that hardly varies hardly counts.
        fitted: ``[m]`` positions of the samples that the components are found on.
        most: Number of components at most; fewer if there are fewer dimensions, or no more than
            that many samples.
        seed: Of the start of the iteration that is used for wide embeddings.

    Returns:
        All samples along the components. ``k`` is 0 if the embedding is constant or nothing is
        fitted. Cost: ``m d min(m, d)`` operations, for wide embeddings about ``10 m d k``.

    References:
        Halko, Martinsson and Tropp (2011), *Finding structure with randomness*, SIAM Review 53,
        217-288, for wide embeddings.
    """
    inside = code[fitted]
    k = min(most, code.shape[1], len(inside))
    if k == 0 or not standardised(inside).any():
        return Principal(np.empty((len(code), 0)), np.empty(0))
    model = PCA(k, random_state=seed).fit(inside)
    real = model.explained_variance_ratio_ > _ROUNDING
    return Principal(model.transform(code)[:, real], model.explained_variance_ratio_[real])


# Components with a smaller share of the variance are rounding.
_ROUNDING = 1e-12
