"""Many differences at once: definitions, edges and error rates by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control

from evaluation.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bootstrap_p,
    detectable,
    max_t,
    standard_error,
)


def step_down(point, draws):
    """The definition: drop the largest, compare the next with the maximum over the rest."""
    error = draws.std(axis=0, ddof=1)
    statistic, deviation = np.abs(point) / error, np.abs(draws - point) / error
    left, p, previous = list(range(len(point))), np.empty(len(point)), 0.0
    while left:
        largest = max(left, key=lambda k: statistic[k])
        beyond = sum(max(row[k] for k in left) >= statistic[largest] for row in deviation)
        previous = p[largest] = max(previous, (1 + beyond) / (1 + len(draws)))
        left.remove(largest)
    return p


def test_max_t_is_that_of_the_definition():
    generator = np.random.default_rng(0)
    point = generator.normal(size=6) * 2
    draws = generator.normal(point, [1, 2, 1, 0.5, 1, 3], (99, 6)) + generator.normal(
        size=(99, 1)
    )
    critical, bands, p = max_t(point, draws, 0.9)
    error = draws.std(axis=0, ddof=1)
    largest = np.sort((np.abs(draws - point) / error).max(axis=1))
    assert critical in largest
    assert (largest <= critical).mean() == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(bands, np.c_[point - critical * error, point + critical * error])
    np.testing.assert_allclose(p, step_down(point, draws))


def test_one_difference_needs_no_adjustment():
    draws = np.random.default_rng(0).normal(0.3, 0.2, (500, 1))
    point = np.array([0.3])
    assert max_t(point, draws, 0.95).p == pytest.approx(bootstrap_p(point, draws))


def test_adjusted_is_never_below_single():
    generator = np.random.default_rng(2)
    point = generator.normal(size=10)
    draws = generator.normal(point, 1, (300, 10))
    assert (max_t(point, draws, 0.95).p >= bootstrap_p(point, draws)).all()


def test_what_has_no_standard_error_is_left_out():
    generator = np.random.default_rng(0)
    point = np.array([0.1, 0.2, np.nan, 0.4, 0.5])
    draws = generator.normal(np.nan_to_num(point), 0.1, (200, 5))
    draws[:, 1] = 0.2  # does not vary
    draws[:20, 3] = np.nan  # undefined in 10 % of the draws
    draws[:4, 4] = np.nan  # undefined in 2 %
    critical, bands, p = max_t(point, draws, 0.95)
    assert np.isnan(p).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(np.isnan(bands).all(axis=1), np.isnan(p))
    np.testing.assert_array_equal(np.isnan(bootstrap_p(point, draws)), np.isnan(p))
    alone = max_t(point[[0, 4]], draws[:, [0, 4]], 0.95)
    assert critical == pytest.approx(alone.critical)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (10, 0), (1, 3)])
def test_nothing_to_test_gives_nothing(shape):
    point, draws = np.zeros(shape[1]), np.ones(shape)
    critical, bands, p = max_t(point, draws, 0.95)
    assert np.isnan(critical)
    assert bands.shape == (shape[1], 2)
    assert np.isnan(p).all()
    assert np.isnan(bootstrap_p(point, draws)).all()


def test_a_p_value_is_never_0():
    draws = np.random.default_rng(0).normal(5, 0.1, (199, 1))
    assert bootstrap_p(np.array([5.0]), draws) == pytest.approx(1 / 200)
    assert max_t(np.array([5.0]), draws, 0.95).p == pytest.approx(1 / 200)


def test_no_difference_has_p_1():
    draws = np.random.default_rng(0).normal(0, 1, (99, 1))
    assert bootstrap_p(np.array([0.0]), draws) == 1


def test_standard_error_is_that_of_the_defined_draws():
    draws = np.random.default_rng(0).normal(size=(100, 2))
    draws[:3, 0] = np.nan
    np.testing.assert_allclose(standard_error(draws), np.nanstd(draws, axis=0, ddof=1))


P = arrays(float, st.integers(0, 20), elements=st.floats(1e-6, 1) | st.just(np.nan))


@given(P)
def test_false_discovery_rates_pass_over_nan(p):
    for adjust, method in ((benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")):
        found = adjust(p)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(p))
        defined = ~np.isnan(p)
        if defined.any():
            expected = false_discovery_control(p[defined], method=method)
            np.testing.assert_allclose(found[defined], expected)


def test_benjamini_hochberg_is_that_of_the_definition():
    p = np.array([0.001, 0.2, 0.03, 0.04, 0.9])
    expected = [
        min(1.0, *(len(p) * other / (p <= other).sum() for other in p if other >= each))
        for each in p
    ]
    np.testing.assert_allclose(benjamini_hochberg(p), expected)
    harmonic = sum(1 / k for k in range(1, 6))
    np.testing.assert_allclose(
        benjamini_yekutieli(p), np.minimum(1, np.array(expected) * harmonic)
    )


def test_detectable_difference_is_found_with_that_power():
    """20,000 tests of a normal estimate; three standard errors are 0.8 %."""
    generator = np.random.default_rng(0)
    truth = detectable(np.array(0.04), 0.95, power=0.8)
    found = np.abs(generator.normal(truth, 0.04, 20_000)) > 1.959964 * 0.04
    assert found.mean() == pytest.approx(0.8, abs=0.009)
    assert np.isnan(detectable(np.array(np.nan), 0.95))


def differences_without_disparity(generator, draws=400):
    """TPR and FPR of 7 groups minus those of the first, on the sample and on draws."""
    share = np.array([0.2, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1])
    decided = np.array([[0.2, 0.8], [0.8, 0.2]])[:, :, None]  # positives, negatives
    cell = (np.array([0.3, 0.7])[:, None, None] * decided * share).ravel()
    counts = generator.multinomial(3000, cell)
    # One image a patient: a draw of patients is a draw of the cells' counts.
    drawn = generator.multinomial(3000, counts / 3000, draws)
    both = np.concatenate([counts[None], drawn]).reshape(-1, 2, 2, 8)
    rate = both[:, :, 1] / both.sum(axis=2)
    gap = (rate[:, :, 1:] - rate[:, :, :1]).reshape(len(both), 14)
    return gap[0], gap[1:]


def test_family_wise_error_is_nominal():
    """500 samples without disparity: of 14 tests of 5 %, some flag in 40 to 60 % of them.

    With max-T it is about 5 %, and the bands all hold in about 95 %; three standard errors
    are 3 %.
    """
    generator = np.random.default_rng(0)
    trials, raw, family, held = 500, 0, 0, 0
    for _ in range(trials):
        point, draws = differences_without_disparity(generator)
        _, bands, p = max_t(point, draws, 0.95)
        raw += (bootstrap_p(point, draws) < 0.05).any()
        family += (p < 0.05).any()
        held += ((bands[:, 0] <= 0) & (bands[:, 1] >= 0)).all()
    assert 0.35 < raw / trials < 0.6
    assert family / trials == pytest.approx(0.05, abs=0.03)
    assert held / trials == pytest.approx(0.95, abs=0.03)


def test_max_t_finds_a_true_difference():
    generator = np.random.default_rng(1)
    point, draws = differences_without_disparity(generator)
    shift = np.r_[np.zeros(13), 0.2]
    _, bands, p = max_t(point + shift, draws + shift, 0.95)
    assert p[13] < 0.05
    assert bands[13, 0] > 0
