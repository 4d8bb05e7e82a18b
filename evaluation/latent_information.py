"""What an embedding tells about a category, dimension by dimension and as a whole."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import digamma
from sklearn.metrics import silhouette_score

from evaluation.metric import Array
from evaluation.probe import standardised
from evaluation.settings import Number, Settings
from evaluation.strata import TOO_FEW, Stratum, strata

_NEIGHBOURS = 3
# The silhouette compares all pairs.
_MOST_COMPARED = 2000


class LatentInformation(Settings):
    """What the dimensions of an embedding tell about an attribute or the label.

    All numbers are of one sample of each patient, so that samples are independent: the images
    of one patient are each other's neighbours, and would seem to tell whatever patients differ
    in. They are descriptions without an interval; the probes are the evidence.

    Attributes:
        target: Name of the target whose label this is about; empty for a binary task.
        latent: ``content`` or ``style``.
        predicts: Whether it is about an ``attribute`` or the ``label``.
        attribute: Its name; ``label`` for the label.
        information: Mean over the dimensions of the mutual information with the categories, as
            a share of the categories' entropy: 0 tells nothing, 1 each dimension tells all.
        gmig: Group mutual information gap: ``information`` of this embedding minus that of the
            other one. For content and the label it is the paper's gMIG, where 1 is best; for
            content and an attribute it should be negative.
        mig: Mutual information gap: that of the dimension that tells most minus that of the
            next, as a share of the entropy; 1 if one dimension alone tells all.
        silhouette: How far samples of a category lie nearer to their own than to the next one,
            in [-1, 1], within each label for an attribute; 0 is no grouping.
        patients: Patients that took part.
        reason: Why numbers are undefined, else empty.
    """

    target: str = ""
    latent: str
    predicts: Literal["attribute", "label"]
    attribute: str
    information: Number
    gmig: Number
    mig: Number
    silhouette: Number
    patients: int | None
    reason: str = ""


def latent_information(
    embedding: Mapping[str, Array],
    attribute: str,
    values: pd.Categorical,
    given: Array | None,
    patient: Array,
    seed: int,
    target: str = "",
) -> tuple[LatentInformation, ...]:
    r"""What each embedding tells about an attribute, or about the label.

    .. math:: \mathrm{gMIG} = \frac{1}{H(v)} \Bigl(\frac1d \sum_j I(z_c^j; v)
              - \frac1d \sum_j I(z_s^j; v)\Bigr), \qquad
              \mathrm{MIG} = \frac{1}{H(v)} \bigl(I(z^{(1)}; v) - I(z^{(2)}; v)\bigr)

    The papers take samples from the encoder's distribution. Embeddings hold what their file
    holds, as a rule the means, which tell a little more.

    Args:
        embedding: Latent to ``[n, d]``.
        attribute: Name of the attribute, or ``label``.
        values: ``[n]``; samples where it is missing, and categories with fewer than 20
            patients, are left out.
        given: ``[n]`` label, within which the silhouette is taken; None if the label itself is
            what ``values`` holds.
        patient: ``[n]``.
        seed: Of the sample of each patient.
        target: Name of the target that the label is of.

    Returns:
        One finding an embedding. NaN, with the reason, if no two categories have 20 patients;
        gMIG without content and style both; MIG of a single dimension; the silhouette of a
        constant embedding. Cost, for P patients: ``k P log P`` operations a dimension and
        ``min(P, 2000)^2 d`` for the silhouette.

    References:
        Sun, Goldstein and Engelhard (2025), *CLEAR: Unlearning spurious style-content
        associations with contrastive learning with anti-contrastive regularization*,
        arXiv:2507.18794 (gMIG). Chen, Li, Grosse and Duvenaud (2018), *Isolating sources of
        disentanglement in variational autoencoders*, eq. 6, arXiv:1802.04942 (MIG). Rousseeuw
        (1987), *Silhouettes*, J. Comput. Appl. Math. 20, 53-65.
    """
    generator = np.random.default_rng(seed)
    all_labels = [part.one_per_patient(generator) for part in strata(values, None, patient)]
    within = strata(values, given, patient)
    compared = [_some(part.one_per_patient(generator), generator) for part in within]
    shares = {
        latent: _shares(code, all_labels[0], seed) if all_labels else np.empty(0)
        for latent, code in embedding.items()
    }
    means = {latent: _mean(share) for latent, share in shares.items()}
    found = []
    for latent, code in embedding.items():
        other = {"content": "style", "style": "content"}.get(latent, "")
        gmig = means[latent] - means.get(other, np.nan)
        mig = _gap(shares[latent])
        silhouette = _silhouette(code, compared)
        reasons = {
            f"gMIG: no {other or 'other'} embedding": np.isnan(gmig),
            "MIG: one dimension": np.isnan(mig),
            "silhouette: the embedding is constant or no label has two large categories": (
                np.isnan(silhouette)
            ),
        }
        undefined = "; ".join(reason for reason, applies in reasons.items() if applies)
        found.append(
            LatentInformation(
                target=target,
                latent=latent,
                predicts="label" if given is None else "attribute",
                attribute=attribute,
                information=means[latent],
                gmig=gmig,
                mig=mig,
                silhouette=silhouette,
                patients=len(all_labels[0].rows) if all_labels else 0,
                reason=undefined if all_labels else TOO_FEW,
            )
        )
    return tuple(found)


def mutual_information(value: Array, code: Array, generator: np.random.Generator) -> float:
    """Mutual information of a continuous and a discrete variable, in nats.

    The nearest-neighbour estimator: if the third neighbour of a point within its own category
    is as near as the third neighbour among all, the category tells where the point is. Ties are
    broken by noise of 1e-10 standard deviations.

    Args:
        value: ``[n]``.
        code: ``[n]`` category, 0, 1 ...; categories with one sample are left out.
        generator: Source of the noise.

    Returns:
        At least 0: negative estimates, which independence gives half of the time, are cut. 0 if
        the value is constant or one category is left. Cost: ``n log n`` operations.

    References:
        Ross (2014), *Mutual information between discrete and continuous data sets*, PLoS ONE 9,
        e87357; as in ``sklearn.feature_selection.mutual_info_classif``.

    >>> value = np.r_[np.linspace(0, 1, 50), np.linspace(5, 6, 50)]
    >>> found = mutual_information(value, np.repeat([0, 1], 50), np.random.default_rng(0))
    >>> bool(abs(found - np.log(2)) < 0.01)
    True
    """
    size = np.bincount(code)[code]
    value, code, size = value[size > 1], code[size > 1], size[size > 1]
    if len(np.unique(code)) < 2:
        return 0.0
    value = standardised(value[:, None])[:, 0]
    if not value.any():
        return 0.0
    value = value + 1e-10 * generator.normal(size=len(value))
    near = np.minimum(_NEIGHBOURS, size - 1)
    radius = np.empty(len(value))
    for k in np.unique(code):
        inside = np.flatnonzero(code == k)
        radius[inside] = _distance_to(value[inside], int(near[inside[0]]))
    count = _nearer_than(radius, value)
    found = digamma(len(value)) + np.mean(digamma(near) - digamma(size) - digamma(count))
    return max(0.0, float(found))


def _nearer_than(radius: Array, value: Array) -> Array:
    """Number of values at less than a distance of each, itself counted, ``[n]``."""
    ascending = np.sort(value)
    first = np.searchsorted(ascending, value - radius, side="left")
    last = np.searchsorted(ascending, value + radius, side="right") - 1
    # The point at the very distance may be taken for a nearer one: sums round, differences of
    # the same two numbers do not.
    first += value - ascending[first] >= radius
    last -= ascending[last] - value >= radius
    count: Array = last - first + 1
    return count


def _distance_to(value: Array, k: int) -> Array:
    """Distance of each value to its k-th neighbour, ``[n]``.

    The k nearest of a value and itself are k + 1 consecutive ones of the sorted values.
    """
    order = np.argsort(value, kind="stable")
    ascending = value[order]
    first = np.arange(len(value))[:, None] - np.arange(k + 1)
    inside = (first >= 0) & (first + k < len(value))
    first = np.clip(first, 0, len(value) - k - 1)
    reach = np.maximum(
        ascending[:, None] - ascending[first], ascending[first + k] - ascending[:, None]
    )
    distance = np.empty(len(value))
    distance[order] = np.where(inside, reach, np.inf).min(axis=1)
    return distance


def _shares(code: Array, stratum: Stratum, seed: int) -> Array:
    """Mutual information of each dimension over the entropy of the categories, ``[d]``."""
    share = np.bincount(stratum.code) / len(stratum.code)
    share = share[share > 0]
    entropy = -(share * np.log(share)).sum()
    if entropy == 0:
        return np.empty(0)
    generator = np.random.default_rng(seed)
    each = [
        mutual_information(column, stratum.code, generator) for column in code[stratum.rows].T
    ]
    shares: Array = np.array(each) / entropy
    return shares


def _mean(share: Array) -> float:
    return float(share.mean()) if len(share) else float("nan")


def _gap(share: Array) -> float:
    """The largest minus the second largest; NaN if there is one."""
    if len(share) < 2:
        return float("nan")
    second, first = np.sort(share)[-2:]
    return float(first - second)


def _some(stratum: Stratum, generator: np.random.Generator) -> Stratum:
    """At most 2,000 samples."""
    if len(stratum.rows) <= _MOST_COMPARED:
        return stratum
    kept = np.sort(generator.permutation(len(stratum.rows))[:_MOST_COMPARED])
    return Stratum(
        stratum.rows[kept], stratum.code[kept], stratum.patient[kept], stratum.categories
    )


def _silhouette(code: Array, within: list[Stratum]) -> float:
    """Mean over the strata, weighted by their samples; those that are constant have none."""
    weights, values = [], []
    for stratum in within:
        inside = code[stratum.rows]
        if standardised(inside).any() and len(np.unique(stratum.code)) >= 2:
            weights.append(len(inside))
            values.append(silhouette_score(inside, stratum.code))
    return float(np.average(values, weights=weights)) if values else float("nan")
