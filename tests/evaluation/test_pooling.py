"""Partial pooling: the model by brute force, the edges, and error and coverage simulated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import betaln

from evaluation.bootstrap import Cube
from evaluation.groups import Group
from evaluation.metric import METRICS
from evaluation.pooling import Pooled, effective_counts, pooled, shrink
from evaluation.target import Measure


def brute_force(rate, count):
    """Posterior means on a fine even grid of the mean and of one over the concentration."""
    mean = ((np.arange(400) + 0.5) / 400)[:, None, None]
    concentration = (((np.arange(400) + 0.5) / 400) ** -1.0)[None, :, None]
    first, second = mean * concentration, (1 - mean) * concentration
    events = rate * count
    likelihood = betaln(events + first, count - events + second) - betaln(first, second)
    log_weight = likelihood.sum(axis=-1, keepdims=True)
    weight = np.exp(log_weight - log_weight.max())
    centre = (events + first) / (count + concentration)
    return (weight * centre).sum(axis=(0, 1)) / weight.sum()


@pytest.mark.parametrize(
    ("rate", "count"),
    [
        ([0.9, 0.8, 0.4], [50, 10, 3]),
        ([1.0, 1.0, 0.95, 1.0], [20, 30, 40, 5]),
        ([0.0, 1.0], [8, 8]),
        ([0.3], [12]),
        ([0.25, 0.3, 0.35, 0.3, 0.3], [200, 300, 100, 50, 5]),
    ],
)
def test_posterior_is_that_of_the_model(rate, count):
    rate, count = np.array(rate), np.array(count, float)
    found = shrink(rate, count, 0.95)
    np.testing.assert_allclose(found.mean, brute_force(rate, count), atol=0.005)


def test_small_groups_are_pulled_further():
    found = shrink(np.array([0.9, 0.9, 0.5, 0.5]), np.array([400.0, 400, 400, 4]), 0.95)
    assert abs(found.mean[2] - 0.5) < 0.01
    assert found.mean[3] > 0.55
    assert (found.high - found.low)[3] > 3 * (found.high - found.low)[2]


def test_a_group_without_samples_has_the_populations_mean_and_interval():
    rate, count = np.array([0.9, 0.7] * 8 + [np.nan]), np.array([100.0] * 16 + [0])
    found = shrink(rate, count, 0.95)
    assert found.mean[-1] == pytest.approx(0.8, abs=0.03)
    assert found.low[-1] < 0.65 < 0.9 < found.high[-1]
    others = shrink(rate[:-1], count[:-1], 0.95)
    np.testing.assert_allclose(found.mean[:-1], others.mean)


def test_no_evidence_at_all_is_undefined():
    for found in shrink(np.array([np.nan, np.nan]), np.zeros(2), 0.95):
        assert np.isnan(found).all()


@given(
    arrays(float, 5, elements=st.floats(0, 1)),
    arrays(float, 5, elements=st.just(0.0) | st.floats(0.5, 1e6)),
)
def test_pooled_rates_lie_in_their_intervals_inside_the_scale(rate, count):
    found = shrink(rate, count, 0.95)
    if (count > 0).any():
        assert ((found.low >= 0) & (found.low <= found.high) & (found.high <= 1)).all()
        assert ((found.mean > 0) & (found.mean < 1)).all()


def test_one_image_a_patient_counts_as_one():
    rate, units = np.array([0.8, 0.5, 1.0, np.nan]), np.array([50, 20, 4, 0])
    error = np.sqrt(rate * (1 - rate) / np.maximum(units, 1))
    np.testing.assert_allclose(effective_counts(rate, error, units), units)


def test_images_that_all_agree_count_as_one_and_independent_ones_as_many():
    generator = np.random.default_rng(0)
    units, images = 400, 4
    for own, each in ((True, 1), (False, images)):
        right = generator.random((units, 1 if own else images)) < 0.8
        mean = np.broadcast_to(right, (units, images)).mean(axis=1)
        error = mean.std() / units**0.5
        count = effective_counts(np.array([mean.mean()]), np.array([error]), np.array([units]))
        assert count[0] == pytest.approx(each * units, rel=0.15)


def test_no_group_tells_how_much_a_patient_counts():
    count = effective_counts(np.array([1.0, np.nan]), np.array([0.0, np.nan]), np.array([7, 0]))
    assert count.tolist() == [7, 0]


TPR = METRICS.get("true_positive_rate")
GROUPS = [
    Group((), (), np.arange(9)),
    Group(("x",), ("a",), np.arange(9)),
    Group(("x", "y"), ("a", "c"), np.arange(9)),
    Group(("x", "y"), ("b", "c"), np.arange(9)),
    Group(("x", "y"), ("b", "d"), np.arange(9)),
]
MEASURES = (
    Measure("heart", TPR),
    Measure("heart", METRICS.get("auroc")),
    Measure("heart", METRICS.get("f1_score")),
    Measure("macro", TPR),
)


def made_cube():
    point = np.tile(np.array([0.8, 0.8, 0.9, 0.6, np.nan])[:, None], len(MEASURES))
    draws = np.random.default_rng(0).normal(point, 0.05, (200, *point.shape))
    return Cube(MEASURES, point, draws)


def test_crossed_groups_and_rates_of_decisions_only():
    units = np.tile(np.array([100, 50, 60, 60, 0])[:, None], len(MEASURES))
    found = pooled(made_cube(), GROUPS, units, 0.95)
    assert [each.group for each in found] == ["x: a, y: c", "x: b, y: c", "x: b, y: d"]
    assert {(each.target, each.metric) for each in found} == {("heart", "true_positive_rate")}
    first, second, empty = found
    assert 0.6 < second.pooled < first.pooled < 0.9
    assert empty.units == 0
    assert np.isnan(empty.raw)
    assert second.pooled < empty.pooled < first.pooled
    again = Pooled.model_validate_json(empty.model_dump_json())
    assert again.model_dump_json() == empty.model_dump_json()


def test_without_crossings_there_is_nothing_to_pool():
    cube = made_cube()
    few = Cube(cube.measures, cube.point[:2], cube.draws[:, :2])
    assert pooled(few, GROUPS[:2], np.ones((2, len(MEASURES)), int), 0.95) == ()


def crossed_rates(generator, groups, images, concentration, draws=100):
    """True rates, and what is seen of them: images of a patient with correlation 0.5."""
    truth = generator.beta(0.8 * concentration, 0.2 * concentration, groups)
    units = generator.integers(2, 40, groups)
    rate, error = np.empty(groups), np.empty(groups)
    for g in range(groups):
        own = generator.beta(truth[g] + 1e-6, 1 - truth[g] + 1e-6, units[g])
        right = generator.binomial(images, own) / images
        times = generator.multinomial(units[g], np.full(units[g], 1 / units[g]), draws)
        rate[g], error[g] = right.mean(), (times @ right / units[g]).std(ddof=1)
    return truth, rate, np.where(error < 1e-12, 0, error), units


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize("groups", [6, 16])
def test_pooling_halves_the_error_and_its_intervals_cover(images, groups):
    """Groups of 2 to 39 patients, 1,200 intervals; a standard error is 0.6 to 0.9 %."""
    generator = np.random.default_rng(0)
    covered, better, raw = [], [], []
    for _ in range(1200 // groups):
        truth, rate, error, units = crossed_rates(generator, groups, images, 20)
        found = shrink(rate, effective_counts(rate, error, units), 0.95)
        covered.append((found.low <= truth) & (truth <= found.high))
        better.append((found.mean - truth) ** 2)
        raw.append((rate - truth) ** 2)
    assert np.mean(better) < 0.6 * np.mean(raw)
    assert 0.92 < np.mean(covered) < 0.98
