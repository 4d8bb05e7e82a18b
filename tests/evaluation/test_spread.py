"""Bias-corrected spread: the definition, the edges, and what chance alone makes."""

import numpy as np
import pytest

from evaluation.spread import between_group_spread

#: Sex by race as 500 positive patients out of 2,000 samples fall into eight groups.
SHARE = np.array([0.32, 0.32, 0.07, 0.07, 0.06, 0.06, 0.05, 0.05])


def sample(generator, truth, positives, draws=300):
    """Estimated sensitivities of groups and their bootstrap draws, one image a patient."""
    right = generator.binomial(positives, truth)
    drawn = generator.binomial(positives, right / positives, (draws, len(truth)))
    return right / positives, drawn / positives


def test_noise_is_the_mean_sampling_variance_of_independent_groups():
    generator = np.random.default_rng(0)
    positives = np.array([40, 80, 160])
    point, draws = sample(generator, np.array([0.6, 0.8, 0.9]), positives, 20_000)
    found = between_group_spread(point, draws)
    noise = (point * (1 - point) / positives).mean()
    assert found.raw == np.std(point, ddof=1)
    assert found.corrected**2 == pytest.approx(point.var(ddof=1) - noise, rel=0.01)


def test_what_groups_share_is_no_noise_between_them():
    """Draws that move all groups together say nothing about their spread."""
    point = np.array([0.6, 0.7, 0.8])
    together = np.random.default_rng(0).normal(0, 0.1, (500, 1))
    found = between_group_spread(point, point + together)
    assert found.corrected == pytest.approx(found.raw)
    assert found.null_high == pytest.approx(0, abs=1e-9)


def test_estimates_nearer_than_chance_have_no_spread():
    draws = np.random.default_rng(0).normal(0.8, 0.1, (500, 4))
    found = between_group_spread(np.array([0.8, 0.81, 0.8, 0.79]), draws)
    assert found.corrected == found.low == 0
    assert 0 < found.raw < found.null_high


def test_a_common_shift_and_the_order_of_groups_do_not_matter():
    generator = np.random.default_rng(0)
    point = np.array([0.5, 0.7, 0.6, 0.9])
    draws = generator.normal(point, 0.05, (200, 4))
    order = [2, 0, 3, 1]
    first = between_group_spread(point, draws)
    assert between_group_spread(point + 1, draws + 1) == pytest.approx(first)
    assert between_group_spread(point[order], draws[:, order]) == pytest.approx(first)


@pytest.mark.parametrize(
    ("point", "draws"),
    [
        (np.array([]), np.empty((10, 0))),
        (np.array([0.5]), np.full((10, 1), 0.5)),
        (np.array([0.5, np.nan]), np.full((10, 2), 0.5)),
        (np.array([0.5, 0.6]), np.full((10, 2), np.nan)),
        (np.array([0.5, 0.6]), np.empty((0, 2))),
    ],
)
def test_undefined_is_nan(point, draws):
    assert np.isnan(between_group_spread(point, draws)).all()


def test_a_few_undefined_draws_are_left_out():
    point = np.array([0.5, 0.6])
    draws = np.random.default_rng(0).normal(point, 0.1, (100, 2))
    holed = np.r_[draws, [[np.nan, 0.6]]]
    assert between_group_spread(point, holed) == between_group_spread(point, draws)


def test_without_disparity_raw_is_biased_and_corrected_is_not():
    """1,000 simulated cohorts of 500 positives in eight groups that are truly alike.

    Best minus worst is 0.185 on average, and the raw variance is all chance. The corrected one
    is 0 on average before it is cut at 0, up to the tenth of the chance that the bootstrap
    does not see in groups of 25; one standard error is 2 % of the raw one.
    """
    generator = np.random.default_rng(0)
    gaps, raw, noise, beyond = [], [], [], []
    for _ in range(1000):
        point, draws = sample(generator, np.full(8, 0.8), generator.multinomial(500, SHARE))
        found = between_group_spread(point, draws)
        gaps.append(np.ptp(point))
        raw.append(found.raw**2)
        noise.append((draws - point).var(axis=1, ddof=1).mean())
        beyond.append(found.raw > found.null_high)
    assert np.mean(gaps) == pytest.approx(0.185, abs=0.01)
    assert np.mean(raw) > 0.003
    assert abs(np.mean(raw) - np.mean(noise)) < 0.1 * np.mean(raw)
    assert 0.02 < np.mean(beyond) < 0.1


def test_corrected_variance_centres_on_the_truth_and_its_interval_covers():
    """600 cohorts, each group with 100 positives; three standard errors are 3 %."""
    generator = np.random.default_rng(1)
    truth = np.array([0.9, 0.85, 0.85, 0.8, 0.8, 0.8, 0.7, 0.65])
    spread = truth.std(ddof=1)
    corrected, raw, covered = [], [], []
    for _ in range(600):
        found = between_group_spread(*sample(generator, truth, np.full(8, 100)))
        corrected.append(found.corrected**2)
        raw.append(found.raw**2)
        covered.append(found.low <= spread <= found.high)
    assert np.mean(corrected) == pytest.approx(spread**2, rel=0.05)
    assert np.mean(raw) > 1.15 * spread**2
    assert 0.92 < np.mean(covered) <= 0.99
