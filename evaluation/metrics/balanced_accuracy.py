"""Balanced accuracy."""

from evaluation.metric import Array, metric, weighted_mean


@metric(better="higher", reads="decision", needs="both", label="Balanced accuracy")
def balanced_accuracy(label: Array, decision: Array, weight: Array) -> Array:
    r"""Mean of sensitivity and specificity, whatever the prevalence.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]; 0.5 is chance. NaN if a class is absent.

    Examples:
        >>> balanced_accuracy([1, 1, 0, 0], [1, 0, 0, 0])
        0.75
    """
    right = (label == decision).astype(float)
    sensitivity = weighted_mean(right, weight * (label == 1))
    specificity = weighted_mean(right, weight * (label == 0))
    return (sensitivity + specificity) / 2
