"""Sensitivity."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="positive",
    label="Sensitivity (TPR)",
    proportion=True,
)
def true_positive_rate(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of the positive samples that are decided positive, :math:`P(\hat y=1 \mid y=1)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if no sample is positive: the rate has no denominator then, and
        a 0 would name this group the worst one.

    Examples:
        >>> true_positive_rate([1, 1, 0], [1, 0, 1])
        0.5
        >>> true_positive_rate([0, 0], [1, 0])
        nan
    """
    return weighted_mean(decision, weight * (label == 1))
