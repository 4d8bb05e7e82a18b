"""False negative rate."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="lower",
    reads="decision",
    needs="positive",
    label="False negative rate (FNR)",
    proportion=True,
)
def false_negative_rate(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of the positive samples that are decided negative, :math:`P(\hat y=0 \mid y=1)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1], lower is better. NaN if no sample is positive.

    Examples:
        >>> false_negative_rate([1, 1, 0], [1, 0, 1])
        0.5
    """
    return weighted_mean(1 - decision, weight * (label == 1))
