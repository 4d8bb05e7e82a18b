"""What a probe says about samples whose patients it never saw, and how often by chance."""

from dataclasses import dataclass

import numpy as np

from evaluation.bootstrap import patient_weights
from evaluation.metric import Array
from evaluation.metrics.auroc import auroc
from evaluation.probe import PROBES, out_of_fold, patient_folds, permuted
from evaluation.strata import Stratum


@dataclass(frozen=True)
class ProbeScores:
    """Out-of-fold scores of each stratum, for the truth and for its permutations.

    Attributes:
        within: The strata.
        truths: ``[1 + permutations, m, column]`` each; a single column for two categories,
            whose one-vs-rest AUROCs are the same.
        scores: Likewise.
    """

    within: list[Stratum]
    truths: list[Array]
    scores: list[Array]

    @classmethod
    def of(
        cls,
        name: str,
        code: Array,
        within: list[Stratum],
        folds: int,
        permutations: int,
        seed: int,
    ) -> "ProbeScores":
        """Fit a probe in every stratum."""
        truths, scores = [], []
        for part in within:
            truth, score = read(name, code[part.rows], part, folds, permutations, seed)
            first = 1 if len(part.categories) == 2 else 0
            truths.append(truth[..., first:])
            scores.append(score[..., first:])
        return cls(within, truths, scores)

    @property
    def rows(self) -> Array:
        """Positions of all samples that took part."""
        return np.concatenate([part.rows for part in self.within])

    @property
    def shares(self) -> Array:
        """Weight of each stratum: its samples."""
        sizes = np.array([len(part.rows) for part in self.within], float)
        shares: Array = sizes / sizes.sum()
        return shares

    def auroc(self, which: int = 0) -> float:
        """Mean over categories and strata, of the truth or of a permutation."""
        each = [
            np.mean(
                [
                    auroc(truth, score)
                    for truth, score in zip(t[which].T, s[which].T, strict=True)
                ]
            )
            for t, s in zip(self.truths, self.scores, strict=True)
        ]
        return float(self.shares @ each)

    def chance(self) -> Array:
        """The same of every permutation, ``[permutations]``."""
        permutations = range(1, len(self.truths[0]))
        return np.array([self.auroc(which) for which in permutations], float)

    def resampled(self, patient: Array, draws: int, seed: int) -> Array:
        """The same on resampled patients, ``[draws]``; in all strata at once."""
        starts = np.cumsum([0, *(len(part.rows) for part in self.within)])
        plans = [
            [
                (order + start, truth[order], score[order])
                for truth, score in zip(t[0].T, s[0].T, strict=True)
                # Scores that ascend already need no sorting in any draw.
                for order in [np.argsort(score, kind="stable")]
            ]
            for start, t, s in zip(starts, self.truths, self.scores, strict=False)
        ]
        blocks = []
        for weight in patient_weights(patient[self.rows], draws, seed):
            each = [
                np.mean(
                    [auroc(truth, score, weight[:, at]) for at, truth, score in plan], axis=0
                )
                for plan in plans
            ]
            blocks.append(self.shares @ np.array(each))
        return np.concatenate(blocks)


def read(
    name: str, code: Array, stratum: Stratum, folds: int, permutations: int, seed: int
) -> tuple[Array, Array]:
    """Let a probe read the categories of a stratum.

    Args:
        name: Of the probe.
        code: ``[m, d]`` embedding of the stratum's samples.
        stratum: Its categories and patients.
        folds: Number of folds, over patients.
        permutations: Number of permutations, if the probe is fitted to them.
        seed: Of folds, permutations and the probe. Two probes with the same seed have the same
            folds and permutations.

    Returns:
        Truth (0 or 1) and out-of-fold score, ``[1 + permutations, m, category]`` each, the
        permutations last; none of them if the probe is too slow to be refitted.
    """
    kind = PROBES.get(name)
    generator = np.random.default_rng(seed)
    fold = patient_folds(stratum.patient, folds, generator)
    times = permutations if kind.refits else 0
    rows = np.concatenate(
        [np.arange(len(code))[None], permuted(stratum.patient, times, generator)]
    )
    truths = stratum.truth[rows]
    target = truths.transpose(1, 0, 2).reshape(len(code), -1)
    scores = out_of_fold(kind(code, fold, target, seed), len(stratum.categories))
    return truths, scores.reshape(len(code), *truths.shape[::2]).transpose(1, 0, 2)
