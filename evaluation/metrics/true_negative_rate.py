"""Specificity."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="negative",
    label="Specificity (TNR)",
    proportion=True,
)
def true_negative_rate(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of the negative samples that are decided negative, :math:`P(\hat y=0 \mid y=0)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if no sample is negative.

    Examples:
        >>> true_negative_rate([1, 0, 0, 0, 0], [1, 1, 0, 0, 0])
        0.75
    """
    return weighted_mean(1 - decision, weight * (label == 0))
