"""Differences from the reference group: numbers, family and exploration, and reasons."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from evaluation.bootstrap import Cube, Resampling, bootstrap
from evaluation.differences import Difference, differences
from evaluation.groups import Group
from evaluation.metric import METRICS
from evaluation.multiplicity import bootstrap_p, max_t
from evaluation.target import Measure, Target

TPR, BRIER = METRICS.get("true_positive_rate"), METRICS.get("brier_score")
NOWHERE = np.array([], int)
GROUPS = [
    Group((), (), NOWHERE),
    *[Group(("x",), (value,), NOWHERE) for value in "abc"],
    *[Group(("y",), (value,), NOWHERE) for value in "de"],
    *[Group(("x", "y"), (value, "d"), NOWHERE) for value in "ab"],
]
REFERENCE = {("x",): "x: a", ("y",): "y: e", ("x", "y"): "x: a, y: d"}
MEASURES = (
    Measure("heart", TPR),
    Measure("heart", BRIER),
    Measure("lung", TPR),
    Measure("macro", TPR),
)


def made_cube(draws=300, seed=0):
    generator = np.random.default_rng(seed)
    point = generator.uniform(0.5, 0.7, (len(GROUPS), len(MEASURES)))
    return Cube(MEASURES, point, generator.normal(point, 0.05, (draws, *point.shape)))


def find(cube, usable=None, primary=("true_positive_rate",), reference=REFERENCE):
    usable = np.ones(cube.point.shape, bool) if usable is None else usable
    return differences(cube, GROUPS, reference, usable, primary, 0.95)


def test_every_group_but_the_reference_in_every_measure():
    found = find(made_cube())
    assert len(found) == 4 * len(MEASURES)
    pairs = {(each.group, each.reference) for each in found}
    assert pairs == {
        ("x: b", "x: a"),
        ("x: c", "x: a"),
        ("y: d", "y: e"),
        ("x: b, y: d", "x: a, y: d"),
    }


def test_family_is_single_attributes_in_primary_metrics_of_real_targets():
    for each in find(made_cube()):
        declared = each.metric == "true_positive_rate" and each.target != "macro"
        assert each.family == (declared and len(each.attributes) == 1)
        explored = np.isnan([each.p_family, each.band_low, each.band_high]).all()
        assert explored == (not each.family)
        assert np.isnan([each.q_bh, each.q_by]).all() == each.family


def test_numbers_are_those_of_the_same_draws():
    cube = made_cube()
    found = find(cube)
    one = next(each for each in found if each.group == "x: c" and each.target == "lung")
    drawn = cube.draws[:, 3, 2] - cube.draws[:, 1, 2]
    assert one.value == pytest.approx(cube.point[3, 2] - cube.point[1, 2])
    assert (one.low, one.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert one.p == bootstrap_p(np.array([one.value]), drawn[:, None])[0]
    assert one.detectable == pytest.approx(2.8016 * drawn.std(ddof=1), rel=1e-4)
    family = [each for each in found if each.family]
    places = [(2, 1), (3, 1), (4, 5)]
    pairs = [(g, r, m) for g, r in places for m in (0, 2)]
    point = np.array([cube.point[g, m] - cube.point[r, m] for g, r, m in pairs])
    draws = np.stack([cube.draws[:, g, m] - cube.draws[:, r, m] for g, r, m in pairs], axis=1)
    _, bands, p = max_t(point, draws, 0.95)
    np.testing.assert_allclose([each.p_family for each in family], p)
    np.testing.assert_allclose([(each.band_low, each.band_high) for each in family], bands)
    explored = [each for each in found if not each.family]
    for method, name in (("bh", "q_bh"), ("by", "q_by")):
        expected = false_discovery_control([each.p for each in explored], method=method)
        np.testing.assert_allclose([getattr(each, name) for each in explored], expected)


def numbers(each):
    return [each.low, each.high, each.p, each.p_family, each.q_bh, each.detectable]


def test_too_little_evidence_is_listed_with_its_reason():
    usable = np.ones((len(GROUPS), len(MEASURES)), bool)
    usable[3, 0] = usable[5, 1] = False
    found = find(made_cube(), usable)
    assert len(found) == 4 * len(MEASURES)
    bad = [each for each in found if each.reason]
    assert {(each.group, each.metric, each.reason) for each in bad} == {
        ("x: c", "true_positive_rate", "the group has too little evidence"),
        ("y: d", "brier_score", "the reference has too little evidence"),
    }
    assert all(np.isnan([each.value, *numbers(each)]).all() for each in bad)


def test_what_is_not_usable_does_not_touch_the_rest():
    cube, usable = made_cube(), np.ones((len(GROUPS), len(MEASURES)), bool)
    usable[3] = False
    first = [each.model_dump_json() for each in find(cube, usable)]
    cube.draws[:, 3] = np.nan
    cube.point[3] = np.nan
    assert first == [each.model_dump_json() for each in find(cube, usable)]


def test_a_group_without_errors_is_not_certain():
    cube = made_cube()
    cube.point[2, 0] = cube.draws[:, 2, 0] = 1.0
    one = find(cube)[0]
    assert (one.group, one.target) == ("x: b", "heart")
    assert one.value == 1 - cube.point[1, 0]
    assert np.isnan(numbers(one)).all()
    assert "no resample of the group varies" in one.reason


def test_undefined_draws_leave_the_value_without_an_interval():
    cube = made_cube()
    cube.draws[:30, 2, 0] = np.nan
    one = find(cube)[0]
    assert not np.isnan(one.value)
    assert np.isnan(numbers(one)).all()
    assert "resamples" in one.reason


def test_an_undefined_value_that_was_called_usable():
    cube = made_cube()
    cube.point[2, 0] = np.nan
    one = find(cube)[0]
    assert np.isnan([one.value, *numbers(one)]).all()
    assert one.reason == "undefined"


def test_nothing_to_compare_gives_nothing():
    assert find(made_cube(), reference={}) == ()


def test_no_family_leaves_exploration():
    found = find(made_cube(), primary=())
    assert not any(each.family for each in found)
    assert not any(np.isnan(each.q_bh) for each in found)


def test_without_draws_only_values():
    cube = made_cube()
    found = find(Cube(MEASURES, cube.point, cube.draws[:0]))
    assert not any(np.isnan(each.value) for each in found)
    assert all(each.reason and np.isnan(numbers(each)).all() for each in found)


def test_an_unknown_reference_is_named():
    with pytest.raises(ValueError, match="'x: z' is not a group of x"):
        find(made_cube(), reference={("x",): "x: z"})


def test_a_finding_survives_json():
    one = find(made_cube())[0]
    again = Difference.model_validate_json(one.model_dump_json())
    assert again.model_dump_json() == one.model_dump_json()


def test_a_true_difference_of_real_predictions_is_found_and_no_other():
    generator = np.random.default_rng(0)
    patient = np.repeat(np.arange(600), 4)
    site = patient % 3
    right = generator.beta(8, np.where(np.arange(600) % 3 == 2, 8, 2))[patient]
    decision = (generator.random(2400) < right).astype(float)
    target = Target("", np.ones(2400), decision, decision)
    groups = [Group(("site",), (str(k),), np.flatnonzero(site == k)) for k in range(3)]
    resampling = Resampling(patient, np.ones(2400), 300, 0, 0.95)
    cube = bootstrap([target], groups, [TPR], resampling.weight, resampling.weights())
    usable = np.ones((3, 1), bool)
    same, worse = differences(cube, groups, {("site",): "site: 0"}, usable, [TPR.name], 0.95)
    assert same.band_low < 0 < same.band_high
    assert worse.band_low < -0.3 < worse.band_high < 0
    assert same.p_family > 0.05 > worse.p_family
