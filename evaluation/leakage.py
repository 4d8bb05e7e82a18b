"""Leakage: how well an attribute can be read from an embedding."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from evaluation.bootstrap import patient_weights
from evaluation.findings import Leakage
from evaluation.groups import MISSING
from evaluation.intervals import percentile_interval
from evaluation.metric import Array
from evaluation.metrics.auroc import auroc

FOLDS = 5
PERMUTATIONS = 100
MINIMUM_PATIENTS = 20
# Ridge per training row: enough to keep a probe with more features than rows from memorising.
_RIDGE = 0.01


def leakage(
    latent: str,
    embedding: Array,
    attribute: str,
    values: pd.Categorical,
    label: Array,
    patient: Array,
    draws: int,
    seed: int,
    confidence: float,
) -> Leakage:
    r"""Probe an embedding for an attribute, within each label.

    Within a label, because an embedding that knows the label knows every attribute that goes
    with it. A linear probe (ridge regression on the one-hot attribute) is fitted in five folds
    that share no patient; its out-of-fold scores give one-vs-rest AUROCs, averaged over the
    categories and then over the labels. Splitting by image instead would read the patient: 0.82
    where 0.49 is true.

    Args:
        latent: Name of the embedding, for the result.
        embedding: ``[n, d]`` float.
        attribute: Name of the attribute.
        values: ``[n]``; samples where it is missing are left out.
        label: ``[n]``, 0 or 1.
        patient: ``[n]``.
        draws: Bootstrap draws of the interval, over patients, of the fixed out-of-fold scores.
        seed: Of folds, draws and permutations.
        confidence: Of the interval.

    Returns:
        The finding. NaN, with its reason, if no label has two categories with 20 patients each.

    References:
        Glocker et al. (2023), *Algorithmic encoding of protected characteristics in chest X-ray
        disease detection models*, eBioMedicine 89, 104467 (probing embeddings for attributes).
    """
    kept = np.asarray(values != MISSING)
    scored = [
        _Probe(embedding[rows], np.asarray(values)[rows], patient[rows], seed)
        for y in (0, 1)
        if len(rows := np.flatnonzero(kept & (label == y))) > 0
    ]
    scored = [probe for probe in scored if len(probe.categories) >= 2]
    patients = len(np.unique(np.concatenate([p.patient for p in scored]))) if scored else 0
    if not scored:
        reason = f"no label has two categories with {MINIMUM_PATIENTS} patients each"
        nan = float("nan")
        return Leakage(
            latent=latent,
            attribute=attribute,
            auroc=nan,
            low=nan,
            high=nan,
            chance_high=nan,
            patients=patients,
            reason=reason,
        )
    share = np.array([len(probe.patient) for probe in scored], float)
    share /= share.sum()
    point = sum(w * float(p.auroc(p.scores[0])) for w, p in zip(share, scored, strict=True))
    chance = sum(w * p.chance() for w, p in zip(share, scored, strict=True))
    drawn = sum(w * p.resampled(draws, seed) for w, p in zip(share, scored, strict=True))
    low, high, reason = percentile_interval(np.asarray(drawn), confidence)
    return Leakage(
        latent=latent,
        attribute=attribute,
        auroc=point,
        low=low,
        high=high,
        chance_high=np.nanquantile(chance, 0.95),
        patients=patients,
        reason=reason,
    )


class _Probe:
    """Out-of-fold scores for the attribute and for its permutations, within one label."""

    def __init__(self, embedding: Array, values: Array, patient: Array, seed: int) -> None:
        names, code = np.unique(values, return_inverse=True)
        counts = [len(np.unique(patient[code == k])) for k in range(len(names))]
        large = [k for k in range(len(names)) if counts[k] >= MINIMUM_PATIENTS]
        kept = np.isin(code, large)
        self.categories = [names[k] for k in large]
        self.patient = patient[kept]
        truth = code[kept][:, None] == np.array(large, int)
        self.generator = np.random.default_rng(seed)
        self.seed = seed
        self.truths = np.stack([truth, *self._permuted(truth)])
        self.scores = (
            self._out_of_fold(embedding[kept]) if len(large) >= 2 else np.empty((0, 0, 0))
        )

    def _permuted(self, truth: Array) -> list[Array]:
        """The attribute permuted among patients.

        A patient gets the images' values of another one, over and over if they are fewer. So
        values that go together within patients still do.
        """
        _, code, counts = np.unique(self.patient, return_inverse=True, return_counts=True)
        order = np.argsort(code, kind="stable")
        start = np.cumsum(counts) - counts
        place = np.empty(len(code), int)
        place[order] = np.arange(len(code)) - np.repeat(start, counts)
        permuted = []
        for _ in range(PERMUTATIONS):
            other = self.generator.permutation(len(counts))[code]
            permuted.append(truth[order[start[other] + place % counts[other]]])
        return permuted

    def _out_of_fold(self, embedding: Array) -> Array:
        """``[1 + permutations, n, category]``. All truths share a fold's one factorisation."""
        permutations, rows, categories = self.truths.shape
        target = self.truths.transpose(1, 0, 2).reshape(rows, -1).astype(float)
        scores = np.empty_like(target)
        folds = GroupKFold(FOLDS, shuffle=True, random_state=self.seed)
        for train, test in folds.split(embedding, groups=self.patient):
            mean, spread = embedding[train].mean(axis=0), embedding[train].std(axis=0)
            spread[spread == 0] = 1
            seen, unseen = ((embedding[rows] - mean) / spread for rows in (train, test))
            centre = target[train].mean(axis=0)
            gram = seen.T @ seen + _RIDGE * len(train) * np.eye(seen.shape[1])
            fitted = np.linalg.solve(gram, seen.T @ (target[train] - centre))
            scores[test] = unseen @ fitted + centre
        return scores.reshape(rows, permutations, categories).transpose(1, 0, 2)

    def auroc(self, scores: Array, weight: Array | None = None, which: int = 0) -> Array:
        """One-vs-rest AUROC, mean of the categories, ``[...]`` for a weight ``[..., n]``."""
        each = [
            auroc(self.truths[which][:, k], scores[:, k], weight)
            for k in range(len(self.categories))
        ]
        mean: Array = np.mean(each, axis=0)
        return mean

    def chance(self) -> Array:
        """The AUROC of every permutation, ``[permutations]``."""
        pairs = range(1, PERMUTATIONS + 1)
        return np.array([self.auroc(self.scores[k], which=k) for k in pairs])

    def resampled(self, draws: int, seed: int) -> Array:
        """The AUROC on resampled patients, ``[draws]``."""
        blocks = [
            self.auroc(self.scores[0], weight)
            for weight in patient_weights(self.patient, draws, seed)
        ]
        return np.concatenate(blocks)
