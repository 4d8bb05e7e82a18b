"""A map of an embedding, to look at."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.metric import Array
from evaluation.principal import principal_components
from evaluation.settings import Number, Settings
from evaluation.strata import first_in_random_order

CAUTION = (
    "An illustration, not evidence: two directions of many. Groups that overlap here may be "
    "told apart by a probe."
)


class LatentMap(Settings):
    """Some samples of an embedding in two dimensions, one sample a patient.

    Attributes:
        latent: ``content``, ``style`` or ``pixels``.
        method: How it was made.
        x: First coordinate, ``[point]``.
        y: Second coordinate, ``[point]``; 0 if the embedding varies in one direction only.
        explained: Share of the variance along x and along y.
        label: Label of each point as text, ``[point]``; empty where unknown.
        groups: Value of each attribute, ``[point]`` each.
        caution: What a reader must know.
        reason: Why there are no points, if so.
    """

    latent: str
    method: str = "PCA"
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    explained: tuple[Number, Number] = (float("nan"), float("nan"))
    label: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    caution: str = CAUTION
    reason: str = ""


def latent_map(
    latent: str,
    code: Array,
    attributes: Mapping[str, pd.Categorical],
    label: Array,
    patient: Array,
    points: int,
    seed: int,
) -> LatentMap:
    """Project one sample of each of some patients on the two directions of largest variance.

    Principal components, since distances on them mean what they mean in the embedding; a
    neighbour map draws clusters where there are none.

    Args:
        latent: Name of the embedding.
        code: ``[n, d]``.
        attributes: Name to ``[n]`` values.
        label: ``[n]``; NaN where unknown.
        patient: ``[n]``.
        points: Number of patients at most.
        seed: Of the drawn patients and samples.

    Returns:
        The map. Without points, and with the reason, if the embedding is constant.
    """
    generator = np.random.default_rng(seed)
    one = first_in_random_order(patient, generator)
    found = principal_components(code, one, 2, seed)
    if len(found.explained) == 0:
        return LatentMap(latent=latent, reason="the embedding is constant")
    drawn = np.sort(generator.permutation(one)[:points])
    flat = 2 - len(found.explained)
    scores = np.pad(found.scores[drawn], ((0, 0), (0, flat)))
    x, y = scores.T.tolist()
    across, up = np.pad(found.explained, (0, flat)).tolist()
    return LatentMap(
        latent=latent,
        x=tuple(x),
        y=tuple(y),
        explained=(across, up),
        label=tuple("" if pd.isna(each) else f"{each:g}" for each in label[drawn]),
        groups={name: tuple(map(str, values[drawn])) for name, values in attributes.items()},
    )
