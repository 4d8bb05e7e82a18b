"""Precision."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="decided positive",
    label="Precision (PPV)",
    proportion=True,
)
def positive_predictive_value(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of the samples decided positive that are positive, :math:`P(y=1 \mid \hat y=1)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if no sample is decided positive. It depends on the prevalence.

    Examples:
        >>> positive_predictive_value([1, 0, 1, 1], [1, 1, 0, 0])
        0.5
    """
    return weighted_mean(label, weight * (decision == 1))
