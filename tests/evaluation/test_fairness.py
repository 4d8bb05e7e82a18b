"""The named criteria: values of fairlearn, intervals that keep their promise."""

import numpy as np
import pytest
from fairlearn import metrics as fairlearn

from evaluation.bootstrap import Resampling, bootstrap, count_units
from evaluation.fairness import CRITERIA, criteria, ratio_extremes
from evaluation.gaps import extremes
from evaluation.groups import Group
from evaluation.metric import METRICS
from evaluation.target import MACRO, Measure, Target

NAMES = sorted({name for names in CRITERIA.values() for name in names})

#: Standard error of a coverage of 95 % over 300 trials.
NOISE = (0.95 * 0.05 / 300) ** 0.5


def groups_of(member, attribute="g"):
    return [
        Group((attribute,), (str(k),), np.flatnonzero(member == k)) for k in np.unique(member)
    ]


def found(
    label, decision, groups, *, names=NAMES, draws=200, seed=0, patient=None, usable=None
):
    n = len(label)
    patient = np.arange(n) if patient is None else patient
    resampling = Resampling(patient, np.ones(n), draws, seed, 0.95)
    target = Target("", np.asarray(label, float), decision * 0.5, np.asarray(decision, float))
    metrics = [METRICS.get(name) for name in names]
    cube = bootstrap([target], groups, metrics, resampling.weight, resampling.weights())
    units = count_units([target], groups, cube.measures, patient, np.ones(len(patient)))
    usable = np.ones(units.shape, bool) if usable is None else usable
    return {c.name: c for c in criteria(cube, groups, usable, units, 0.95)}, cube, units


def cohort(generator, n=1000, groups=4):
    member = generator.integers(0, groups, n)
    label = generator.random(n) < 0.3 + 0.1 * member
    decision = generator.random(n) < 0.2 + 0.4 * label + 0.05 * member
    return label.astype(float), decision.astype(float), member


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_fairlearn(seed):
    label, decision, member = cohort(np.random.default_rng(seed))
    by_name = found(label, decision, groups_of(member), draws=5)[0]
    for name, function in {
        "demographic parity": "demographic_parity",
        "equal opportunity": "equal_opportunity",
        "equalised odds": "equalized_odds",
    }.items():
        for kind, value in (
            ("difference", by_name[name].difference),
            ("ratio", by_name[name].ratio),
        ):
            expected = getattr(fairlearn, f"{function}_{kind}")
            expected = expected(label, decision, sensitive_features=member)
            assert value == pytest.approx(expected, abs=1e-12)


def test_differences_of_one_rate_are_its_gap():
    label, decision, member = cohort(np.random.default_rng(1))
    by_name, cube, units = found(label, decision, groups_of(member))
    for name, (metric, *more) in CRITERIA.items():
        if more:
            continue
        m = [measure.metric.name for measure in cube.measures].index(metric)
        gap = extremes(
            METRICS.get(metric), cube.point[:, m], cube.draws[:, :, m], units[:, m], 0.95
        )
        each = by_name[name]
        assert (each.difference, each.low, each.high) == (gap.gap, gap.gap_low, gap.gap_high)
        assert each.null_high == gap.null_high
        assert each.worst == f"g: {gap.worst_index}"
        assert each.best == f"g: {gap.best_index}"


def test_equalised_odds_is_the_larger_difference_with_the_wider_reach():
    label, decision, member = cohort(np.random.default_rng(2))
    by_name = found(label, decision, groups_of(member))[0]
    both = [by_name["equal opportunity"], by_name["predictive equality"]]
    odds = by_name["equalised odds"]
    assert odds.difference == max(each.difference for each in both)
    assert odds.ratio == min(each.ratio for each in both)
    assert odds.null_high >= max(each.null_high for each in both)
    assert odds.worst == max(both, key=lambda each: each.difference).worst


def test_exists_only_where_the_cube_holds_its_metrics():
    label, decision, member = cohort(np.random.default_rng(3))
    by_name = found(label, decision, groups_of(member), names=["true_positive_rate"])[0]
    assert set(by_name) == {"equal opportunity"}


def test_the_mean_over_targets_is_no_criterion_but_each_target_has_its_own():
    label, decision, member = cohort(np.random.default_rng(4))
    groups = groups_of(member)
    targets = [Target(name, label, decision, decision) for name in "ab"]
    weight = np.ones(len(label))
    cube = bootstrap(targets, groups, [METRICS.get("selection_rate")], weight, [weight[None]])
    cube = cube.with_macro()
    assert Measure(MACRO, METRICS.get("selection_rate")) in cube.measures
    shape = cube.point.shape
    result = criteria(cube, groups, np.ones(shape, bool), np.ones(shape, int), 0.95)
    assert [(c.target, c.name) for c in result] == [
        ("a", "demographic parity"),
        ("b", "demographic parity"),
    ]


def test_attributes_and_their_crossing_are_families_of_their_own():
    label, decision, member = cohort(np.random.default_rng(5))
    crossed = [
        Group(("g", "h"), (str(k), "x"), group.rows[::2])
        for k, group in enumerate(groups_of(member))
    ]
    everyone = Group((), (), np.arange(len(label)))
    groups = [everyone, *groups_of(member), *crossed]
    n = len(label)
    target = Target("", label, decision, decision)
    resampling = Resampling(np.arange(n), np.ones(n), 20, 0, 0.95)
    metrics = [METRICS.get("selection_rate")]
    cube = bootstrap([target], groups, metrics, resampling.weight, resampling.weights())
    shape = cube.point.shape
    result = criteria(cube, groups, np.ones(shape, bool), np.ones(shape, int), 0.95)
    assert [c.attributes for c in result] == [("g",), ("g", "h")]


def test_unranked_groups_take_no_part_and_are_listed():
    label, decision, member = cohort(np.random.default_rng(6))
    groups = groups_of(member)
    names = ["true_positive_rate", "false_positive_rate"]
    usable = np.ones((4, 2), bool)
    usable[0, 1] = False  # not enough negative patients
    by_name = found(label, decision, groups, names=names, usable=usable)[0]
    assert by_name["equal opportunity"].unranked == ()
    assert by_name["equalised odds"].unranked == ("g: 0",)
    usable[1:, 1] = False
    by_name = found(label, decision, groups, names=names, usable=usable)[0]
    odds = by_name["equalised odds"]
    assert np.isnan([odds.difference, odds.low, odds.ratio]).all()
    assert odds.reason == "fewer than two groups have enough evidence"


def test_a_rate_of_0_has_no_ratio_but_a_difference():
    label = np.ones(100)
    decision = np.r_[np.zeros(50), np.tile([0.0, 1.0], 25)]
    member = np.repeat([0, 1], 50)
    parity = found(label, decision, groups_of(member))[0]["equal opportunity"]
    assert parity.difference == 0.5
    assert 0 < parity.low < 0.5 < parity.high
    assert np.isnan([parity.ratio, parity.ratio_low, parity.ratio_high]).all()
    assert parity.reason == "no ratio: the lowest value is 0"


def test_groups_without_variation_are_not_certain():
    label, decision = np.ones(60), np.ones(60)
    parity = found(label, decision, groups_of(np.repeat([0, 1], 30)))[0]["equal opportunity"]
    assert (parity.difference, parity.low, parity.ratio, parity.ratio_high) == (0, 0, 1, 1)
    assert parity.high > 0.1
    assert 0.5 < parity.ratio_low < 0.9


def test_a_group_of_one_patient_says_next_to_nothing():
    label, decision = np.ones(31), np.ones(31)
    patient = np.arange(31)
    member = np.r_[np.zeros(30, int), 1]
    parity = found(label, decision, groups_of(member), patient=patient)[0]["equal opportunity"]
    # A third of the draws hold no image of that patient.
    assert np.isnan([parity.low, parity.high, parity.ratio_low]).all()
    assert parity.reason == "undefined in too many resamples"


def test_no_draws_give_no_interval():
    label, decision, member = cohort(np.random.default_rng(7))
    parity = found(label, decision, groups_of(member), draws=0)[0]["demographic parity"]
    assert parity.difference > 0
    assert np.isnan([parity.low, parity.high, parity.ratio_low, parity.ratio_high]).all()


def simulate(seed, rates, patients=60, images=2):
    """A cohort of which each group is decided positive at a rate, patients being alike."""
    generator = np.random.default_rng(seed)
    member = np.repeat(np.arange(len(rates)), patients * images)
    patient = np.arange(len(member)) // images
    label = (generator.random(patient.max() + 1) < 0.5)[patient].astype(float)
    own, same = generator.random(patient.max() + 1)[patient], generator.random(len(label))
    drawn = np.where(same < 0.5, own, generator.random(len(label)))
    return label, (drawn < np.asarray(rates)[member]).astype(float), member, patient


def test_alike_groups_may_be_alike():
    """Under no disparity the interval holds 0, and that of the ratio 1, in about 95 %."""
    names, trials, held = ["true_positive_rate", "false_positive_rate"], 300, []
    for trial in range(trials):
        label, decision, member, patient = simulate(trial, [0.6] * 5)
        by_name = found(
            label, decision, groups_of(member), names=names, patient=patient, seed=trial
        )[0]
        assert all(each.difference > 0 for each in by_name.values())
        held.append([(c.low == 0, c.ratio_high == 1) for c in by_name.values()])
    share = np.mean(held, axis=0)
    assert (share >= 0.95 - 3 * NOISE).all(), share
    assert (share < 1).all(), share


def test_true_difference_and_ratio_lie_in_their_intervals():
    trials, held, widths = 150, [], []
    for trial in range(trials):
        label, decision, member, patient = simulate(1000 + trial, [0.8, 0.6, 0.5], 100)
        by_name = found(
            label,
            decision,
            groups_of(member),
            names=["selection_rate", "true_positive_rate", "false_positive_rate"],
            patient=patient,
            seed=trial,
        )[0]
        held.append(
            [
                (c.low <= 0.3 <= c.high, c.ratio_low <= 0.625 <= c.ratio_high)
                for c in by_name.values()
            ]
        )
        widths.append([c.high - c.low for c in by_name.values()])
    assert (np.mean(held, axis=0) >= 0.95 - 3 * 2**0.5 * NOISE).all()
    assert np.mean(widths) < 0.5


def test_ratio_of_known_draws():
    draws = np.array([[0.2, 0.4], [0.1, 0.4]] * 100)
    found = ratio_extremes(np.array([0.2, 0.4]), draws, 0.95)
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(0.25)
    assert found.high == pytest.approx(1)
    assert found.reason == ""


def test_ratio_with_draws_of_0_reaches_0():
    draws = np.tile([0.2, 0.4], (200, 1))
    draws[:20, 0] = 0
    draws[:2] = 0
    found = ratio_extremes(np.array([0.2, 0.4]), draws, 0.95)
    assert found.low < 1e-300
    assert found.high == 1
    few = ratio_extremes(np.array([0.2, 0.4]), draws[18:], 0.95)
    assert few.low == pytest.approx(0.5)


def test_ratio_of_a_number_that_is_no_share_and_of_undefined_draws():
    draws = np.random.default_rng(0).normal([10, 20], 0.1, (500, 2))
    found = ratio_extremes(np.array([10.0, 20.0]), draws, 0.95)
    assert found.low < 0.5 < found.high < 0.52
    draws[:100, 0] = np.nan
    found = ratio_extremes(np.array([10.0, 20.0]), draws, 0.95)
    assert found.value == 0.5
    assert np.isnan([found.low, found.high]).all()
    assert found.reason


def test_negative_numbers_have_no_ratio_and_negative_draws_count_as_0():
    draws = np.random.default_rng(1).normal([0.1, 0.2], 0.1, (500, 2))
    assert ratio_extremes(np.array([0.1, 0.2]), draws, 0.95).low < 1e-300
    found = ratio_extremes(np.array([-0.1, 0.2]), draws, 0.95)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.reason == "no ratio: the lowest value is negative"
