"""Multilayer perceptron as a probe."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from evaluation.metric import Array
from evaluation.probe import Probe

# Hidden units and weight decay (scikit-learn's alpha).
_SETTINGS = ((16, 3.0), (32, 10.0), (32, 30.0))
_STEPS = 100
# More samples are drawn from.
_MOST_SAMPLES = 5000


class PerceptronProbe(Probe):
    """One hidden layer of rectified units; its width and weight decay are chosen.

    Fitted by at most 100 steps of L-BFGS, an early stop, to at most 5,000 drawn training
    samples. Cost: ``35 * 100 * 6 n d h`` operations in five folds, with n <= 5,000 samples and
    h hidden units: seconds, not milliseconds. It is therefore fitted to the data alone, not to
    permutations.
    """

    settings = len(_SETTINGS)
    refits = False

    def predict(self, setting: int, held: tuple[int, ...], columns: Array) -> Array:
        """Predict the held folds, see :meth:`evaluation.probe.Probe.predict`.

        The columns must be the categories of one truth.
        """
        truth = self.target.argmax(axis=1)
        rows, seen = self.rows(held), np.flatnonzero(~np.isin(self.fold, held))
        predicted = np.zeros((len(rows), self.target.shape[1]))
        if len(seen) > _MOST_SAMPLES:
            seen = np.random.default_rng(self.seed).permutation(seen)[:_MOST_SAMPLES]
        classes = np.unique(truth[seen])
        if len(classes) == 1:
            predicted[:, classes] = 1.0
            return predicted[:, columns]
        width, decay = _SETTINGS[setting]
        model = MLPClassifier(
            (width,), alpha=decay, solver="lbfgs", max_iter=_STEPS, random_state=self.seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self.code[seen], truth[seen])
        predicted[:, classes] = model.predict_proba(self.code[rows])
        return predicted[:, columns]
