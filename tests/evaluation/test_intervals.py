"""Intervals: what they promise, checked by simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from evaluation.bootstrap import bootstrap, patient_weights
from evaluation.gaps import extremes
from evaluation.groups import Group
from evaluation.intervals import exact_reach, interval, simultaneous_reach
from evaluation.metric import METRICS
from evaluation.target import Target


def cube_of(right, patient, groups, metric, seed):
    """200 draws of a metric of decisions, where every sample is positive."""
    target = Target("", np.ones(len(right)), right, right)
    weight = np.ones(len(right))
    resampled = patient_weights(patient, 200, seed)
    return bootstrap([target], groups, [metric], weight, resampled)


ACCURACY = METRICS.get("accuracy")

#: Standard error of a coverage of 95 % over 300 trials.
NOISE = (0.95 * 0.05 / 300) ** 0.5


def test_percentiles_of_the_draws():
    draws = np.linspace(0, 1, 101)
    low, high, reason = interval(ACCURACY, 0.5, draws, units=50, confidence=0.9)
    assert (low, high, reason) == (pytest.approx(0.05), pytest.approx(0.95), "")


@pytest.mark.parametrize("units", [1, 5, 60])
def test_a_perfect_group_gets_the_exact_binomial_bound(units):
    low, high, reason = interval(ACCURACY, 1.0, np.ones(200), units, 0.95)
    expected = binomtest(units, units).proportion_ci(0.95, method="exact")
    assert low == pytest.approx(expected.low)
    assert high == 1
    assert "exact" in reason


def test_an_error_free_group_has_the_mirrored_bound():
    fpr = METRICS.get("false_positive_rate")
    low, high, _ = interval(fpr, 0.0, np.zeros(200), 30, 0.95)
    assert low == 0
    assert high == pytest.approx(exact_reach(30, 0.95))


def test_no_claim_where_the_exact_bound_does_not_apply():
    precision = METRICS.get("average_precision")
    low, high, reason = interval(precision, 1.0, np.ones(200), 30, 0.95)
    assert np.isnan([low, high]).all()
    assert reason


def test_undefined_draws_void_the_interval():
    draws = np.r_[np.full(90, 0.5), np.full(10, np.nan)]
    low, _, reason = interval(ACCURACY, 0.5, draws, 50, 0.95)
    assert np.isnan(low)
    assert "resamples" in reason


def simulate(generator, patients, images, icc, rate=0.8):
    """Decisions of patients whose images agree more than chance."""
    share = 1 / icc - 1
    own = generator.beta(rate * share, (1 - rate) * share, patients)
    right = generator.random((patients, images)) < own[:, None]
    return right.ravel().astype(float), np.repeat(np.arange(patients), images)


def coverage(images, *, by_row, trials=1000):
    """Share of 95 % intervals of a sensitivity of 0.8, of 150 patients, that hold it."""
    generator = np.random.default_rng(0)
    tpr, covered = METRICS.get("true_positive_rate"), 0
    for trial in range(trials):
        right, patient = simulate(generator, 150, images, icc=0.5)
        everyone = [Group((), (), np.arange(len(right)))]
        unit = np.arange(len(right)) if by_row else patient
        cube = cube_of(right, unit, everyone, tpr, trial)
        low, high, _ = interval(tpr, cube.point[0, 0], cube.draws[:, 0, 0], 150, 0.95)
        covered += low <= 0.8 <= high
    return covered / trials


@pytest.mark.parametrize("images", [1, 4])
def test_coverage_of_a_sensitivity_over_clustered_patients(images):
    assert 0.93 <= coverage(images, by_row=False) <= 0.97


def test_resampling_rows_would_claim_too_much():
    assert coverage(4, by_row=True, trials=300) < 0.85


def test_gap_of_equal_groups_is_compatible_with_none():
    """Under no disparity the gap's interval holds 0 in about 95 % of the trials."""
    generator = np.random.default_rng(1)
    held, trials = 0, 300
    for trial in range(trials):
        n, groups = 800, 8
        member = generator.integers(0, groups, n)
        right = (generator.random(n) < 0.8).astype(float)
        sets = [Group(("g",), (str(g),), np.flatnonzero(member == g)) for g in range(groups)]
        tpr = METRICS.get("true_positive_rate")
        cube = cube_of(right, np.arange(n), sets, tpr, trial)
        units = [len(each.rows) for each in sets]
        found = extremes(tpr, cube.point[:, 0], cube.draws[:, :, 0], units, 0.95)
        held += found.gap_low == 0
        assert found.gap > 0  # the naive gap is never 0
    assert 0.95 - 3 * NOISE <= held / trials < 1  # an interval that always holds says nothing


def test_true_gap_and_worst_group_lie_in_their_intervals():
    generator = np.random.default_rng(2)
    rates = np.array([0.9, 0.85, 0.6])
    gap_held = worst_held = 0
    trials = 300
    for trial in range(trials):
        member = np.repeat(np.arange(3), 200)
        right = (generator.random(600) < rates[member]).astype(float)
        sets = [Group(("g",), (str(g),), np.flatnonzero(member == g)) for g in range(3)]
        cube = cube_of(right, np.arange(600), sets, ACCURACY, trial)
        found = extremes(ACCURACY, cube.point[:, 0], cube.draws[:, :, 0], [200] * 3, 0.95)
        gap_held += found.gap_low <= 0.3 <= found.gap_high
        worst_held += found.worst_low <= 0.6 <= found.worst_high
    assert gap_held / trials >= 0.95 - 3 * NOISE
    assert found.gap_high - found.gap_low < 0.35
    assert worst_held / trials >= 0.95 - 3 * NOISE
    assert found.worst_high - found.worst_low < 0.25


def test_the_worst_of_a_lower_is_better_metric_is_the_highest():
    fpr = METRICS.get("false_positive_rate")
    draws = np.random.default_rng(0).normal([0.1, 0.3], 0.01, (500, 2))
    found = extremes(fpr, np.array([0.1, 0.3]), draws, [100, 100], 0.95)
    assert (found.worst_index, found.best_index) == (1, 0)
    assert found.gap == pytest.approx(0.2)


def test_a_group_without_variation_widens_the_gap():
    draws = np.c_[np.random.default_rng(0).normal(0.8, 0.01, 500), np.ones(500)]
    few = extremes(ACCURACY, np.array([0.8, 1.0]), draws, [500, 5], 0.95)
    many = extremes(ACCURACY, np.array([0.8, 1.0]), draws, [500, 500], 0.95)
    assert few.gap_low == 0 < many.gap_low


def test_simultaneous_reach_is_that_of_the_range():
    deviation = np.array([[0.1, -0.1], [0.0, 0.2], [0.3, 0.3]])
    furthest, spread = simultaneous_reach(np.zeros(2), deviation, 0.999999)
    assert furthest == pytest.approx(0.3, abs=1e-5)
    assert spread == pytest.approx(0.2, abs=1e-5)


def test_two_models_that_decide_alike_are_not_certainly_alike():
    low, high, _ = interval(ACCURACY, 0.0, np.zeros(200), 30, 0.95, change=True)
    assert -low == high == pytest.approx(exact_reach(30, 0.95))
    precision = METRICS.get("average_precision")
    assert np.isnan(interval(precision, 0.0, np.zeros(200), 30, 0.95, change=True).low)


def test_undefined_draws_void_a_change_too():
    draws = np.full(200, np.nan)
    assert np.isnan(interval(ACCURACY, 0.0, draws, 30, 0.95, change=True).low)


def test_a_perfect_group_with_odd_weights_keeps_its_exact_bound():
    weight = np.random.default_rng(0).random((50, 30))
    label = np.tile([0.0, 1.0], 15)
    draws = ACCURACY(label, label, weight)
    point = float(ACCURACY(label, label, weight[0] / 7))
    found = interval(ACCURACY, point, draws, 30, 0.95)
    assert 0.8 < found.low < 1
    assert found.high == 1
