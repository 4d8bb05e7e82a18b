"""Sensitivity at a fixed specificity."""

import numpy as np

from evaluation.metric import Array, by_score, metric, ratio

_ROUNDING = 1e-9


@metric(
    better="higher",
    reads="score",
    needs="both",
    label="Sensitivity at specificity {level}",
    level=0.9,
)
def sensitivity_at_specificity(
    label: Array, score: Array, weight: Array, specificity: float
) -> Array:
    r"""Height of the receiver operating characteristic at a specificity.

    The curve is the group's own, so each group is read at its own threshold: it compares what
    the scores could do, not what one threshold does. Between two thresholds the curve is a
    straight line, as it is for the AUROC; the next stricter threshold would be a step that
    costs small groups more than large ones. Where the curve is vertical, its upper end counts.

    Args:
        label: 0 or 1, ``[n]``.
        score: Any order-preserving score, ``[n]``; tied samples are one threshold.
        weight: >= 0, ``[..., n]``.
        specificity: The level, in (0, 1).

    Returns:
        ``[...]`` in [0, 1]; one less the specificity is chance. NaN if a class is absent or has
        no weight.

    References:
        Pepe (2003), *The statistical evaluation of medical tests for classification and
        prediction*, Oxford University Press (ROC(t) at a fixed t).

    Examples:
        >>> round(sensitivity_at_specificity([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.5
        >>> round(sensitivity_at_specificity([0, 1], [0.5, 0.5]), 4)
        0.1
    """
    if len(label) == 0:
        return np.full(weight.shape[:-1], np.nan)
    # From the highest score down, so that all false positives come before the threshold.
    positive, negative = (each[..., ::-1] for each in by_score(label, score, weight))
    true, false = positive.cumsum(axis=-1), negative.cumsum(axis=-1)
    all_true, all_false = true[..., -1:], false[..., -1:]
    allowed = (1 - specificity) * all_false
    passed = (false <= allowed + _ROUNDING * all_false).sum(axis=-1, keepdims=True)
    after = np.minimum(passed, false.shape[-1] - 1)

    def at(cumulated: Array, place: Array) -> Array:
        value: Array = np.take_along_axis(cumulated, np.maximum(place, 0), axis=-1)
        return np.where(place < 0, 0.0, value)

    start, width = at(false, passed - 1), at(negative, after)
    part = np.clip(ratio(allowed - start, width), 0.0, 1.0)
    found = at(true, passed - 1) + part * at(positive, after)
    return np.where(all_false == 0, np.nan, ratio(found, all_true))[..., 0]
