"""Promises that every metric keeps."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn import metrics as sklearn
from sklearn.linear_model import LogisticRegression

from evaluation.errors import InputError
from evaluation.metric import METRICS, Metric


def calibration_error(label, score, sample_weight):
    """The definition, one bin at a time."""
    error = 0.0
    for k in range(10):
        inside = (score >= k / 10) & ((score < (k + 1) / 10) | (k == 9))
        distance = (label - score)[inside] @ sample_weight[inside]
        error += abs(distance) / sample_weight.sum()
    return error


def calibration_slope(label, score, sample_weight):
    odds = logit(np.clip(score, 1e-8, 1 - 1e-8))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    return model.fit(odds[:, None], label, sample_weight=sample_weight).coef_[0, 0]


def calibration_intercept(label, score, sample_weight):
    """As many events are expected as occur."""
    odds = logit(np.clip(score, 1e-8, 1 - 1e-8))
    return brentq(lambda a: sample_weight @ (label - expit(a + odds)), -40, 40, xtol=1e-14)


def debiased_calibration_error(label, score, sample_weight):
    """The definition, one pair of samples at a time."""
    total = squares = 0.0
    for k in range(10):
        inside = np.flatnonzero((score >= k / 10) & ((score < (k + 1) / 10) | (k == 9)))
        residual, w = (label - score)[inside], sample_weight[inside]
        pairs = [(i, j) for i in range(len(w)) for j in range(len(w)) if i != j]
        weight = sum(w[i] * w[j] for i, j in pairs)
        product = sum(w[i] * w[j] * residual[i] * residual[j] for i, j in pairs)
        if weight > 0:
            squares += w.sum() * product / weight
            total += w.sum()
    return np.sqrt(max(0.0, squares / total))


def integrated_calibration_index(label, score, sample_weight):
    distance = np.abs(loess(label, score, sample_weight) - score)
    return np.average(np.minimum(distance, 1.0), weights=sample_weight)


def loess(label, score, weight):
    """Of the samples themselves, one local fit at a time."""
    smooth = {}
    for at in np.unique(score):
        distance = np.abs(score - at)
        order = np.argsort(distance, kind="stable")
        within = weight[order].cumsum()
        reach = distance[order][np.searchsorted(within, 0.75 * within[-1] - 1e-9)]
        kernel = np.where(distance < reach, (1 - (distance / reach) ** 3) ** 3, 0.0)
        root = np.sqrt(kernel * weight)
        powers = ((score - at) / reach)[:, None] ** np.arange(3)
        found = np.linalg.lstsq(powers * root[:, None], label * root, rcond=1e-9)[0]
        smooth[at] = found[0]
    return np.array([smooth[at] for at in score])


def net_benefit(label, score, sample_weight, level=0.1):
    treated = np.where(score >= level, sample_weight, 0)
    benefit = treated[label == 1].sum() - treated[label == 0].sum() / (1 / level - 1)
    return benefit / sample_weight.sum()


def sensitivity_at_specificity(label, score, sample_weight, level=0.9):
    """The curve of scikit-learn, joined by straight lines, at its highest."""
    false, true, _ = sklearn.roc_curve(
        label, score, sample_weight=sample_weight, drop_intermediate=False
    )
    best, allowed = 0.0, 1 - level
    for k in range(len(false) - 1):
        if false[k] <= allowed + 1e-12:
            best = max(best, true[k])
            if false[k + 1] > allowed + 1e-12:
                part = max(0.0, allowed - false[k]) / (false[k + 1] - false[k])
                best = max(best, true[k] + part * (true[k + 1] - true[k]))
    return best


def quadratic_kappa(label, decision, sample_weight):
    return sklearn.cohen_kappa_score(
        label, decision, weights="quadratic", sample_weight=sample_weight
    )


def of_negatives(oracle, *, complement=False):
    """An oracle with the classes exchanged."""

    def mirrored(label, decision, sample_weight):
        value = oracle(1 - label, 1 - decision, sample_weight=sample_weight)
        return 1 - value if complement else value

    return mirrored


ORACLES = {
    "accuracy": sklearn.accuracy_score,
    "auroc": sklearn.roc_auc_score,
    "average_precision": sklearn.average_precision_score,
    "balanced_accuracy": sklearn.balanced_accuracy_score,
    "brier_score": sklearn.brier_score_loss,
    "calibration_intercept": calibration_intercept,
    "calibration_slope": calibration_slope,
    "debiased_calibration_error": debiased_calibration_error,
    "expected_calibration_error": calibration_error,
    "f1_score": sklearn.f1_score,
    "false_negative_rate": lambda y, d, sample_weight: (
        1 - sklearn.recall_score(y, d, sample_weight=sample_weight)
    ),
    "false_positive_rate": of_negatives(sklearn.recall_score, complement=True),
    "integrated_calibration_index": integrated_calibration_index,
    "log_loss": sklearn.log_loss,
    "matthews_correlation": sklearn.matthews_corrcoef,
    "negative_predictive_value": of_negatives(sklearn.precision_score),
    "net_benefit": net_benefit,
    "observed_expected_ratio": lambda y, s, sample_weight: (
        np.average(y, weights=sample_weight) / np.average(s, weights=sample_weight)
    ),
    "positive_predictive_value": sklearn.precision_score,
    "quadratic_kappa": quadratic_kappa,
    "selection_rate": lambda y, d, sample_weight: np.average(d, weights=sample_weight),
    "sensitivity_at_specificity": sensitivity_at_specificity,
    "true_negative_rate": of_negatives(sklearn.recall_score),
    "true_positive_rate": sklearn.recall_score,
}

#: How far from its oracle a metric may be, if it is not exact: the solver's tolerance, and what
#: gathering the samples on nodes costs a loess of 200 samples.
CLOSE = {"calibration_slope": 1e-8, "integrated_calibration_index": 0.004}

#: Its weights are no counts: a copy of a sample is paired with it, the sample itself is not.
NOT_COUNTS = {"debiased_calibration_error"}

#: Values of a perfect and of a reversed score on [0, 0, 1, 1], where they are not the ends of
#: the metric's range.
ENDS = {
    "calibration_intercept": (0.0, 0.0),  # two events are expected and two occur
    "calibration_slope": (np.nan, np.nan),  # a threshold separates the classes
    "observed_expected_ratio": (1.0, 1.0),
    "net_benefit": (0.5, -0.5 / 9),
    "average_precision": (1.0, 0.5),  # the worst ranking still has some precision
    "log_loss": (0.0, 36.04),  # a certain error is counted as nearly certain
    "selection_rate": (0.5, 0.5),  # it does not look at the label
}

every_metric = pytest.mark.parametrize("name", METRICS.names())
with_a_level = pytest.mark.parametrize("name", ["net_benefit", "sensitivity_at_specificity"])


def rows(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    score = generator.integers(0, 21, n) / 20  # with ties
    return label, score, generator.integers(0, 4, n)


def read(metric: Metric, score: np.ndarray) -> np.ndarray:
    return score if metric.reads == "score" else (score >= 0.5).astype(int)


@every_metric
@pytest.mark.parametrize("seed", range(5))
def test_equals_an_independent_implementation(name, seed):
    metric = METRICS.get(name)
    label, score, weight = rows(seed)
    value = read(metric, score)
    close = CLOSE.get(name, 1e-12)
    expected = ORACLES[name](label, value, sample_weight=weight)
    assert metric(label, value, weight) == pytest.approx(expected, abs=close)
    assert metric(label, value) == pytest.approx(
        ORACLES[name](label, value, sample_weight=np.ones(len(label))), abs=close
    )


@pytest.mark.parametrize("name", [name for name in METRICS.names() if name not in NOT_COUNTS])
def test_a_weight_of_two_is_the_sample_twice(name):
    metric = METRICS.get(name)
    label, score, weight = rows(1)
    value = read(metric, score)
    repeated = metric(np.repeat(label, weight), np.repeat(value, weight))
    assert metric(label, value, weight) == pytest.approx(repeated, abs=1e-12)


@every_metric
def test_only_the_ratio_of_the_weights_matters(name):
    metric = METRICS.get(name)
    label, score, weight = rows(8)
    value = read(metric, score)
    scaled = metric(label, value, weight / weight.sum())
    assert metric(label, value, weight) == pytest.approx(scaled, abs=1e-12)


@every_metric
def test_the_inputs_are_left_unchanged(name):
    metric = METRICS.get(name)
    label, score, weight = (each.astype(float) for each in rows(9))
    value = read(metric, score).astype(float)
    order = np.argsort(score, kind="stable")  # no copy is needed to sort them
    inputs = [label[order], value[order], np.stack([weight[order]] * 2)]
    for each in inputs:
        each.setflags(write=False)
    assert not np.isnan(metric(*inputs)).any()


@every_metric
def test_leading_axes_of_the_weight_are_independent(name):
    metric = METRICS.get(name)
    label, score, _ = rows(2)
    value = read(metric, score)
    weight = np.random.default_rng(3).integers(0, 3, (2, 3, len(label)))
    together = metric(label, value, weight)
    one_by_one = [[metric(label, value, w) for w in block] for block in weight]
    np.testing.assert_allclose(together, one_by_one, atol=1e-12)


@every_metric
def test_the_order_of_rows_does_not_matter(name):
    metric = METRICS.get(name)
    label, score, weight = rows(4)
    value = read(metric, score)
    order = np.random.default_rng(5).permutation(len(label))
    shuffled = metric(label[order], value[order], weight[order])
    assert metric(label, value, weight) == pytest.approx(shuffled, abs=1e-12)


@every_metric
def test_perfect_and_reversed_scores_give_the_known_ends(name):
    metric = METRICS.get(name)
    label = np.array([0, 0, 1, 1])
    ends = (metric.highest, metric.lowest)
    perfect, worst = ENDS.get(name, ends if metric.better == "higher" else ends[::-1])
    assert metric(label, label) == pytest.approx(perfect, abs=1e-12, nan_ok=True)
    assert metric(label, 1 - label) == pytest.approx(worst, abs=0.01, nan_ok=True)


@every_metric
@pytest.mark.parametrize("decided", [0, 1])
@pytest.mark.parametrize("label", [[], [0, 0], [1, 1], [0, 1]], ids=str)
def test_undefined_is_nan_and_only_then(name, label, decided):
    metric = METRICS.get(name)
    classes = set(label)
    defined = {
        "any": bool(classes),
        "positive": 1 in classes,
        "negative": 0 in classes,
        "both": classes == {0, 1},
        "decided positive": bool(classes) and decided == 1,
        "decided negative": bool(classes) and decided == 0,
    }[metric.needs]
    defined &= {
        "matthews_correlation": False,  # it also needs both decisions
        "calibration_slope": False,  # and it two scores
        "observed_expected_ratio": decided == 1,  # else no event is expected
        "quadratic_kappa": classes != {decided},  # else chance agrees as well
    }.get(name, True)
    value = np.full(len(label), float(decided))
    assert np.isnan(metric(np.array(label, int), value)) != defined
    drawn = metric(np.array(label, int), value, np.ones((3, len(label))))
    assert drawn.shape == (3,)
    assert np.isnan(drawn).all() != defined


@every_metric
def test_a_weight_of_zero_is_a_sample_that_is_not_there(name):
    metric = METRICS.get(name)
    label, score, _ = rows(6)
    value = read(metric, score)
    kept = np.random.default_rng(7).random(len(label)) < 0.4
    assert metric(label, value, kept) == pytest.approx(metric(label[kept], value[kept]))
    one_class = metric(label, value, label)
    assert one_class == pytest.approx(metric(label[label == 1], value[label == 1]), nan_ok=True)


@every_metric
def test_is_never_infinite_or_outside_its_range(name):
    metric = METRICS.get(name)
    for seed in range(20):
        label, score, _ = rows(seed, n=6)
        weight = np.random.default_rng(seed).integers(0, 3, (50, 6)) * 0.1
        found = metric(label, read(metric, score), weight)
        found = found[~np.isnan(found)]
        assert np.isfinite(found).all()
        assert ((found >= metric.lowest - 1e-12) & (found <= metric.highest + 1e-12)).all()


samples = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 3)), max_size=12
)


@pytest.mark.parametrize("name", ["auroc", "average_precision", "sensitivity_at_specificity"])
@given(samples=samples, places=st.sets(st.floats(0, 1), min_size=9, max_size=9))
def test_a_map_that_keeps_the_order_of_scores_keeps_the_metric(name, samples, places):
    label, score, weight = np.array(samples, int).reshape(-1, 3).T
    mapped = np.sort(list(places))[score]
    expected = METRICS.get(name)(label, score / 8, weight)
    assert METRICS.get(name)(label, mapped, weight) == pytest.approx(expected, nan_ok=True)


@with_a_level
@pytest.mark.parametrize("level", [0.05, 0.2, 0.5, 0.8, 0.975])
def test_is_taken_at_any_level(name, level):
    metric = METRICS.get(f"{name}@{level}")
    assert metric.name == f"{name}@{level}"
    assert metric.label.endswith(f" {level}")
    assert metric.level == level
    for seed in range(5):
        label, score, weight = rows(seed)
        expected = ORACLES[name](label, score, weight, level)
        assert metric(label, score, weight) == pytest.approx(expected, abs=1e-12)


@with_a_level
def test_the_name_alone_is_its_standard_level(name):
    metric = METRICS.get(name)
    assert METRICS.get(f"{name}@{metric.level}").name == metric.name == name
    assert metric.label.endswith(f" {metric.level}")


@with_a_level
@pytest.mark.parametrize(
    "level", ["", "0", "1", "-0.2", "1.5", "nan", "inf", "high", "0.1@0.2"]
)
def test_a_level_that_is_no_share_is_refused(name, level):
    with pytest.raises(InputError, match="is not a number between 0 and 1"):
        METRICS.check(f"{name}@{level}", "audit.metrics")


@every_metric
def test_a_level_is_refused_where_there_is_none(name):
    if METRICS.get(name).level is None:
        with pytest.raises(InputError, match="takes no level"):
            METRICS.check(f"{name}@0.5", "audit.metrics")


def test_metrics_of_several_classes_read_class_numbers():
    generator = np.random.default_rng(0)
    names = [name for name in METRICS.names() if METRICS.get(name).multiclass]
    assert names == ["accuracy", "quadratic_kappa"]
    for classes in (3, 5, 12):
        label, decision = generator.integers(0, classes, (2, 200))
        weight = generator.integers(0, 4, 200)
        for name in names:
            expected = ORACLES[name](label, decision, sample_weight=weight)
            found = METRICS.get(name)(label, decision, weight)
            assert found == pytest.approx(expected, abs=1e-12)


@every_metric
def test_refuses_shapes_that_do_not_agree(name):
    with pytest.raises(ValueError, match="label and value must be"):
        METRICS.get(name)([0, 1], [0.5], [1, 1])


@every_metric
def test_the_example_in_the_docstring_runs(name):
    metric = METRICS.get(name)
    source = metric.__doc__ or ""
    test = doctest.DocTestParser().get_doctest(source, {name: metric}, name, None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_rates_agree_with_fairlearn_group_by_group():
    from fairlearn import metrics as fairlearn

    from evaluation.interop import metric_frame
    from evaluation.predictions import Predictions
    from tests.conftest import made_predictions

    predictions = Predictions.from_table(made_predictions(), ["sex"])
    names = ["true_positive_rate", "false_positive_rate"]
    frame = metric_frame(
        predictions, {name: getattr(fairlearn, name) for name in names}, ["sex"], threshold=0.5
    )
    table = predictions.table
    for sex, row in frame.by_group.iterrows():
        inside = (table["sex"] == sex).to_numpy()
        label, decision = table["label"][inside], (table["score"][inside] >= 0.5)
        for name in names:
            assert METRICS.get(name)(label, decision) == pytest.approx(row[name], abs=1e-12)


def test_rounding_does_not_tell_a_constant_decision_from_itself():
    generator = np.random.default_rng(0)
    label, weight = generator.integers(0, 2, 40), generator.random((100, 40))
    found = METRICS.get("matthews_correlation")(label, np.ones(40), weight)
    assert np.isnan(found).all()
