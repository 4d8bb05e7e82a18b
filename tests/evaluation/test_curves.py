"""ROC and precision-recall curves: on the curve, and thin without being wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from evaluation.curves import MOST_POINTS, curves, thinned
from evaluation.groups import Group
from evaluation.metric import METRICS, REASONS
from evaluation.target import Target


def target(label, score):
    score = np.asarray(score, float)
    return Target("", np.asarray(label, float), score, (score >= 0.5).astype(float))


def both(label, score, weight=None):
    n = len(label)
    weight = np.ones(n) if weight is None else np.asarray(weight, float)
    return curves([target(label, score)], [Group((), (), np.arange(n))], weight)


def cohort(n, seed=0):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    return label, np.round(generator.normal(label, 1), 1), generator.random(n) + 0.1


def test_short_curves_are_those_of_scikit_learn():
    label, score, weight = cohort(200)
    roc, precision_recall = both(label, score, weight)
    fpr, tpr, _ = roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(np.interp(roc.x, fpr, fpr), roc.x)
    on_curve = {(round(a, 10), round(b, 10)) for a, b in zip(fpr, tpr, strict=True)}
    assert {(round(a, 10), round(b, 10)) for a, b in zip(roc.x, roc.y, strict=True)} <= on_curve
    precision, recall, _ = precision_recall_curve(label, score, sample_weight=weight)
    on_curve = {(round(a, 10), round(b, 10)) for a, b in zip(recall, precision, strict=True)}
    found = zip(precision_recall.x, precision_recall.y, strict=True)
    assert {(round(a, 10), round(b, 10)) for a, b in found} <= on_curve


def test_thinned_curves_have_the_same_area():
    generator = np.random.default_rng(1)
    label = generator.integers(0, 2, 20_000)
    score = generator.normal(label, 1)
    roc, precision_recall = both(label, score)
    assert len(roc.x) <= MOST_POINTS
    assert len(precision_recall.x) <= MOST_POINTS
    area = METRICS.get("auroc")(label, score)
    assert auc(roc.x, roc.y) == pytest.approx(area, abs=5e-4)
    found = auc(precision_recall.x, precision_recall.y)
    assert found == pytest.approx(average_precision_score(label, score), abs=2e-3)


def test_the_ends():
    roc, precision_recall = both(*cohort(500)[:2])
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert precision_recall.x[-1] == 1
    assert precision_recall.y[-1] == pytest.approx(cohort(500)[0].mean())


def test_perfect_and_constant_scores():
    roc, _ = both([0, 1, 0, 1], [0.1, 0.8, 0.3, 0.9])
    assert (roc.x, roc.y) == ((0, 0, 1), (0, 1, 1))
    roc, precision_recall = both([0, 1, 0, 1], [0.5] * 4)
    assert (roc.x, roc.y) == ((0, 1), (0, 1))
    assert (precision_recall.x, precision_recall.y) == ((1,), (0.5,))


def test_one_class_or_nobody_has_no_curve_and_says_why():
    roc, precision_recall = both([1, 1], [0.2, 0.7])
    assert (roc.x, roc.reason) == ((), REASONS["negative"])
    assert precision_recall.y[-1] == 1
    assert [c.reason for c in both([0, 0], [0.2, 0.7])] == [REASONS["positive"]] * 2
    assert [c.reason for c in both([np.nan], [0.2])] == [REASONS["any"]] * 2
    assert [c.reason for c in both([1], [0.2], [0.0])] == [REASONS["any"]] * 2


def test_one_patient():
    roc, precision_recall = both([1], [0.5])
    assert roc.x == ()
    assert (precision_recall.x, precision_recall.y) == ((1,), (1,))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 400))
def test_what_is_left_out_lies_on_the_line_drawn(seed, n):
    generator = np.random.default_rng(seed)
    x, y = generator.random(n).cumsum(), generator.random(n).cumsum()
    x, y = x / x[-1], y / y[-1]
    kept = thinned(x, y, most=1000)
    assert (np.diff(kept) > 0).all()
    assert kept[-1] == n - 1
    drawn = np.interp(x, x[kept], y[kept])
    steepness = (np.diff(y[kept]) / np.diff(x[kept])).max(initial=1)
    assert np.abs(drawn - y).max() <= 0.001 * (1 + steepness)
