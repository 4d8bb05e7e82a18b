"""The guard of the counterfactual style test: what reconstruction alone does to predictions."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from evaluation.counterfactual_table import ERROR
from evaluation.metric import Array
from evaluation.pair_means import PatientPairs, Sampling
from evaluation.settings import Number, Settings

NOTHING_DECIDES = "no threshold decides"

_NUMBERS = ("flip_rate", "low", "high", "correlation", "squared_error", "psnr")


class CounterfactualSpec(Settings):
    """How styles are exchanged, and when the result is believed.

    Attributes:
        samples: Test images, at most, whose style is exchanged. All images of so many drawn
            patients; the cost is about one prediction and one decoding each time.
        partners: ``one``: every image gets a style of one other group of an attribute, drawn.
            ``each``: of every other group, which takes longer. One of its own group, the
            control, always.
        worst_flip_rate: If the reconstruction alone flips more than this share of the
            decisions, what a swap does cannot be told from what the decoder does.
        least_correlation: The same if the scores of the reconstructions correlate less than
            this with those of the images.
    """

    samples: int = Field(default=2000, ge=1)
    partners: Literal["each", "one"] = "one"
    worst_flip_rate: float = Field(default=0.1, ge=0, le=1)
    least_correlation: float = Field(default=0.8, ge=-1, le=1)


class Reconstruction(Settings):
    """What reconstruction alone, without any exchange, does to the predictions of a group.

    Attributes:
        classifier: Whose predictions.
        target: Name of the target; empty for a binary task.
        attribute: What the group is made of; empty for all images.
        group: Its name; ``all`` for all images.
        flip_rate: Share of the images whose reconstruction is decided otherwise than they are;
            NaN where undefined.
        low: Lower end of its interval over patients.
        high: Upper end.
        correlation: Pearson correlation of the scores of images and reconstructions; NaN if one
            of them does not vary.
        squared_error: Mean squared error of the pixels in [0, 1]; NaN if not known.
        psnr: The same as a peak signal-to-noise ratio, in decibels; NaN if there is no error.
        patients: Patients that it rests on.
        images: Their images.
        trusted: Whether swaps of these images may be read.
        reason: Why they may not be, or why a number is undefined; else empty.
    """

    classifier: str
    target: str = ""
    attribute: str = ""
    group: str
    flip_rate: Number
    low: Number
    high: Number
    correlation: Number
    squared_error: Number
    psnr: Number
    patients: int | None
    images: int | None
    trusted: bool
    reason: str = ""


def reconstructions(
    rows: pd.DataFrame, spec: CounterfactualSpec, sampling: Sampling
) -> Iterator[Reconstruction]:
    """The reconstruction of all images, and of each group of each attribute.

    Args:
        rows: Counterfactuals of one classifier and target, with decisions (NaN if nothing
            decides). An image counts once, however many swaps it has.
        spec: Bounds.
        sampling: Of patients. Of a group of too few nothing is said, and it is not trusted.
    """
    name = {"classifier": rows["classifier"].iloc[0], "target": rows["target"].iloc[0]}
    parts = [("", "all", rows)]
    for (attribute, value), some in rows.groupby(["attribute", "from"], sort=False):
        parts.append((str(attribute), f"{attribute}: {value}", some))
    for attribute, group, some in parts:
        images = some.drop_duplicates("sample")
        yield _reconstruction(
            images, spec, sampling, {**name, "attribute": attribute, "group": group}
        )


def _reconstruction(
    images: pd.DataFrame, spec: CounterfactualSpec, sampling: Sampling, name: dict[str, str]
) -> Reconstruction:
    patients = images["patient"].nunique()
    counts = {"patients": patients, "images": len(images)}
    if patients < sampling.minimum_patients:
        nothing = dict.fromkeys(_NUMBERS, np.nan)
        reason = f"rests on {patients} patients"
        return Reconstruction(**name, **counts, **nothing, trusted=False, reason=reason)
    flipped = apart(images["decision"], images["decision_reconstructed"])
    whose = images["patient"].to_numpy()
    pairs = PatientPairs.of(whose, whose, sampling)
    (mean,) = pairs.means(flipped[None], np.full((1, len(images)), True))
    low, high, missing = pairs.interval(mean, share=True)
    correlation = _correlation(images["score"], images["score_reconstructed"])
    error = float(images[ERROR].mean(skipna=False))
    reason = _distrust(mean.point, correlation, spec)
    undefined = NOTHING_DECIDES if np.isnan(mean.point) else missing
    return Reconstruction(
        **name,
        **counts,
        flip_rate=mean.point,
        low=low,
        high=high,
        correlation=correlation,
        squared_error=error,
        psnr=-10 * np.log10(error) if error > 0 else np.nan,
        trusted=not reason,
        reason=reason or (undefined if np.isnan(low) else ""),
    )


def _distrust(flip_rate: float, correlation: float, spec: CounterfactualSpec) -> str:
    """Why swaps may not be read, if so."""
    reasons = []
    if flip_rate > spec.worst_flip_rate:
        reasons.append(
            f"the reconstruction alone flips {flip_rate:.1%} of the decisions, more than "
            f"{spec.worst_flip_rate:.0%}"
        )
    if np.isnan(correlation):
        reasons.append("the scores do not vary, so reconstructions cannot be judged by them")
    elif correlation < spec.least_correlation:
        reasons.append(
            f"scores of reconstructions correlate {correlation:.2f} with those of the images, "
            f"less than {spec.least_correlation:g}"
        )
    return "; ".join(reasons)


def apart(one: pd.Series, other: pd.Series) -> Array:
    """1.0 where two decisions differ, NaN where nothing was decided."""
    first, second = one.to_numpy(float), other.to_numpy(float)
    return np.where(np.isnan(first + second), np.nan, (first != second) * 1.0)


def _correlation(one: pd.Series, other: pd.Series) -> float:
    first, second = one.to_numpy(float), other.to_numpy(float)
    if min(np.ptp(first), np.ptp(second)) < 1e-12:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
