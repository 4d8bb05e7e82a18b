"""The same predictions as other fairness tools take them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evaluation.errors import Fault, InputError
from evaluation.predictions import Predictions


def metric_frame(
    predictions: Predictions,
    metrics: Mapping[str, Callable[..., Any]],
    attributes: Sequence[str],
    threshold: float | None = None,
) -> Any:
    """Fairlearn's table of the test rows, for those who work with fairlearn.

    It has point estimates only: fairlearn's bootstrap resamples rows, not patients.

    Args:
        predictions: Checked predictions.
        metrics: Any functions of ``(y_true, y_pred)``, such as fairlearn's.
        attributes: Attributes whose crossing makes the groups; a missing value is the group
            ``(missing)``.
        threshold: ``y_pred`` is the decision from this score on; None passes the scores.

    Returns:
        A ``fairlearn.metrics.MetricFrame``.

    Raises:
        InputError: There is no test row.

    Examples:
        >>> import pandas as pd
        >>> from sklearn.metrics import recall_score
        >>> table = pd.DataFrame({"sample": list("abcd"), "patient": list("abcd"), "label": 1,
        ...     "score": [0.9, 0.8, 0.7, 0.1], "sex": list("ffmm")})
        >>> checked = Predictions.from_table(table, ["sex"])
        >>> frame = metric_frame(checked, {"recall": recall_score}, ["sex"], threshold=0.5)
        >>> frame.by_group["recall"].to_dict()
        {'f': 1.0, 'm': 0.5}
    """
    # Imported here: fairlearn takes over a second, which other uses need not pay.
    from fairlearn.metrics import MetricFrame

    from evaluation.groups import MISSING

    table = predictions.only("test").table
    if table.empty:
        remedy = "Mark them 'test' in the split column."
        raise InputError(Fault(predictions.source, "has no test rows", remedy))
    features = (
        table[list(attributes)].astype("str").where(table[list(attributes)].notna(), MISSING)
    )
    value = table["score"] if threshold is None else (table["score"] >= threshold).astype(int)
    return MetricFrame(
        metrics=dict(metrics),
        y_true=table["label"],
        y_pred=value,
        sensitive_features=features,
    )
