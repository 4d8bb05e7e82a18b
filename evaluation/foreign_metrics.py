"""Metrics of fairlearn and scikit-learn, by name or as they are, as metrics of this package."""

import inspect
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.looped_metric import Looped, undefined_raises
from evaluation.metric import METRICS, Metric, Reads

#: Metric of this package that is most like a foreign one: it says what that reads, when it is
#: undefined, what it rests on, and its direction and range where ``_CHANGED`` does not.
LIKE = {
    "fairlearn.false_negative_rate": "false_negative_rate",
    "fairlearn.false_positive_rate": "false_positive_rate",
    "fairlearn.mean_prediction": "selection_rate",
    "fairlearn.selection_rate": "selection_rate",
    "fairlearn.true_negative_rate": "true_negative_rate",
    "fairlearn.true_positive_rate": "true_positive_rate",
    "sklearn.accuracy_score": "accuracy",
    "sklearn.average_precision_score": "average_precision",
    "sklearn.balanced_accuracy_score": "balanced_accuracy",
    "sklearn.brier_score_loss": "brier_score",
    "sklearn.cohen_kappa_score": "quadratic_kappa",
    "sklearn.d2_brier_score": "auroc",
    "sklearn.d2_log_loss_score": "auroc",
    "sklearn.f1_score": "f1_score",
    "sklearn.hamming_loss": "accuracy",
    "sklearn.jaccard_score": "f1_score",
    "sklearn.log_loss": "log_loss",
    "sklearn.matthews_corrcoef": "matthews_correlation",
    "sklearn.mean_absolute_error": "brier_score",
    "sklearn.mean_squared_error": "brier_score",
    "sklearn.precision_score": "positive_predictive_value",
    "sklearn.r2_score": "auroc",
    "sklearn.recall_score": "true_positive_rate",
    "sklearn.roc_auc_score": "auroc",
    "sklearn.root_mean_squared_error": "brier_score",
    "sklearn.zero_one_loss": "accuracy",
}
_EXPLAINED: dict[str, Any] = {"proportion": False, "lowest": -np.inf, "highest": 1.0}
_CHANGED: dict[str, dict[str, Any]] = {
    "fairlearn.mean_prediction": {"reads": "score", "proportion": False},
    "sklearn.d2_brier_score": _EXPLAINED,
    "sklearn.d2_log_loss_score": _EXPLAINED,
    "sklearn.hamming_loss": {"better": "lower"},
    "sklearn.r2_score": _EXPLAINED,
    "sklearn.zero_one_loss": {"better": "lower"},
}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    # Without it, a group of one class would have no log loss.
    "sklearn.log_loss": {"labels": [0, 1]},
}
_SCORER = "sklearn.scorer."
_OF_GROUPS = ("_difference", "_ratio", "_group_min", "_group_max")
_LOSSES = ("_error", "_loss", "_deviance")
_UNKNOWN_RANGE: dict[str, Any] = {"proportion": False, "lowest": -np.inf, "highest": np.inf}


def foreign_metric(name: str, where: str) -> Metric:
    """The metric of another library.

    ``fairlearn.<function>``, ``sklearn.<function>`` of ``sklearn.metrics``, or
    ``sklearn.scorer.<name>`` of its scorers, for which larger is always better. It is computed
    by that library, once for each draw and group, so slowly. It is NaN where the metric of
    :data:`LIKE` is, where the other library may say 0 or 1. A scorer that is like none of this
    package is NaN in a group of one class.

    Args:
        name: With the library.
        where: Who asks, for the message.

    Raises:
        InputError: There is none, or it is no number of one group of a binary question.

    Examples:
        >>> foreign_metric("sklearn.zero_one_loss", "audit").better
        'lower'
        >>> recall = foreign_metric("fairlearn.true_positive_rate", "audit")
        >>> recall([1, 1, 0], [1, 0, 0]), recall([0, 0], [1, 0])
        (0.5, nan)
    """
    if name.startswith(_SCORER):
        return _named_scorer(name, where)
    library = name.partition(".")[0]
    if name in LIKE:
        module = _fairlearn() if library == "fairlearn" else _sklearn()
        return _known(getattr(module, name.partition(".")[2]), name)
    if library == "fairlearn" and name.endswith(_OF_GROUPS):
        found = f"'{name}' is about all groups together, not a metric of one"
        remedy = "Name the metric that it compares; an audit finds its gaps and ratios."
        raise InputError(Fault(where, found, remedy))
    alike = [known for known in LIKE if known.startswith(f"{library}.")]
    raise unknown_name("metric", name, alike or METRICS.names(), where)


def as_metric(given: str | Metric | Callable[..., Any], name: str = "") -> Metric:
    """A metric from its name, a function ``(y_true, y_pred)`` or a scikit-learn scorer.

    Args:
        given: Functions may take ``sample_weight``. One of :data:`LIKE` is known by itself. Any
            other reads decisions, is NaN in a group of one class, where such functions return
            whatever their makers chose, and larger is better unless its name ends as a loss
            does; declare a :class:`Metric` for one that is different.
        name: What to call a function that is not known.

    Raises:
        InputError: There is no such metric, or it returns no number for two classes.
    """
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        METRICS.check(given, "metrics")
        return METRICS.get(given)
    called = name or getattr(given, "__name__", type(given).__name__)
    if "estimator" in _arguments(given):
        return _scorer(given, called, "metrics")
    library = getattr(given, "__module__", "").partition(".")[0]
    known = f"{library}.{getattr(given, '__name__', '')}"
    return _known(given, known) if known in LIKE else _unknown(given, called)


def _known(function: Callable[..., Any], name: str) -> Metric:
    like = METRICS.get(LIKE[name])
    changed = _CHANGED.get(name, {})
    function = partial(function, **_ARGUMENTS.get(name, {}))
    return _looped(function, name, like, changed)


def _unknown(function: Callable[..., Any], name: str) -> Metric:
    changed = _UNKNOWN_RANGE | {"better": "lower" if name.endswith(_LOSSES) else "higher"}
    metric = _looped(function, name, METRICS.get("balanced_accuracy"), changed)
    return _tried(metric, "metrics")


def _named_scorer(name: str, where: str) -> Metric:
    from sklearn.metrics import get_scorer, get_scorer_names

    scorer = name.removeprefix(_SCORER)
    if scorer not in get_scorer_names():
        names = [_SCORER + each for each in get_scorer_names()]
        raise unknown_name("metric", name, names, where)
    return _scorer(get_scorer(scorer), name, where)


def _scorer(scorer: Callable[..., Any], name: str, where: str) -> Metric:
    # Imported here, as it loads scikit-learn.
    from evaluation.answered import scored

    try:
        with undefined_raises():
            function, reads = scored(scorer)
    except Exception as error:  # noqa: BLE001  (any scorer of any library)
        raise _no_number(name, where, error) from None
    stem = name.removeprefix(_SCORER) if name.startswith(_SCORER) else ""
    like = _like_scorer(stem, reads)
    changed: dict[str, Any] = {"reads": reads, "better": "higher"}
    if stem.startswith("neg_"):
        changed |= {
            "proportion": False,
            "lowest": 0.0 - like.highest,
            "highest": 0.0 - like.lowest,
        }
    return _tried(_looped(function, name, like, changed), where)


def _like_scorer(stem: str, reads: Reads) -> Metric:
    """The metric of this package that a scorer of scikit-learn, by its name, is like."""
    base = stem.removeprefix("neg_")
    for end in ("", "_score", "_loss"):
        if (name := f"sklearn.{base}{end}") in LIKE:
            return replace(METRICS.get(LIKE[name]), **_CHANGED.get(name, {}))
    like = METRICS.get("balanced_accuracy" if reads == "decision" else "auroc")
    averaged = base.endswith(("_macro", "_micro", "_weighted"))
    return replace(like, **({"proportion": False} if averaged else _UNKNOWN_RANGE))


def _looped(
    function: Callable[..., Any], name: str, like: Metric, changed: dict[str, Any]
) -> Metric:
    weighted = "sample_weight" in _arguments(function)
    library, _, rest = name.removeprefix("sklearn.").rpartition(".")
    origin = {"": "sklearn", "scorer": "sklearn scorer"}.get(library, library)
    label = f"{origin}: {rest}" if name.startswith(("sklearn.", "fairlearn.")) else name
    return replace(
        like,
        function=Looped(name, function, weighted, like.function),
        label=label.replace("_", " "),
        multiclass=False,
        parallel=False,  # it records warnings, which all threads share
        **changed,
    )


def _arguments(function: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # Some functions written in C have no signature.
        return ()


def _tried(metric: Metric, where: str) -> Metric:
    """The metric if it returns a number where nothing is special."""
    label, looped = np.repeat([0.0, 1.0], 4), metric.function
    assert isinstance(looped, Looped)
    score = np.array([0.1, 0.2, 0.4, 0.7, 0.3, 0.6, 0.8, 0.9])
    value = score if metric.reads == "score" else (score > 0.5).astype(float)
    try:
        with undefined_raises():
            number = looped.compute(label, value, np.ones(len(label)))
    except Exception as error:  # noqa: BLE001  (any function of any library)
        raise _no_number(metric.name, where, error) from None
    if not np.isfinite(number):
        raise _no_number(metric.name, where, f"got {number}")
    return metric


def _no_number(name: str, where: str, error: object) -> InputError:
    found = f"'{name}' returns no number for the labels 0 and 1: {str(error).rstrip('.')}"
    remedy = "Use a function of (y_true, y_pred), or a scorer of binary classifiers."
    return InputError(Fault(where, found, remedy))


def _fairlearn() -> Any:
    # Imported here: fairlearn takes over a second, which other uses need not pay.
    import fairlearn.metrics

    return fairlearn.metrics


def _sklearn() -> Any:
    import sklearn.metrics

    return sklearn.metrics
