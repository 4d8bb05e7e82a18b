"""False positive rate."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="lower",
    reads="decision",
    needs="negative",
    label="False positive rate (FPR)",
    proportion=True,
)
def false_positive_rate(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of the negative samples that are decided positive, :math:`P(\hat y=1 \mid y=0)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1], lower is better. NaN if no sample is negative.

    Examples:
        >>> false_positive_rate([1, 0, 0, 0], [1, 1, 0, 0])
        0.3333333333333333
        >>> false_positive_rate([1, 1], [1, 0])
        nan
    """
    return weighted_mean(decision, weight * (label == 0))
