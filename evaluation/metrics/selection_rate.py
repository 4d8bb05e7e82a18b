"""Selection rate."""

from evaluation.metric import Array, metric, weighted_mean


@metric(better="higher", reads="decision", needs="any", label="Selection rate", proportion=True)
def selection_rate(label: Array, decision: Array, weight: Array) -> Array:
    r"""Share of samples decided positive, :math:`P(\hat y=1)`.

    Its gap is the demographic parity difference.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if there is no sample. Whether more is better depends on what
        the decision brings; here it is taken for a benefit.

    Examples:
        >>> selection_rate([1, 0, 0, 0], [1, 1, 0, 0])
        0.5
    """
    return weighted_mean(decision, weight)
