"""Calibration intercept."""

import numpy as np

from evaluation.metric import Array, metric
from evaluation.recalibration import recalibration


@metric(
    better="ideal",
    ideal=0.0,
    reads="score",
    needs="both",
    label="Calibration intercept",
    lowest=-np.inf,
    highest=np.inf,
)
def calibration_intercept(label: Array, score: Array, weight: Array) -> Array:
    r"""How much too low the scores are on the whole, :math:`a`, in log odds.

    It is the intercept of :math:`\operatorname{logit} P(y=1) = a + \operatorname{logit} s`.

    Calibration in the large: what must be added to all log odds so that as many events are
    expected as occur. Above 0 the scores are too low on the whole, below 0 too high. The slope
    is held at 1, so that it can be read by itself; it is mean calibration in the hierarchy of
    van Calster.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``; kept 1e-8 away from 0 and
            1, so that a sample that is certain counts as logit 18 and not as infinity.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in log odds; 0 is ideal. NaN if a class is absent or has no weight: the
        intercept has no bound then. Defined in all other cases.

    References:
        Cox (1958), *Two further applications of a model for binary regression*, Biometrika 45,
        562-565; van Calster et al. (2016), *A calibration hierarchy for risk models was
        defined: from utopia to empirical data*, J. Clin. Epidemiol. 74, 167-176.

    Examples:
        >>> round(calibration_intercept([0, 1, 1, 1], [0.5, 0.5, 0.5, 0.5]), 4)  # log odds 3
        1.0986
        >>> calibration_intercept([1, 1], [0.9, 0.9])
        nan
    """
    return recalibration(label, score, weight, free_slope=False)[0]
