"""Log loss."""

import numpy as np

from evaluation.metric import Array, metric, weighted_mean

_EDGE = float(np.finfo(float).eps)


@metric(better="lower", reads="score", needs="any", label="Log loss", highest=np.inf)
def log_loss(label: Array, score: Array, weight: Array) -> Array:
    r"""Mean negative log-likelihood, :math:`-\overline{y \ln s + (1-y) \ln(1-s)}`, in nats.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` >= 0, lower is better. NaN if there is no sample. Scores are kept 2.2e-16 away
        from 0 and 1, so that one certain error counts 36 and not infinity.

    Examples:
        >>> round(log_loss([1, 0], [0.5, 0.5]), 4)
        0.6931
    """
    safe = np.clip(score, _EDGE, 1 - _EDGE)
    return weighted_mean(-np.log(np.where(label == 1, safe, 1 - safe)), weight)
