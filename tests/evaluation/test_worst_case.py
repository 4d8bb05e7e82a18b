"""The worst population within a distance."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import linprog

from evaluation.metric import METRICS
from evaluation.worst_case import bound_of_worst, event_share, worst_population

seeds = st.integers(0, 2**32 - 1)


def worst(joint, numerator, denominator, allowed, distance, higher=True):
    """The worst over all cells that may be added to, and its ratio."""
    found = [
        worst_population(
            joint, numerator, denominator, to=to, distance=distance, higher_is_better=higher
        )
        for to in np.flatnonzero(allowed)
    ]
    ratios = [(q @ numerator) / (q @ denominator) for q in found]
    best = int(np.argmin(ratios) if higher else np.argmax(ratios))
    return found[best], ratios[best]


def programme(joint, numerator, denominator, allowed, distance, higher=True):
    """The same as a linear programme over (z q, z r, z), z the inverse of the denominator.

    r >= |q - p| / 2 in its positive part (Charnes and Cooper).
    """
    k = len(joint)
    sign = 1 if higher else -1
    cost = np.r_[sign * numerator, np.zeros(k), 0]
    more = np.c_[np.eye(k), -np.eye(k), -joint]  # q - p <= r
    near = np.r_[np.zeros(k), np.ones(k), -distance]  # sum of r <= distance
    barred = np.c_[np.eye(k), np.zeros((k, k)), -joint][~allowed]
    upper = np.vstack([more, near, barred])
    equal = np.vstack([np.r_[denominator, np.zeros(k + 1)], np.r_[np.ones(k), np.zeros(k), -1]])
    # Else constraints may be off by 1e-7, which is more than some of the distances.
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        cost, upper, np.zeros(len(upper)), equal, [1, 0], bounds=(0, None), options=exact
    )
    assert found.status == 0
    return sign * found.fun


@given(seeds, st.floats(0, 0.9), st.booleans(), st.booleans())
@example(1, 5.960464477539063e-08, False, False)
def test_equals_linear_programming(seed, distance, higher, mean):
    generator = np.random.default_rng(seed)
    joint = generator.dirichlet(np.ones(6))
    # The last cell counts in every ratio and is too large to vanish, else it may be 0 / 0.
    joint = np.r_[0.09 * joint, 0.91]
    denominator = np.ones(7) if mean else generator.choice([0, 0.5, 1], 7)
    denominator[-1] = 1
    numerator = denominator * generator.random(7)
    allowed = generator.random(7) < 0.6
    allowed[generator.integers(7)] = True
    q, value = worst(joint, numerator, denominator, allowed, distance, higher)
    expected = programme(joint, numerator, denominator, allowed, distance, higher)
    assert value == pytest.approx(expected, abs=1e-8)
    assert q.sum() == pytest.approx(1)
    assert (q >= 0).all()
    assert np.abs(q - joint).sum() / 2 <= distance + 1e-12
    assert (q[~allowed] <= joint[~allowed]).all()


def test_equals_a_search_over_a_grid():
    joint, numerator = np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.5, 0.0])
    denominator = np.array([1.0, 1.0, 0.0])  # the last cell does not count
    ratios = [
        (q @ numerator) / (q @ denominator)
        for a in range(101)
        for b in range(101 - a)
        if np.abs((q := np.array([a, b, 100 - a - b]) / 100) - joint).sum() / 2 <= 0.2 + 1e-12
        and q @ denominator > 0
    ]
    _, value = worst(joint, numerator, denominator, np.ones(3, bool), 0.2)
    assert value == pytest.approx(min(ratios))


def test_a_wider_ball_is_never_better():
    generator = np.random.default_rng(0)
    joint, mean = generator.dirichlet(np.ones(8)), generator.random(8)
    reached = [worst(joint, mean, np.ones(8), np.ones(8, bool), d)[1] for d in (0, 0.1, 0.5, 1)]
    assert reached[0] == pytest.approx(joint @ mean)
    assert reached[-1] == pytest.approx(mean.min())
    assert all(a >= b for a, b in pairwise(reached))


def test_equal_cells_cannot_be_made_worse():
    joint = np.array([0.4, 0.6])
    q, _ = worst(joint, np.full(2, 0.7), np.ones(2), np.ones(2, bool), 0.3)
    np.testing.assert_array_equal(q, joint)


def test_nothing_over_nothing_stays_the_sample():
    joint = np.array([0.4, 0.6])
    q = worst_population(
        joint, np.zeros(2), np.zeros(2), to=0, distance=0.3, higher_is_better=True
    )
    np.testing.assert_array_equal(q, joint)


@pytest.mark.parametrize(
    "name",
    ["accuracy", "true_positive_rate", "false_positive_rate", "positive_predictive_value"],
)
def test_a_share_of_events_is_the_ratio_of_its_parts(name):
    generator = np.random.default_rng(1)
    metric, joint = METRICS.get(name), generator.dirichlet(np.ones(6)).reshape(2, 3)
    decided = generator.random((2, 3))
    numerator, denominator = event_share(metric, decided)
    weight = np.stack([joint * (1 - decided), joint * decided], axis=-1)
    label, _, decision = np.indices(weight.shape)
    expected = metric(label.ravel(), decision.ravel(), weight.ravel())
    found = (joint * numerator).sum() / (joint * denominator).sum()
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", ["auroc", "matthews_correlation", "balanced_accuracy"])
def test_other_metrics_are_no_share_of_events(name):
    assert event_share(METRICS.get(name), np.full((2, 2), 0.5)) is None


def test_a_noisy_population_does_not_loosen_the_bound():
    generator = np.random.default_rng(2)
    one = generator.normal(0.5, 0.01, (1, 4000))
    alone = bound_of_worst(np.array([0.5]), one, 0.95, higher_is_better=True)
    assert alone == pytest.approx(0.5 + 1.96 * 0.01, abs=0.001)
    noisy = np.vstack([one, generator.normal(0.6, 0.3, (1, 4000))])
    both = bound_of_worst(np.array([0.5, 0.6]), noisy, 0.95, higher_is_better=True)
    assert alone <= both < 0.5 + 2.4 * 0.01


def test_the_bound_is_mirrored_where_lower_is_better():
    draws = np.random.default_rng(3).normal(0.5, 0.1, (3, 500))
    point = np.array([0.5, 0.45, 0.52])
    up = bound_of_worst(point, draws, 0.9, higher_is_better=True)
    assert bound_of_worst(-point, -draws, 0.9, higher_is_better=False) == pytest.approx(-up)


@pytest.mark.parametrize("draws", [np.full((2, 9), np.nan), np.full((2, 9), 0.5)])
def test_no_bound_without_variation(draws):
    assert np.isnan(bound_of_worst(np.full(2, 0.5), draws, 0.9, higher_is_better=True))


@pytest.mark.parametrize("cells", [4, 12])
def test_the_worst_of_equal_cells_is_covered(cells):
    """Of 400 intervals, nominally 95 %; those of the estimate's own draws cover far fewer."""
    generator = np.random.default_rng(4)
    n, rate, distance, covered, bare = 600, 0.8, 0.2, 0, 0
    for _ in range(400):
        size = generator.multinomial(n, np.full(cells, 1 / cells))
        joint, mean = size / n, generator.binomial(size, rate) / size
        again = np.maximum(generator.multinomial(n, joint, 300), 1)
        drawn = generator.binomial(again, mean) / again
        rivals = np.array(
            [
                worst_population(
                    joint,
                    mean,
                    np.ones(cells),
                    to=to,
                    distance=distance,
                    higher_is_better=True,
                )
                for to in range(cells)
            ]
        )
        point, draws = rivals @ mean, rivals @ drawn.T
        low, high = np.quantile(draws[np.argmin(point)], [0.025, 0.975])
        bound = bound_of_worst(point, draws, 0.95, higher_is_better=True)
        covered += low <= rate <= max(high, bound)
        bare += low <= rate <= high
    assert bare < covered
    assert covered / 400 >= 0.95 - 3 * (0.95 * 0.05 / 400) ** 0.5
