"""Brier score."""

from evaluation.metric import Array, metric, weighted_mean


@metric(better="lower", reads="score", needs="any", label="Brier score")
def brier_score(label: Array, score: Array, weight: Array) -> Array:
    r"""Mean squared distance of the score from the label, :math:`\overline{(s-y)^2}`.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1], lower is better. NaN if there is no sample.

    References:
        Brier (1950), *Verification of forecasts expressed in terms of probability*, Monthly
        Weather Review 78, 1-3; here in its one-class form, half of his eq. 2.

    Examples:
        >>> brier_score([1, 0], [0.5, 0.5])
        0.25
    """
    return weighted_mean((score - label) ** 2, weight)
