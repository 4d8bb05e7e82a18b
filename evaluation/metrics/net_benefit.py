"""Net benefit."""

import numpy as np

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="higher",
    reads="score",
    needs="any",
    label="Net benefit at risk {level}",
    lowest=-np.inf,
    level=0.1,
)
def net_benefit(label: Array, score: Array, weight: Array, threshold: float) -> Array:
    r"""True positives per sample, less the false ones at the exchange rate of the threshold.

    .. math:: \frac{TP}{n} - \frac{FP}{n} \frac{p_t}{1-p_t}

    Who acts from a risk of :math:`p_t` on accepts :math:`(1-p_t)/p_t` false alarms for one case
    found. The name alone stands for 0.1, nine false alarms for a case, as is usual where to
    miss the disease is worse than to look again; at 0.5 both would be equally bad. The
    threshold is a risk, and has nothing to do with the one that decides. It presumes calibrated
    scores and depends on the prevalence: between groups of different prevalence a difference is
    expected even of a perfectly fair score.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``; acted on from the threshold
            on, itself included.
        weight: >= 0, ``[..., n]``.
        threshold: :math:`p_t`, the level, in (0, 1).

    Returns:
        ``[...]`` between minus :math:`p_t/(1-p_t)` and the prevalence; 0 is to act on nobody.
        NaN if there is no sample.

    References:
        Vickers and Elkin (2006), *Decision curve analysis: a novel method for evaluating
        prediction models*, Medical Decision Making 26, 565-574.

    Examples:
        >>> round(net_benefit([1, 1, 0, 0], [0.9, 0.05, 0.3, 0.02]), 4)  # 1/4 - 1/4 x 1/9
        0.2222
    """
    gain = np.where(label == 1, 1.0, -threshold / (1 - threshold))
    return weighted_mean(gain * (score >= threshold), weight)
