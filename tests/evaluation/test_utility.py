"""Decision curves: net benefit as defined, compared between groups, and its intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.bootstrap import Resampling
from evaluation.groups import Group
from evaluation.target import Target
from evaluation.utility import THRESHOLDS, decision_curves


def target(label, score, name=""):
    score = np.asarray(score, float)
    return Target(name, np.asarray(label, float), score, (score >= 0.5).astype(float))


def everyone(n):
    return Group((), (), np.arange(n))


def resampling(n, *, draws=200, patient=None, weight=None, seed=0):
    patient = np.arange(n) if patient is None else patient
    return Resampling(patient, np.ones(n) if weight is None else weight, draws, seed, 0.95)


def loop(label, score, weight, threshold):
    """The definition, one sample at a time."""
    benefit = 0.0
    for y, s, w in zip(label, score, weight, strict=True):
        if s >= threshold:
            benefit += w if y == 1 else -w * threshold / (1 - threshold)
    return benefit / weight.sum()


def test_matches_the_definition_with_weights_ties_and_unknown_truth():
    generator = np.random.default_rng(0)
    n = 300
    score = generator.integers(0, 21, n) / 20
    label = (generator.random(n) < score).astype(float)
    label[:20] = np.nan
    weight = generator.random(n)
    levels = (0.05, 0.2, 0.5, 0.95)
    groups = [everyone(n), Group(("x",), ("1",), np.arange(0, n, 2))]
    found = decision_curves(
        [target(label, score)], groups, resampling(n, weight=weight, draws=3), levels
    )
    known = ~np.isnan(label)
    prevalence = np.average(label[known], weights=weight[known])
    for curve, group in zip(found, groups, strict=True):
        rows = group.rows[known[group.rows]]
        y, s, w = label[rows], score[rows], weight[rows]
        for k, t in enumerate(levels):
            assert curve.net_benefit[k] == pytest.approx(loop(y, s, w, t), abs=1e-12)
            assert curve.treat_all[k] == pytest.approx(loop(y, y * 0 + 1, w, t), abs=1e-12)
            tpr, fpr = (np.average((s >= t)[y == c], weights=w[y == c]) for c in (1, 0))
            common = prevalence * tpr - (1 - prevalence) * fpr * t / (1 - t)
            assert curve.standardised[k] == pytest.approx(common, abs=1e-12)


def test_intervals_match_a_loop_over_draws():
    generator = np.random.default_rng(1)
    n = 80
    score = generator.random(n)
    label = (generator.random(n) < score).astype(float)
    options = resampling(n, draws=50, patient=np.arange(n) // 2)
    found = decision_curves([target(label, score)], [everyone(n)], options, (0.3, 0.6))[0]
    for k, t in enumerate((0.3, 0.6)):
        draws = [loop(label, score, w, t) for block in options.weights() for w in block]
        low, high = np.quantile(draws, [0.025, 0.975])
        assert (found.low[k], found.high[k]) == (pytest.approx(low), pytest.approx(high))


def test_a_perfect_model_is_worth_the_prevalence_and_treating_nobody_nothing():
    label = np.arange(100) % 4 == 0
    perfect = decision_curves([target(label, label)], [everyone(100)], resampling(100))[0]
    assert perfect.net_benefit == pytest.approx([0.25] * len(THRESHOLDS))
    silent = decision_curves([target(label, label * 0)], [everyone(100)], resampling(100))[0]
    assert silent.net_benefit == (0.0,) * len(THRESHOLDS)
    assert all(low < 0 < high for low, high in zip(silent.low, silent.high, strict=True))


def test_groups_of_other_prevalence_but_equal_rates_are_alike_when_standardised():
    label = np.r_[np.tile([1, 0, 0, 0], 50), np.tile([1, 1, 1, 0], 50)]
    score = np.where(label == 1, 0.8, 0.4)
    groups = [Group(("x",), (str(k),), np.arange(200) + 200 * k) for k in range(2)]
    a, b = decision_curves([target(label, score)], groups, resampling(400), (0.3, 0.6))
    assert a.net_benefit[0] < b.net_benefit[0]
    assert a.standardised == pytest.approx(b.standardised)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_never_more_than_the_prevalence(seed):
    generator = np.random.default_rng(seed)
    label, score = generator.integers(0, 2, 30), generator.random(30)
    found = decision_curves([target(label, score)], [everyone(30)], resampling(30, draws=5))[0]
    assert max(found.net_benefit) <= label.mean() + 1e-12


def test_coverage_of_the_interval_with_several_images_a_patient():
    generator = np.random.default_rng(2)
    held, trials, t = 0, 300, 0.4
    # P(score >= t) = 0.6; of those the mean score is 0.7.
    truth = 0.6 * 0.7 - 0.6 * 0.3 * t / (1 - t)
    for trial in range(trials):
        score, own = (np.repeat(generator.random(150), 4) for _ in range(2))
        label = own < score
        options = resampling(600, patient=np.repeat(np.arange(150), 4), seed=trial)
        found = decision_curves([target(label, score)], [everyone(600)], options, (t,))[0]
        held += found.low[0] <= truth <= found.high[0]
    assert held / trials == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / trials) ** 0.5)


def test_one_class_an_empty_group_one_patient_and_no_draws():
    nobody = Group(("x",), ("none",), np.array([], int))
    one = Group(("x",), ("one",), np.array([0]))
    healthy = target([0, 0, 0], [0.1, 0.2, 0.9])
    found = decision_curves([healthy], [nobody, one, everyone(3)], resampling(3), (0.5,))
    assert np.isnan(found[0].net_benefit + found[0].low + found[0].treat_all).all()
    assert found[1].net_benefit == (0.0,)
    assert np.isnan(found[1].low[0])  # a third of the draws leave the patient out
    assert found[2].net_benefit[0] == pytest.approx(-1 / 3)
    assert np.isnan(found[2].standardised[0])
    alone = resampling(3, patient=np.zeros(3))
    only = decision_curves([healthy], [everyone(3)], alone, (0.5,))[0]
    assert only.low[0] == -1
    no_draws = decision_curves([healthy], [everyone(3)], resampling(3, draws=0), (0.5,))[0]
    assert np.isnan(no_draws.low + no_draws.standardised_high).all()


def test_a_task_of_several_classes_as_a_whole_has_no_curve():
    whole = Target("", np.array([0.0, 1, 2]), np.full(3, np.nan), np.array([0.0, 1, 2]), 3)
    assert decision_curves([whole], [everyone(3)], resampling(3)) == ()


@pytest.mark.parametrize("thresholds", [(0.0, 0.5), (0.5, 1.0), (0.5, 0.4), (0.5, 0.5)])
def test_thresholds_outside_0_and_1_or_out_of_order_are_refused(thresholds):
    with pytest.raises(ValueError, match="thresholds must increase"):
        decision_curves([], [], resampling(1), thresholds)
