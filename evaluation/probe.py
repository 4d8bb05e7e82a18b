"""What a probe is: a family of models that try to read a category from an embedding."""

from abc import ABC, abstractmethod
from itertools import combinations
from typing import ClassVar

import numpy as np

from evaluation.metric import Array
from evaluation.registry import Registry

# A column that varies by no more than rounding, relative to its size, is constant.
_ROUNDING = 1e-12


class Probe(ABC):
    """A family of models, one for each value of a hyper-parameter, on one split into folds.

    A probe predicts several columns at once: the categories, and those of every permutation of
    them. It is fitted without one or two folds (``held``) and read on these.

    Attributes:
        settings: Number of values of the hyper-parameter.
        refits: Whether fitting it to a hundred permutations is cheap enough to be done.
    """

    settings: ClassVar[int]
    refits: ClassVar[bool]

    def __init__(self, code: Array, fold: Array, target: Array, seed: int) -> None:
        """Prepare what all fits share.

        Args:
            code: ``[n, d]`` embedding, finite.
            fold: ``[n]`` fold of each sample, 0, 1 ...; no patient is in two of them.
            target: ``[n, column]``, 0 or 1.
            seed: Of all chance.
        """
        self.code, self.fold, self.target = standardised(code), fold, target.astype(float)
        self.seed = seed

    def rows(self, held: tuple[int, ...]) -> Array:
        """Positions of the samples of some folds, increasing."""
        return np.flatnonzero(np.isin(self.fold, held))

    @abstractmethod
    def predict(self, setting: int, held: tuple[int, ...], columns: Array) -> Array:
        """What a model that never saw the held folds predicts for them.

        Args:
            setting: Which value of the hyper-parameter.
            held: The folds.
            columns: ``[c]`` positions of the wanted columns of the target.

        Returns:
            ``[rows(held), c]``; larger where the column is likelier 1.
        """

    def errors(self, held: tuple[int, ...]) -> Array:
        """Squared error in the held folds, ``[held, setting, column]``, sum of the samples."""
        rows = self.rows(held)
        every = np.arange(self.target.shape[1])
        found = np.empty((len(held), self.settings, len(every)))
        for setting in range(self.settings):
            square = (self.predict(setting, held, every) - self.target[rows]) ** 2
            for k, fold in enumerate(held):
                found[k, setting] = square[self.fold[rows] == fold].sum(axis=0)
        return found


PROBES: Registry[type[Probe]] = Registry("evaluation.probes", "probe", Probe, classes=True)


def out_of_fold(probe: Probe, categories: int) -> Array:
    """Nested cross-validation: what models say about samples whose patients they never saw.

    The outer folds score. For each of them, the other folds choose the hyper-parameter: each is
    held out in turn and predicted from the rest, and the value with the smallest squared error
    of the one-hot categories (the Brier score) wins. A model without the folds j and k serves
    twice, to choose for j and to choose for k, so ``folds * (folds - 1) / 2`` models a value
    do, half of what inner folds of their own would cost.

    Args:
        probe: On a split by patient.
        categories: Number of columns that make one truth; each truth chooses for itself, so a
            permutation is given all the freedom that the data have.

    Returns:
        ``[n, column]`` scores. The share of the column in the training folds is taken off:
        left in, it would be lower in a fold where the category is frequent, and pull an AUROC
        over all folds below chance.
    """
    columns = np.arange(probe.target.shape[1])
    folds = range(int(probe.fold.max()) + 1)
    errors = np.zeros((len(folds), probe.settings, len(columns)))
    for pair in combinations(folds, 2):
        errors[list(pair[::-1])] += probe.errors(pair)
    scores = np.empty(probe.target.shape)
    for k in folds:
        summed = errors[k].reshape(probe.settings, -1, categories).sum(axis=-1)
        chosen = np.repeat(summed.argmin(axis=0), categories)
        rows = probe.rows((k,))
        for setting in np.unique(chosen):
            own = columns[chosen == setting]
            scores[np.ix_(rows, own)] = probe.predict(int(setting), (k,), own)
        scores[rows] -= probe.target[probe.fold != k].mean(axis=0)
    return scores


def patient_folds(patient: Array, folds: int, generator: np.random.Generator) -> Array:
    """Fold of each sample, ``[n]``; all samples of a patient share one.

    There is no other way to make folds for a probe: split by image, it would recognise the
    patient and seem to read what it only remembers.

    Args:
        patient: ``[n]`` number of the patient of each sample, 0 ... P - 1.
        folds: Number of folds, whose numbers of patients differ by at most one.
        generator: Source of chance.
    """
    patients = int(patient.max(initial=-1)) + 1
    fold: Array = generator.permutation(np.arange(patients) % folds)[patient]
    return fold


def permuted(patient: Array, times: int, generator: np.random.Generator) -> Array:
    """Whose value each sample gets when values are permuted among patients.

    A patient gets the values of another one's samples, over and over if they are fewer. So
    values that go together within patients still do.

    Args:
        patient: ``[n]`` number of the patient of each sample, 0 ... P - 1.
        times: Number of permutations.
        generator: Source of chance.

    Returns:
        ``[times, n]`` positions.
    """
    counts = np.bincount(patient)
    order = np.argsort(patient, kind="stable")
    start = np.cumsum(counts) - counts
    place = np.empty(len(patient), int)
    place[order] = np.arange(len(patient)) - np.repeat(start, counts)
    found = np.empty((times, len(patient)), int)
    for which in range(times):
        other = generator.permutation(len(counts))[patient]
        found[which] = order[start[other] + place % counts[other]]
    return found


def standardised(code: Array) -> Array:
    """Columns with mean 0 and variance 1; 0 where a column is constant.

    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    centre, spread = code.mean(axis=0), code.std(axis=0)
    constant = spread <= _ROUNDING * np.abs(centre)
    result: Array = np.where(constant, 0.0, (code - centre) / np.where(constant, 1.0, spread))
    return result
