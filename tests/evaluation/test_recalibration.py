"""Calibration slope and intercept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from evaluation.bootstrap import patient_weights
from evaluation.metric import METRICS
from evaluation.recalibration import EDGE, recalibration

SLOPE, INTERCEPT = METRICS.get("calibration_slope"), METRICS.get("calibration_intercept")


def made(n: int, intercept: float, slope: float, seed: int = 0):
    """Labels that occur with logit ``intercept + slope * logit(score)``."""
    generator = np.random.default_rng(seed)
    score = generator.beta(1, 3, n)
    label = generator.random(n) < expit(intercept + slope * logit(score))
    return label.astype(float), score


def hard(seed: int):
    """Few samples of a kind that Newton's method without safeguards can fail on."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(8, 60))
    odds = [
        8 * generator.normal(size=n) - 6,
        4 * generator.standard_cauchy(n),
        1e-3 * generator.normal(size=n) - 4,  # nearly constant
        np.where(generator.random(n) < 0.3, 40.0, generator.normal(size=n)),  # certain ones
    ][seed % 4]
    score = np.clip(expit(odds), EDGE, 1 - EDGE)
    scaled = (odds - np.median(odds)) / odds.std()
    label = (generator.random(n) < expit(2 * generator.normal() * scaled)).astype(float)
    return label, score, generator.integers(0, 4, n).astype(float)


def separated(label, score, weight) -> bool:
    positive, negative = (score[(label == each) & (weight > 0)] for each in (1, 0))
    if not len(positive) or not len(negative):
        return True
    return positive.min() >= negative.max() or negative.min() >= positive.max()


@pytest.mark.parametrize("seed", range(80))
def test_is_the_maximum_of_the_likelihood_or_nan_if_there_is_none(seed):
    label, score, weight = hard(seed)
    intercept, slope = recalibration(label, score, weight, free_slope=True)
    assert np.isnan(slope) == np.isnan(intercept) == separated(label, score, weight)
    if np.isnan(slope):
        return
    odds = logit(score)

    def surprise(parameters):
        fitted = parameters[0] + parameters[1] * odds
        return weight @ (np.logaddexp(0, fitted) - label * fitted)

    found = surprise([intercept, slope])
    start = [logit(np.average(label, weights=weight)), 0.0]
    best = minimize(surprise, start, method="Nelder-Mead", options={"maxiter": 1000}).fun
    assert found <= best + 1e-9 * abs(best)
    residual = weight * (label - expit(intercept + slope * odds))
    assert abs(residual.sum()) < 1e-9 * weight.sum()
    assert abs(residual @ odds) < 1e-8 * weight.sum()


@pytest.mark.parametrize("seed", range(40))
def test_as_many_events_are_expected_as_occur_after_the_intercept(seed):
    label, score, weight = hard(seed)
    intercept, slope = recalibration(label, score, weight, free_slope=False)
    if np.isnan(intercept):
        assert len(set(label[weight > 0])) < 2
        return
    assert slope == 1
    expected = weight @ expit(intercept + logit(score))
    assert expected == pytest.approx(weight @ label, abs=1e-9)


@pytest.mark.parametrize(("intercept", "slope"), [(0, 1), (0.5, 1), (-1, 0.6), (0.3, 1.8)])
def test_recovers_the_truth_of_a_large_sample(intercept, slope):
    label, score = made(200_000, intercept, slope)
    fitted = recalibration(label, score, np.ones(len(label)), free_slope=True)
    assert fitted == pytest.approx((intercept, slope), abs=0.03)


def test_recalibrated_scores_have_slope_one_and_intercept_zero():
    label, score = made(500, 0.7, 0.5)
    a, b = recalibration(label, score, np.ones(500), free_slope=True)
    again = expit(a + b * logit(score))
    assert SLOPE(label, again) == pytest.approx(1, abs=1e-9)
    assert INTERCEPT(label, again) == pytest.approx(0, abs=1e-9)


@given(factor=st.floats(0.05, 4), shift=st.floats(-2, 2))
def test_scores_stretched_on_the_logit_scale_have_the_slope_shrunk(factor, shift):
    label, score = made(60, 0, 1)
    score = np.clip(score, 0.02, 0.98)  # away from the edges also when stretched
    stretched = expit(factor * logit(score))
    assert SLOPE(label, stretched) == pytest.approx(SLOPE(label, score) / factor, rel=1e-6)
    moved = expit(logit(score) + shift)
    assert INTERCEPT(label, moved) == pytest.approx(INTERCEPT(label, score) - shift, abs=1e-6)


def test_certain_and_wrong_scores_count_as_logit_18():
    label, score = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0])
    assert INTERCEPT(label, score) == pytest.approx(-logit(EDGE))


@pytest.mark.parametrize(
    ("label", "score"),
    [
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]),
        ([0, 0, 1, 1], [0.4, 0.3, 0.2, 0.1]),
        ([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.4]),  # they touch, but do not cross
    ],
    ids=["constant", "separated", "reversed", "touching"],
)
def test_no_slope_without_overlap_or_without_two_scores(label, score):
    assert np.isnan(SLOPE(label, score))
    assert not np.isnan(INTERCEPT(label, score))


def test_a_draw_that_is_undefined_leaves_the_others_alone():
    label, score = made(40, 0, 1)
    one_class = (label == 1).astype(float)
    some = np.random.default_rng(1).integers(0, 3, 40).astype(float)
    found = SLOPE(label, score, np.stack([one_class, some, 0 * some]))
    np.testing.assert_array_equal(found, [np.nan, SLOPE(label, score, some), np.nan])


@pytest.mark.parametrize("metric", [SLOPE, INTERCEPT], ids=lambda metric: metric.name)
def test_intervals_cover_the_truth(metric):
    covered, trials = 0, 400
    for seed in range(trials):
        label, score = made(300, 0, 1, seed)
        (weights,) = patient_weights(np.arange(300), 200, seed)
        low, high = np.quantile(metric(label, score, weights), [0.025, 0.975])
        covered += low <= metric.ideal <= high
    assert 0.91 <= covered / trials <= 0.98  # 0.94, as both tails are read off 200 draws
