"""Matthews correlation."""

import numpy as np

from evaluation.metric import Array, metric, ratio, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="both",
    label="Matthews correlation (MCC)",
    lowest=-1.0,
)
def matthews_correlation(label: Array, decision: Array, weight: Array) -> Array:
    r"""Correlation of label and decision.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [-1, 1]; 0 is chance. NaN if label or decision is the same for all samples.

    References:
        Matthews (1975), *Comparison of the predicted and observed secondary structure of T4
        phage lysozyme*, Biochim. Biophys. Acta 405, 442-451, eq. 2.

    Examples:
        >>> matthews_correlation([1, 1, 0, 0], [1, 0, 0, 0])
        0.5773502691896258
    """
    mean_label, mean_decision = weighted_mean(label, weight), weighted_mean(decision, weight)
    both = weighted_mean(label * decision, weight)
    spreads = [mean * (1 - mean) for mean in (mean_label, mean_decision)]
    # Rounding must not tell a constant from itself.
    spread = np.prod([np.where(each < 1e-12, 0.0, each) for each in spreads], axis=0)
    return ratio(both - mean_label * mean_decision, np.sqrt(spread))
