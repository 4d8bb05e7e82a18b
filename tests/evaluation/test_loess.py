"""Loess on a grid, and the calibration index that reads it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from evaluation.loess import loess
from evaluation.metric import METRICS
from tests.evaluation.test_every_metric import integrated_calibration_index

ICI = METRICS.get("integrated_calibration_index")

#: Scores of a group; the last is a rare finding, of which few scores exceed 0.05.
SCORES = {
    "even": lambda generator, n: generator.random(n),
    "both ends": lambda generator, n: expit(3 * generator.normal(size=n)),
    "rare": lambda generator, n: generator.beta(0.5, 15, n),
}


def made(kind: str, n: int, seed: int = 0):
    """A group whose scores are too extreme."""
    generator = np.random.default_rng(seed)
    score = SCORES[kind](generator, n)
    odds = logit(np.clip(score, 1e-6, 1 - 1e-6))
    label = (generator.random(n) < expit(0.3 + 0.6 * odds)).astype(float)
    return label, score, generator.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize(("n", "groups", "close"), [(300, 12, 0.0015), (1000, 3, 0.0005)])
def test_the_grid_moves_the_index_little(kind, n, groups, close):
    """Root mean square over the groups, against a loess of the samples themselves."""
    groups = [made(kind, n, seed) for seed in range(groups)]
    difference = [ICI(*group) - integrated_calibration_index(*group) for group in groups]
    assert np.sqrt(np.mean(np.square(difference))) < close


@pytest.mark.parametrize("kind", SCORES)
def test_keeps_straight_lines_up_to_the_distance_of_nodes(kind):
    _, score, weight = made(kind, 200)
    for slope, close in ((0.0, 1e-6), (1.0, 0.002)):
        node, mass, curve = loess(score, 1 + slope * score, weight[None])
        held = mass[0] > 0
        np.testing.assert_allclose(curve[0][held], 1 + slope * node[held], atol=close)


def test_the_weight_is_divided_between_nodes_and_none_is_lost():
    _, score, weight = made("rare", 200)
    node, mass, _ = loess(score, score, weight[None])
    assert mass.sum() == pytest.approx(weight.sum())
    assert mass[0] @ node == pytest.approx(weight @ score)  # nor moved on the whole


@given(score=st.floats(0, 1), events=st.integers(0, 10))
def test_a_constant_score_is_off_by_its_distance_from_the_frequency(score, events):
    label = np.arange(10) < events
    assert ICI(label, np.full(10, score)) == pytest.approx(abs(events / 10 - score), abs=1e-9)


def test_two_scores_far_apart_are_each_off_by_their_own_distance():
    label = [0, 1, 0, 1, 1, 1, 1, 0]  # half and three quarters
    score = [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]
    assert ICI(label, score) == pytest.approx((0.4 + 0.15) / 2, abs=1e-3)


def test_a_large_calibrated_sample_is_hardly_off_and_a_shifted_one_by_its_shift():
    generator = np.random.default_rng(0)
    score = generator.uniform(0.2, 0.8, 100_000)
    label = generator.random(len(score)) < score
    assert ICI(label, score) < 0.005
    assert ICI(label, score - 0.15) == pytest.approx(0.15, abs=0.005)
