"""Predictions from arrays, as fairlearn takes them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from evaluation.columns import Columns
from evaluation.errors import Fault, InputError
from evaluation.metric import Array
from evaluation.predictions import COLUMNS, Predictions

_RESERVED = {*COLUMNS, "decision", "weight"}


def from_arrays(
    y_true: Any,
    y_pred: Any = None,
    *,
    y_score: Any = None,
    sensitive_features: Any,
    control_features: Any = None,
    patient: Any = None,
    sample_weight: Any = None,
    positive: object = None,
) -> Predictions:
    """Predictions from the arrays of a fairlearn call; all its rows are test rows.

    Indices of Series and tables are not read: row k of each belongs together.

    Args:
        y_true: Truth, ``[n]``: 0 or 1, or words with ``positive``.
        y_pred: Decisions, ``[n]``, in the same values as ``y_true``.
        y_score: Probabilities of the positive class, ``[n]`` in [0, 1]. Without them the
            decisions stand as scores, so ask for metrics of the decision only.
        sensitive_features: Attributes: a list, Series or array ``[n]``, or an array
            ``[n, k]``, table or dict of columns. A column without a name is called
            ``sensitive_feature_0`` and so on. Unlike in fairlearn, values may be missing: such
            rows are the group ``(missing)``.
        control_features: More attributes, likewise; called ``control_feature_0`` and so on.
        patient: Whose image each row is, ``[n]``, the unit of resampling. None: every row is
            of another patient, which makes intervals too narrow if it is not so.
        sample_weight: ``[n]`` >= 0. None: 1.
        positive: Value of ``y_true`` and ``y_pred`` that is the positive class.

    Returns:
        A checked table; its attributes are the features.

    Raises:
        InputError: Arrays differ in length or do not fit; every fault is listed.

    Examples:
        >>> found = from_arrays([0, 1], [1, 1], sensitive_features=["f", "m"])
        >>> found.table[["label", "decision", "sensitive_feature_0"]].to_numpy().tolist()
        [[0, 1.0, 'f'], [1, 1.0, 'm']]
    """
    if y_pred is None and y_score is None:
        raise InputError(Fault("y_pred", "there is no y_pred or y_score", "Give one or both."))
    features = named_features(sensitive_features, "sensitive_feature")
    controls = named_features(control_features, "control_feature")
    given = {
        "label": _matched(y_true, positive),
        "score": _matched(y_pred, positive) if y_score is None else y_score,
        "decision": None if y_pred is None else _matched(y_pred, positive),
        "weight": sample_weight,
        "patient": patient,
    }
    columns = {name: _column(value) for name, value in given.items() if value is not None}
    faults = [*_name_faults([*features, *controls]), *_faults(columns, features | controls)]
    if positive is not None and not np.any(columns["label"] == 1):
        found = f"it is {positive!r}, which no value of y_true is"
        faults.append(Fault("positive", found, "Name one of its values."))
    if faults:
        raise InputError(*faults)
    table = pd.DataFrame(columns | features | controls)
    table["sample"] = np.arange(len(table))
    decision, weight, whose = (
        role if role in columns else None for role in ("decision", "weight", "patient")
    )
    named = Columns(decision=decision, weight=weight, patient=whose)
    return Predictions.from_table(table, [*controls, *features], named, "arrays")


def named_features(features: Any, stem: str) -> dict[str, Array]:
    """Columns of features, each ``[n]``, by name; as fairlearn names them.

    >>> list(named_features(np.array([["f", "a"], ["m", "b"]]), "sensitive_feature"))
    ['sensitive_feature_0', 'sensitive_feature_1']
    """
    if features is None:
        return {}
    if isinstance(features, pd.Series):
        name = features.name if features.name is not None else f"{stem}_0"
        return {str(name): _column(features)}
    if isinstance(features, pd.DataFrame | dict):
        return {str(name): _column(features[name]) for name in features}
    # As objects: numpy would turn a missing value beside words into the word 'nan'.
    columns = np.asarray(features, dtype=object)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2:
        found = f"it has the shape {columns.shape}"
        remedy = "Give [n] or [n, k], or name the columns in a table or dict."
        raise InputError(Fault(f"{stem}s", found, remedy))
    return {f"{stem}_{k}": columns[:, k] for k in range(columns.shape[1])}


def _matched(values: Any, positive: object) -> Array:
    """Whether each value is the positive class; missing values stay missing."""
    column = _column(values)
    if positive is None:
        return column
    return np.where(pd.isna(column), np.nan, column.astype(object) == positive)


def _column(values: Any) -> Array:
    """``[n]`` from ``[n]`` or ``[n, 1]``, without an index."""
    if isinstance(values, pd.Series):
        return values.to_numpy()
    column = np.asarray(values, dtype=object if isinstance(values, list) else None)
    return column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column


def _name_faults(names: list[str]) -> Iterator[Fault]:
    for name in dict.fromkeys(names):
        if name in _RESERVED:
            found = f"a feature is called '{name}', as a column of the checked table"
            yield Fault("features", found, "Rename it.", column=name)
        if names.count(name) > 1:
            yield Fault("features", f"two are called '{name}'", "Rename one.", column=name)


def _faults(columns: dict[str, Array], features: dict[str, Array]) -> Iterator[Fault]:
    rows = columns["label"].size
    if not features:
        yield Fault("sensitive_features", "there is none", "Give at least one.")
    for name, column in (columns | features).items():
        if column.shape != (rows,):
            found = f"it has the shape {column.shape}, y_true has {rows} rows"
            yield Fault("arrays", found, "Give one value a row.", column=name)
