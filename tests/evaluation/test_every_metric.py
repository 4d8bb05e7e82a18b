"""Promises that every metric keeps."""

import doctest

import numpy as np
import pytest
from sklearn import metrics as sklearn

from evaluation.metric import METRICS, Metric


def calibration_error(label, score, sample_weight):
    """The definition, one bin at a time."""
    error = 0.0
    for k in range(10):
        inside = (score >= k / 10) & ((score < (k + 1) / 10) | (k == 9))
        distance = (label - score)[inside] @ sample_weight[inside]
        error += abs(distance) / sample_weight.sum()
    return error


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
    "expected_calibration_error": calibration_error,
    "f1_score": sklearn.f1_score,
    "false_negative_rate": lambda y, d, sample_weight: (
        1 - sklearn.recall_score(y, d, sample_weight=sample_weight)
    ),
    "false_positive_rate": of_negatives(sklearn.recall_score, complement=True),
    "log_loss": sklearn.log_loss,
    "matthews_correlation": sklearn.matthews_corrcoef,
    "negative_predictive_value": of_negatives(sklearn.precision_score),
    "positive_predictive_value": sklearn.precision_score,
    "selection_rate": lambda y, d, sample_weight: np.average(d, weights=sample_weight),
    "true_negative_rate": of_negatives(sklearn.recall_score),
    "true_positive_rate": sklearn.recall_score,
}

#: Values of a perfect and of a reversed score on [0, 0, 1, 1], where they are not the ends of
#: the metric's range.
ENDS = {
    "average_precision": (1.0, 0.5),  # the worst ranking still has some precision
    "log_loss": (0.0, 36.04),  # a certain error is counted as nearly certain
    "selection_rate": (0.5, 0.5),  # it does not look at the label
}

every_metric = pytest.mark.parametrize("name", METRICS.names())


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
    expected = ORACLES[name](label, value, sample_weight=weight)
    assert metric(label, value, weight) == pytest.approx(expected, abs=1e-12)
    assert metric(label, value) == pytest.approx(
        ORACLES[name](label, value, sample_weight=np.ones(len(label))), abs=1e-12
    )


@every_metric
def test_a_weight_of_two_is_the_sample_twice(name):
    metric = METRICS.get(name)
    label, score, weight = rows(1)
    value = read(metric, score)
    repeated = metric(np.repeat(label, weight), np.repeat(value, weight))
    assert metric(label, value, weight) == pytest.approx(repeated, abs=1e-12)


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
    assert metric(label, label) == pytest.approx(perfect, abs=1e-12)
    assert metric(label, 1 - label) == pytest.approx(worst, abs=0.01)


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
    if name == "matthews_correlation":
        defined = False  # it also needs both decisions
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
