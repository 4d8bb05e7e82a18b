"""Calibration slope."""

import numpy as np

from evaluation.metric import Array, metric
from evaluation.recalibration import recalibration


@metric(
    better="ideal",
    ideal=1.0,
    reads="score",
    needs="both",
    label="Calibration slope",
    lowest=-np.inf,
    highest=np.inf,
)
def calibration_slope(label: Array, score: Array, weight: Array) -> Array:
    r"""How much the risk moves with the score, :math:`b`, both in log odds.

    It is the slope of :math:`\operatorname{logit} P(y=1) = a + b \operatorname{logit} s`.

    Below 1 the scores are too extreme, as of an overfitted model; above 1 they are too timid;
    at 0 they carry nothing and below 0 they point the wrong way. Together with
    :data:`calibration_intercept` it is weak calibration in the hierarchy of van Calster.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``; kept 1e-8 away from 0 and
            1, so that a sample that is certain counts as logit 18 and not as infinity.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]``; 1 is ideal. NaN if a class is absent or has no weight, if all scores are the
        same, and if a threshold separates the classes (but for samples on it): the slope has no
        bound then. A group of few positives is often so separated in resamples.

    References:
        Cox (1958), *Two further applications of a model for binary regression*, Biometrika 45,
        562-565; van Calster et al. (2016), *A calibration hierarchy for risk models was
        defined: from utopia to empirical data*, J. Clin. Epidemiol. 74, 167-176.

    Examples:
        >>> label = [0, 0, 0, 0, 1, 0, 1, 1, 1, 1]
        >>> score = [0.2, 0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8, 0.8]
        >>> round(calibration_slope(label, score), 6)
        1.0
        >>> calibration_slope([0, 1], [0.3, 0.6])
        nan
    """
    return recalibration(label, score, weight, free_slope=True)[1]
