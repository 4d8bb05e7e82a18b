"""Accuracy."""

from evaluation.metric import Array, metric, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="any",
    label="Accuracy",
    proportion=True,
    multiclass=True,
)
def accuracy(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of samples decided as labelled, :math:`P(\hat y = y)`.

    Args:
        label: 0 or 1, or the class number, ``[n]``.
        decision: 0 or 1, or the decided class number, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if there is no sample.

    Examples:
        >>> accuracy([1, 1, 0, 0], [1, 0, 0, 0])
        0.75
    """
    return weighted_mean((label == decision).astype(float), weight)
