"""Metrics of other libraries: their numbers where defined, NaN where ours are."""

import subprocess
import sys
import warnings
from functools import partial

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.bootstrap import Resampling, bootstrap
from evaluation.errors import InputError
from evaluation.foreign_metrics import LIKE, as_metric
from evaluation.groups import Group
from evaluation.metric import METRICS, Metric, metric
from evaluation.policy import Clause
from evaluation.spec import AuditSpec
from evaluation.target import Target

SCORERS = {
    "accuracy": "accuracy",
    "average_precision": "average_precision",
    "balanced_accuracy": "balanced_accuracy",
    "f1": "f1_score",
    "matthews_corrcoef": "matthews_correlation",
    "precision": "positive_predictive_value",
    "recall": "true_positive_rate",
    "roc_auc": "auroc",
}
SAME = (
    {
        f"fairlearn.{rate}": rate
        for rate in (
            "false_negative_rate",
            "false_positive_rate",
            "selection_rate",
            "true_negative_rate",
            "true_positive_rate",
        )
    }
    | {
        "sklearn.accuracy_score": "accuracy",
        "sklearn.average_precision_score": "average_precision",
        "sklearn.balanced_accuracy_score": "balanced_accuracy",
        "sklearn.brier_score_loss": "brier_score",
        "sklearn.cohen_kappa_score": "quadratic_kappa",
        "sklearn.f1_score": "f1_score",
        "sklearn.log_loss": "log_loss",
        "sklearn.matthews_corrcoef": "matthews_correlation",
        "sklearn.mean_squared_error": "brier_score",
        "sklearn.precision_score": "positive_predictive_value",
        "sklearn.recall_score": "true_positive_rate",
        "sklearn.roc_auc_score": "auroc",
    }
    | {f"sklearn.scorer.{name}": own for name, own in SCORERS.items()}
)


def sample(seed=0, n=40):
    generator = np.random.default_rng(seed)
    label = generator.integers(2, size=n)
    score = np.round(generator.beta(2 + label, 3 - label), 2).clip(0.01, 0.99)
    return label, score, generator.integers(4, size=n).astype(float)


def read(metric, score):
    return score if metric.reads == "score" else (score >= 0.5).astype(float)


@pytest.mark.parametrize("name", SAME)
def test_same_number_as_the_metric_of_this_package(name):
    foreign, own = METRICS.get(name), METRICS.get(SAME[name])
    label, score, weight = sample()
    assert foreign.reads == own.reads
    assert foreign.name == name
    for each in (np.ones(len(label)), weight, weight * 0.3):
        expected = own(label, read(own, score), each)
        assert foreign(label, read(own, score), each) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([name for name in SAME if name != "sklearn.log_loss"]),
    label=st.lists(st.integers(0, 1), min_size=1, max_size=4),
    decided=st.lists(st.integers(0, 1), min_size=4, max_size=4),
)
def test_undefined_exactly_where_the_metric_of_this_package_is(name, label, decided):
    foreign, own = METRICS.get(name), METRICS.get(SAME[name])
    value = np.array(decided[: len(label)], float)
    assert np.isnan(foreign(label, value)) == np.isnan(own(label, value))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fairlearn.true_positive_rate", 0.0),
        ("sklearn.balanced_accuracy_score", 0.5),
        ("sklearn.matthews_corrcoef", 0.0),
    ],
)
def test_a_number_that_another_library_makes_up_is_nan(name, said):
    library, _, function = name.partition(".")
    module = fairlearn.metrics if library == "fairlearn" else sklearn.metrics
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert getattr(module, function)(np.array([0, 0]), np.array([0, 1])) == said
    assert np.isnan(METRICS.get(name)([0, 0], [0, 1]))


@pytest.mark.parametrize("name", [*LIKE, "sklearn.scorer.neg_log_loss"])
def test_no_samples_and_no_weight_are_undefined(name):
    foreign = METRICS.get(name)
    assert np.isnan(foreign([], []))
    assert np.isnan(foreign([0, 1], [0, 1], [0, 0]))
    assert foreign([0, 1], [0, 1], np.ones((2, 3, 2))).shape == (2, 3)


def test_a_sample_without_weight_is_not_there():
    auroc = METRICS.get("sklearn.roc_auc_score")
    assert np.isnan(auroc([0, 1, 1], [0.1, 0.4, 0.6], [0, 1, 1]))


@pytest.mark.parametrize(
    ("name", "better", "lowest", "highest"),
    [
        ("sklearn.zero_one_loss", "lower", 0, 1),
        ("sklearn.brier_score_loss", "lower", 0, 1),
        ("fairlearn.false_positive_rate", "lower", 0, 1),
        ("sklearn.matthews_corrcoef", "higher", -1, 1),
        ("sklearn.scorer.neg_brier_score", "higher", -1, 0),
        ("sklearn.scorer.neg_log_loss", "higher", -np.inf, 0),
        ("sklearn.scorer.d2_brier_score", "higher", -np.inf, 1),
        ("sklearn.scorer.explained_variance", "higher", -np.inf, np.inf),
    ],
)
def test_direction_and_range(name, better, lowest, highest):
    found = METRICS.get(name)
    assert (found.better, found.lowest, found.highest) == (better, lowest, highest)


def test_scorers_read_what_they_ask_a_classifier_for():
    reads = {name: METRICS.get(f"sklearn.scorer.{name}").reads for name in ("roc_auc", "f1")}
    assert reads == {"roc_auc": "score", "f1": "decision"}
    assert METRICS.get("sklearn.scorer.neg_brier_score").reads == "score"


@pytest.mark.parametrize("name", sklearn.metrics.get_scorer_names())
def test_every_scorer_is_a_number_or_refused_by_name(name):
    full = f"sklearn.scorer.{name}"
    if name.endswith(("_samples", "_deviance", "top_k_accuracy")):
        with pytest.raises(InputError, match=f"'{full}' returns no number"):
            METRICS.get(full)
        return
    label, score, _ = sample()
    found = METRICS.get(full)
    assert np.isfinite(found(label, read(found, score)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sklearn.recal_score", "Did you mean 'sklearn.recall_score'"),
        ("sklearn.scorer.f", "Did you mean 'sklearn.scorer.f1'"),
        ("fairlearn.selection", "Did you mean 'fairlearn.selection_rate'"),
        ("fairlearn.equalized_odds_difference", "about all groups together"),
        ("fairlearn.count", "no metric is called"),
        ("aif360.mean_difference", "Available: accuracy"),
        ("sklearn.recall_score@0.5", "takes no level"),
    ],
)
def test_a_name_that_is_none_is_refused(name, message):
    with pytest.raises(InputError, match=r"here: ") as caught:
        METRICS.check(name, "here")
    assert message in str(caught.value)


def test_usable_in_settings_and_clauses():
    names = ("sklearn.scorer.roc_auc", "fairlearn.selection_rate")
    assert AuditSpec(metrics=names).metrics == names
    clause = Clause(quantity="gap", metric=names[1], attribute="sex", maximum=0.1)
    assert str(clause) == "fairlearn: selection rate gap by sex is at most 0.1"
    assert METRICS.get(names[0]).label == "sklearn scorer: roc auc"
    assert not any("." in name for name in METRICS.names())


def test_same_draws_as_the_metric_of_this_package():
    label, score, weight = sample(n=60)
    target = Target("", label.astype(float), score, (score >= 0.5).astype(float))
    groups = [Group((), (), np.arange(60)), Group(("a",), ("x",), np.arange(0, 60, 7))]
    sampled = Resampling(np.arange(60) // 2, weight, 30, 0, 0.95)
    metrics = [METRICS.get(name) for pair in SAME.items() for name in pair]
    cube = bootstrap([target], groups, metrics, weight, sampled.weights())
    np.testing.assert_allclose(cube.draws[..., ::2], cube.draws[..., 1::2], atol=1e-12)
    assert np.isfinite(cube.draws[:, 0]).all()


def test_without_weights_samples_are_repeated():
    scorer = METRICS.get("sklearn.scorer.adjusted_rand_score")
    label, decision = [0, 1, 1], [0, 1, 0]
    repeated = scorer([0, 0, 1, 1, 1], [0, 0, 1, 1, 0])
    assert scorer(label, decision, [2, 2, 1]) == pytest.approx(repeated)
    assert np.isnan(scorer(label, decision, [0.5, 2, 1]))


def test_a_known_function_is_known_by_itself():
    found = as_metric(sklearn.metrics.recall_score)
    assert (found.name, found.needs) == ("sklearn.recall_score", "positive")
    assert as_metric(fairlearn.metrics.true_negative_rate).needs == "negative"
    assert as_metric(found) is found


def test_any_other_function_is_undefined_for_one_class():
    two = as_metric(partial(sklearn.metrics.fbeta_score, beta=2, zero_division=0), "f2")
    label, decision = [1, 1, 0, 0], [1, 0, 1, 0]
    assert two.name == two.label == "f2"
    assert two(label, decision) == sklearn.metrics.fbeta_score(label, decision, beta=2)
    assert np.isnan(two([0, 0], [1, 0]))


def test_a_scorer_as_it_is():
    scorer = sklearn.metrics.make_scorer(sklearn.metrics.fbeta_score, beta=2)
    found = as_metric(scorer, "accuracy")
    assert found([1, 1, 0, 0], [1, 0, 0, 0]) == pytest.approx(5 / 9)
    assert (found.better, found.highest) == ("higher", np.inf)


def test_a_function_that_fails_or_returns_no_number_is_refused():
    def broken(label, decision):
        raise KeyError("nothing")

    with pytest.raises(InputError, match="'broken' returns no number"):
        as_metric(broken)
    with pytest.raises(InputError, match="returns no number"):
        as_metric(lambda label, decision: label)
    with pytest.raises(InputError, match="got nan"):
        as_metric(lambda label, decision: np.nan)


def test_a_declared_metric_says_what_it_needs():
    @metric(better="lower", reads="decision", needs="any", label="Cost")
    def cost(label, decision, weight):
        return (weight * (label != decision)).sum(axis=-1)

    assert isinstance(cost, Metric)
    assert as_metric(cost)([0, 0], [1, 0]) == 1


def test_a_division_by_zero_inside_a_function_is_undefined():
    def odds(label, decision):
        return np.float64(decision.sum()) / np.float64((1 - decision).sum())

    found = as_metric(odds)
    assert found([0, 1], [1, 0]) == 1
    assert np.isnan(found([0, 1], [1, 1]))


def test_no_library_is_loaded_before_its_metric_is_named():
    code = (
        "import sys; from evaluation.metric import METRICS; METRICS.get('auroc');"
        "assert not {'fairlearn', 'sklearn.metrics'} & set(sys.modules);"
        "METRICS.get('sklearn.recall_score'); assert 'fairlearn' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_pandas_columns_are_taken():
    found = METRICS.get("fairlearn.mean_prediction")
    assert found(pd.Series([0, 1]), pd.Series([0.2, 0.4])) == pytest.approx(0.3)
