"""Extremes, differences and ratios: the definition, certain groups, and the edges."""

import numpy as np
import pytest

from evaluation.group_comparison import Side, difference, extreme, ratio
from evaluation.metric import METRICS

TPR, SLOPE = METRICS.get("true_positive_rate"), METRICS.get("calibration_slope")
METHODS = ["between_groups", "to_overall"]


def made(point=(0.4, 0.5, 0.8), overall=0.55, metric=TPR, draws=400, seed=0):
    generator = np.random.default_rng(seed)
    point = np.array(point)
    drawn = generator.normal(point, 0.02, (draws, len(point)))
    return Side(
        metric, point, drawn, [50] * len(point), overall, generator.normal(overall, 0.01, draws)
    )


def test_values_known_by_thought():
    side = made()
    assert difference(side, "between_groups", 0.95).value == pytest.approx(0.4)
    assert difference(side, "to_overall", 0.95).value == pytest.approx(0.25)
    assert ratio(side, "between_groups", 0.95).value == pytest.approx(0.5)
    assert ratio(side, "to_overall", 0.95).value == pytest.approx(0.55 / 0.8)
    assert extreme(side, "min", 0.95).value == 0.4
    assert extreme(side, "max", 0.95).value == 0.8


def test_interval_to_overall_is_the_quantile_of_the_largest_stray():
    side = made()
    largest = sorted(
        max(abs((drawn[g] - all_drawn) - (side.point[g] - side.overall)) for g in range(3))
        for drawn, all_drawn in zip(side.draws, side.overall_draws, strict=True)
    )
    reach = largest[int(np.ceil(0.9 * (len(largest) - 1)))]
    found = difference(side, "to_overall", 0.9)
    assert found.low == pytest.approx(found.value - reach)
    assert found.high == pytest.approx(found.value + reach)


@pytest.mark.parametrize("method", METHODS)
def test_groups_alike_hold_no_difference(method):
    side = made((0.5, 0.505, 0.495), 0.5)
    assert difference(side, method, 0.95).low == 0
    assert ratio(side, method, 0.95).high == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("point", [(), (0.3,)])
def test_nothing_is_compared_with_fewer_than_two_groups(method, point):
    assert np.isnan(difference(made(point), method, 0.95)).all()
    assert np.isnan(ratio(made(point), method, 0.95)).all()


def test_one_group_is_both_extremes():
    assert extreme(made((0.3,)), "min", 0.95) == extreme(made((0.3,)), "max", 0.95)
    assert np.isnan(extreme(made(()), "min", 0.95)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_group_at_zero_or_below_has_no_ratio(method):
    assert np.isnan(ratio(made((0.0, 0.5)), method, 0.95).value)
    assert np.isnan(ratio(made((-0.1, 0.5), metric=SLOPE), method, 0.95).value)


@pytest.mark.parametrize("method", METHODS)
def test_a_group_that_no_draw_varies_is_uncertain_all_the_same(method):
    side = made((0.9, 1.0), 0.95)
    draws = side.draws.copy()
    draws[:, 1] = 1
    certain = side._replace(draws=draws, units=[50, 5])
    assert difference(certain, method, 0.95).low == 0
    assert ratio(certain, method, 0.95).high == 1
    assert extreme(certain, "max", 0.95).low < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_too_many_undefined_draws_leave_the_value_alone(method):
    side = made()
    draws = side.draws.copy()
    draws[:100, 0] = np.nan
    for compare in (difference, ratio):
        found = compare(side._replace(draws=draws), method, 0.95)
        assert not np.isnan(found.value)
        assert np.isnan([found.low, found.high]).all()
    found = extreme(side._replace(draws=draws), "min", 0.95)
    assert found.value == 0.4
    assert np.isnan([found.low, found.high]).all()


def test_draws_at_zero_reach_down_to_a_ratio_of_zero():
    side = made((0.02, 0.5), 0.3)
    found = ratio(side._replace(draws=np.maximum(side.draws, 0)), "to_overall", 0.95)
    assert found.low == 0
    assert found.high == 1


def test_ends_stay_inside_the_range_of_the_metric():
    side = made((0.01, 0.99), 0.5)
    assert extreme(side, "min", 0.95).low == 0
    assert extreme(side, "max", 0.95).high == 1
    assert difference(side, "to_overall", 0.95).high <= 1
