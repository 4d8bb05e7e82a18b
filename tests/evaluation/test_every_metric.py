"""Promises that every metric keeps."""

import doctest

import numpy as np
import pytest
from sklearn import metrics as sklearn

from evaluation.metric import METRICS, Metric

ORACLES = {
    "accuracy": sklearn.accuracy_score,
    "auroc": sklearn.roc_auc_score,
    "average_precision": sklearn.average_precision_score,
    "brier_score": sklearn.brier_score_loss,
    "false_positive_rate": lambda y, d, sample_weight: (
        sklearn.recall_score(1 - y, 1 - d, sample_weight=sample_weight) * -1 + 1
    ),
    "true_positive_rate": sklearn.recall_score,
}
PERFECT = {"higher": 1.0, "lower": 0.0}

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
    best = PERFECT[metric.better]
    assert metric(label, label) == best
    if name == "average_precision":  # the worst ranking still has some precision
        assert metric(label, 1 - label) == pytest.approx(0.5)
    else:
        assert metric(label, 1 - label) == 1 - best


@every_metric
@pytest.mark.parametrize("label", [[], [0, 0], [1, 1]], ids=["empty", "negative", "positive"])
def test_undefined_is_nan_and_only_then(name, label):
    metric = METRICS.get(name)
    classes = set(label)
    defined = {
        "any": bool(classes),
        "positive": 1 in classes,
        "negative": 0 in classes,
        "both": classes == {0, 1},
    }[metric.needs]
    value = metric(np.array(label, int), np.full(len(label), 0.25))
    assert np.isnan(value) != defined
    drawn = metric(np.array(label, int), np.full(len(label), 0.25), np.ones((3, len(label))))
    assert drawn.shape == (3,)
    assert np.isnan(drawn).all() != defined


@every_metric
def test_a_weight_of_zero_leaves_a_class_out(name):
    metric = METRICS.get(name)
    result = metric([0, 1], [1, 1], [[0.0, 1.0], [1.0, 0.0]])
    assert (
        np.isnan(result)
        == {
            "any": [False, False],
            "positive": [False, True],
            "negative": [True, False],
            "both": [True, True],
        }[metric.needs]
    ).all()


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
