"""Audits as users of fairlearn know them: its arrays in, its tables out."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.audit_frame import AuditFrame
from evaluation.bootstrap import Resampling, bootstrap, count_units
from evaluation.errors import Fault, InputError
from evaluation.feature_groups import FeatureGroups
from evaluation.foreign_arrays import from_arrays, named_features
from evaluation.foreign_metrics import as_metric
from evaluation.metric import Metric
from evaluation.predictions import Predictions

Given = str | Metric | Callable[..., Any]


def audit_frame(
    *,
    metrics: Given | Sequence[str] | Mapping[str, Given],
    y_true: Any,
    y_pred: Any = None,
    y_score: Any = None,
    sensitive_features: Any,
    control_features: Any = None,
    patient: Any = None,
    sample_weight: Any = None,
    positive: object = None,
    n_boot: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> AuditFrame:
    """Audit arrays by group, called as ``fairlearn.metrics.MetricFrame`` is.

    Args:
        metrics: One metric, several names, or metrics by the name of their column. A metric is
            a name (``auroc``, ``fairlearn.selection_rate``, ``sklearn.scorer.f1``), a
            :class:`Metric`, a function of ``(y_true, y_pred)`` or a scikit-learn scorer; those
            that other libraries compute are slow.
        y_true: See :func:`from_arrays`, for this and all other arrays.
        y_pred: What metrics of the decision read.
        y_score: What metrics of the score read, such as an AUROC.
        sensitive_features: Their groups, all crossed, are compared.
        control_features: Groups are compared within each group of these.
        patient: The unit of resampling.
        sample_weight: Given to every metric.
        positive: Value of ``y_true`` and ``y_pred`` that is the positive class.
        n_boot: Bootstrap draws, >= 0; without any there are no intervals.
        confidence: Of every interval, in (0, 1).
        seed: Of the draws, >= 0.

    Returns:
        The table of groups.

    Raises:
        InputError: A metric is not known or reads what was not given, an array does not fit, or
            a number is out of range.

    Examples:
        >>> frame = audit_frame(metrics=["true_positive_rate"], y_true=[1, 1, 1, 0],
        ...     y_pred=[1, 0, 1, 1], sensitive_features=["f", "f", "m", "x"])
        >>> frame.by_group["true_positive_rate"].to_dict()
        {'f': 0.5, 'm': 1.0, 'x': nan}
        >>> frame.reasons["true_positive_rate"]["x"]
        'no positive samples'
    """
    single, named = _named(metrics)
    faults = list(_faults(named.values(), y_pred, y_score, n_boot, confidence, seed))
    if faults:
        raise InputError(*faults)
    predictions = from_arrays(
        y_true,
        y_pred,
        y_score=y_score,
        sensitive_features=sensitive_features,
        control_features=control_features,
        patient=patient,
        sample_weight=sample_weight,
        positive=positive,
    )
    grouped = FeatureGroups.of(
        predictions.table,
        list(named_features(control_features, "control_feature")),
        list(named_features(sensitive_features, "sensitive_feature")),
    )
    targets = predictions.answers({"": 0.5})
    _, patients = np.unique(predictions.patient, return_inverse=True)
    sampled = Resampling(patients, predictions.weight, n_boot, seed, confidence)
    found = list(named.values())
    cube = bootstrap(targets, grouped.groups, found, sampled.weight, sampled.weights())
    units = count_units(targets, grouped.groups, cube.measures, patients, sampled.weight)
    return AuditFrame(tuple(named), single, grouped, cube, units, confidence)


def metric_frame(
    predictions: Predictions,
    metrics: Mapping[str, Callable[..., Any]],
    attributes: Sequence[str],
    threshold: float | None = None,
) -> Any:
    """Fairlearn's table of the test rows, for those who work with fairlearn.

    It has point estimates only: fairlearn's bootstrap resamples rows, not patients.
    :func:`audit_frame` makes a table like it with intervals.

    Args:
        predictions: Checked predictions.
        metrics: Any functions of ``(y_true, y_pred)``, such as fairlearn's.
        attributes: Attributes whose crossing makes the groups; a missing value is the group
            ``(missing)``.
        threshold: ``y_pred`` is the decision from this score on; None passes the scores.

    Returns:
        A ``fairlearn.metrics.MetricFrame``.

    Raises:
        InputError: There is no test row, or the task is not binary.

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

    if predictions.task != "binary":
        found = f"a {predictions.task} task has no single label and score"
        remedy = "Make binary predictions of one finding or class."
        raise InputError(Fault(predictions.source, found, remedy))
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


def _named(
    metrics: Given | Sequence[str] | Mapping[str, Given],
) -> tuple[bool, dict[str, Metric]]:
    """Whether one metric was given by itself, and the metrics by the name of their column."""
    if isinstance(metrics, Mapping):
        return False, {str(name): as_metric(each, str(name)) for name, each in metrics.items()}
    if isinstance(metrics, str | Metric) or callable(metrics):
        metric = as_metric(metrics)
        return True, {metric.name: metric}
    return False, {name: as_metric(name) for name in metrics}


def _faults(
    metrics: Collection[Metric],
    y_pred: Any,
    y_score: Any,
    n_boot: int,
    confidence: float,
    seed: int,
) -> Iterator[Fault]:
    for name, reads, array in (("y_pred", "decision", y_pred), ("y_score", "score", y_score)):
        readers = [metric.name for metric in metrics if metric.reads == reads]
        if readers and array is None:
            found = f"{', '.join(readers)} reads a {reads}, and there is no {name}"
            yield Fault("metrics", found, f"Give {name}, or leave the metric out.")
    if not metrics:
        yield Fault("metrics", "there is none", "Name at least one.")
    if n_boot < 0:
        yield Fault("n_boot", f"it is {n_boot}", "Give 0 or more draws.")
    if seed < 0:
        yield Fault("seed", f"it is {seed}", "Give 0 or more.")
    if not 0 < confidence < 1:
        yield Fault("confidence", f"it is {confidence}", "Give a number between 0 and 1.")
