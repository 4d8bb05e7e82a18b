"""Reliability curves: values, bands and what they promise."""

import numpy as np
import pytest
from scipy.stats import binomtest

from evaluation.bootstrap import Resampling
from evaluation.calibration import BINS, bin_of, reliabilities
from evaluation.decomposition import brier_parts
from evaluation.groups import Group
from evaluation.metric import METRICS
from evaluation.target import Target

#: Standard error of a coverage of 95 % over 300 trials.
NOISE = (0.95 * 0.05 / 300) ** 0.5


def everyone(n):
    return Group((), (), np.arange(n))


def target(label, score, name=""):
    score = np.asarray(score, float)
    return Target(name, np.asarray(label, float), score, (score >= 0.5).astype(float))


def resampling(n, *, draws=200, patient=None, weight=None, seed=0):
    patient = np.arange(n) if patient is None else patient
    return Resampling(patient, np.ones(n) if weight is None else weight, draws, seed, 0.95)


def curve(label, score, **options):
    n = len(label)
    return reliabilities([target(label, score)], [everyone(n)], resampling(n, **options))[0]


def test_bins_hold_their_lower_edge_and_the_last_one_holds_1():
    np.testing.assert_array_equal(bin_of(np.array([0.1, 0.7, 0.999, 1.0])), [1, 7, 9, 9])


def test_matches_a_loop_over_weighted_bins():
    generator = np.random.default_rng(0)
    n = 200
    score, weight = generator.random(n), generator.random(n)
    label = (generator.random(n) < score).astype(float)
    label[:10] = np.nan
    found = curve(label, score, weight=weight)
    for b in range(BINS):
        inside = (score >= b / 10) & (score < (b + 1) / 10) & ~np.isnan(label)
        assert found.images[b] == inside.sum()
        assert found.score[b] == pytest.approx(
            np.average(score[inside], weights=weight[inside])
        )
        expected = np.average(label[inside], weights=weight[inside])
        assert found.observed[b] == pytest.approx(expected)


def test_every_target_and_group_has_a_curve_with_nested_bounds():
    generator = np.random.default_rng(1)
    n = 2000
    score = generator.random(n)
    targets = [target(generator.random(n) < score, score, name) for name in "ab"]
    whole = Target("", generator.integers(0, 3, n).astype(float), score * np.nan, score, 3)
    groups = [everyone(n), Group(("x",), ("1",), np.arange(0, n, 3))]
    found = reliabilities([*targets, whole], groups, resampling(n))
    assert [(c.target, c.group) for c in found] == [
        ("a", "all"),
        ("a", "x: 1"),
        ("b", "all"),
        ("b", "x: 1"),
    ]
    for c in found:
        ends = np.array([c.band_low, c.low, c.observed, c.high, c.band_high])
        assert (np.diff(ends, axis=0) >= 0).all()


def test_a_bin_of_one_patient_has_no_interval_and_an_empty_one_no_value():
    found = curve([1, 0, 1], [0.05, 0.05, 0.95], patient=np.array([0, 0, 0]))
    assert np.isnan(found.observed[4])
    assert found.images[4] == 0
    assert found.observed[0] == 0.5
    # No draw leaves out the only patient there is.
    assert 0 <= found.low[0] < 0.2 < 0.8 < found.high[0] <= 1
    rare = curve([0] * 50 + [1], [0.05] * 50 + [0.95])
    assert np.isnan([rare.low[9], rare.high[9], rare.band_low[9]]).all()


def test_labels_that_all_agree_are_no_certainty():
    found = curve(np.zeros(40), np.full(40, 0.05))
    wilson = binomtest(0, 40).proportion_ci(0.95, method="wilson")
    assert found.low[0] == 0
    assert wilson.high < found.high[0] < 0.1
    assert found.high[0] < found.band_high[0] + 1e-12


def test_independent_images_get_the_interval_of_wilson():
    label = np.arange(400) % 4 == 0
    found = curve(label, np.full(400, 0.25), draws=4000)
    wilson = binomtest(100, 400).proportion_ci(0.95, method="wilson")
    assert found.low[2] == pytest.approx(wilson.low, abs=0.004)
    assert found.high[2] == pytest.approx(wilson.high, abs=0.004)


def test_images_of_a_patient_count_once():
    label = np.repeat(np.arange(100) % 2, 4)
    alone = curve(label, np.full(400, 0.25))
    together = curve(label, np.full(400, 0.25), patient=np.repeat(np.arange(100), 4))
    width = [c.high[2] - c.low[2] for c in (alone, together)]
    assert width[1] == pytest.approx(2 * width[0], rel=0.2)


def test_empty_group_and_no_draws_give_nan():
    nobody = Group(("x",), ("none",), np.array([], int))
    found = reliabilities([target([1, 0], [0.2, 0.3])], [nobody], resampling(2))[0]
    assert np.isnan(found.observed + found.low + found.band_high).all()
    assert np.isnan(curve([1, 0], [0.2, 0.3], draws=0).low).all()


def simulated(generator, patients=250, images=4):
    """Calibrated scores; the labels of a patient agree more than chance."""
    score = np.repeat(generator.random(patients), images)
    own = np.repeat(generator.random(patients), images)
    drawn = generator.random(patients * images)
    same = generator.random(patients * images) < 0.5
    label = np.where(same, own, drawn) < score
    return label.astype(float), score, np.repeat(np.arange(patients), images)


def test_intervals_hold_their_bin_and_bands_the_whole_curve():
    generator = np.random.default_rng(2)
    centre, alone, together, trials = (np.arange(BINS) + 0.5) / 10, [], [], 300
    for trial in range(trials):
        label, score, patient = simulated(generator)
        found = curve(label, score, patient=patient, seed=trial)
        alone.append((np.array(found.low) <= centre) & (centre <= np.array(found.high)))
        band = (np.array(found.band_low) <= centre) & (centre <= np.array(found.band_high))
        together.append(band.all())
    assert np.mean(alone) == pytest.approx(0.95, abs=0.02)
    assert 0.95 - 3 * NOISE <= np.mean(together) < 1
    assert np.all(alone, axis=1).mean() < 0.75  # pointwise intervals do not hold the curve


def parts(label, score, **options):
    n = len(label)
    return brier_parts([target(label, score)], [everyone(n)], resampling(n, **options))


def test_parts_make_up_the_brier_score_of_binned_scores():
    generator = np.random.default_rng(3)
    score = (generator.integers(0, 10, 5000) + 0.5) / 10
    label = (generator.random(5000) < score**2).astype(float)
    value = {p.part: p.value for p in parts(label, score)}
    brier = METRICS.get("brier_score")(label, score)
    total = value["reliability"] - value["resolution"] + value["uncertainty"]
    assert total == pytest.approx(brier, abs=5e-4)
    expected = np.mean((score - score**2) ** 2)
    assert value["reliability"] == pytest.approx(expected, abs=0.01)


def test_small_groups_are_not_called_less_reliable():
    """Calibrated scores have reliability 0; the plain sum would be about 10 x 0.17 / 150."""
    generator = np.random.default_rng(4)
    values, held, resolved, trials = [], 0, 0, 300
    for trial in range(trials):
        score = generator.random(150)
        label = (generator.random(150) < score).astype(float)
        found = {p.part: p for p in parts(label, score, seed=trial)}
        values.append(found["reliability"].value)
        held += found["reliability"].low == 0
        resolved += found["resolution"].low <= 0.0825 <= found["resolution"].high
    assert np.mean(values) < 0.006
    assert held / trials > 0.9
    assert resolved / trials >= 0.95 - 3 * NOISE


def test_parts_of_one_class_and_of_nobody():
    constant = {p.part: p for p in parts(np.ones(30), np.full(30, 0.75))}
    assert constant["reliability"].value == pytest.approx(0.0625)
    assert constant["uncertainty"].value == 0
    assert constant["uncertainty"].reason == "no variation between patients"
    nobody = Group(("x",), ("none",), np.array([], int))
    empty = brier_parts([target([1], [0.5])], [nobody], resampling(1))
    assert [p.reason for p in empty] == ["no samples"] * 3
    assert np.isnan([p.value for p in empty]).all()
