"""Negative predictive value."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="decided negative",
    label="Negative predictive value (NPV)",
    proportion=True,
)
def negative_predictive_value(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of the samples decided negative that are negative, :math:`P(y=0 \mid \hat y=0)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if no sample is decided negative. It depends on the prevalence.

    Examples:
        >>> negative_predictive_value([1, 0, 0, 1], [1, 0, 0, 0])
        0.6666666666666666
    """
    return weighted_mean(1 - label, weight * (decision == 0))
