"""Bootstrap over patients."""

import numpy as np
import pytest

from benchmarks import audit_speed
from evaluation.bootstrap import Cube, Resampling, bootstrap, count_units, patient_weights
from evaluation.groups import Group
from evaluation.metric import METRICS
from evaluation.target import MACRO, Measure, Target


def all_weights(patient, draws, seed=0):
    return np.concatenate(list(patient_weights(patient, draws, seed)))


def target_of(label, score, name=""):
    return Target(name, np.asarray(label, float), score, (score >= 0.5).astype(float))


def cube_of(targets, groups, names, resampling):
    metrics = [METRICS.get(name) for name in names]
    return bootstrap(targets, groups, metrics, resampling.weight, resampling.weights())


def slow(target, group, metric, weight):
    """The definition: the metric of the samples of the group whose truth is known."""
    rows = [row for row in group.rows if not np.isnan(target.label[row])]
    return metric(target.label[rows], target.value(metric.reads)[rows], weight[rows])


def test_images_of_a_patient_are_drawn_together():
    patient = np.array(["a", "b", "a", "c", "b"])
    weight = all_weights(patient, 50)
    assert weight.shape == (50, 5)
    assert (weight[:, 0] == weight[:, 2]).all()
    assert (weight[:, 1] == weight[:, 4]).all()
    assert (weight[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_draws_whatever_the_order_of_rows():
    patient = np.array(["a", "b", "a", "c"])
    order = np.array([3, 1, 0, 2])
    np.testing.assert_array_equal(
        all_weights(patient, 20)[:, order], all_weights(patient[order], 20)
    )
    assert (all_weights(patient, 20, seed=1) != all_weights(patient, 20, seed=2)).any()


def test_blocks_do_not_change_the_draws(monkeypatch):
    patient = np.arange(100)
    whole = all_weights(patient, 30)
    monkeypatch.setattr("evaluation.bootstrap._CELLS_AT_ONCE", 700)
    blocks = list(patient_weights(patient, 30, 0))
    assert len(blocks) == 5
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_mean_weight_is_one_and_variance_that_of_the_multinomial():
    patients = 40
    weight = all_weights(np.arange(patients), 20_000)
    np.testing.assert_allclose(weight.mean(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(weight.var(axis=0), 1 - 1 / patients, atol=0.06)


def test_a_resampling_multiplies_by_the_samples_own_weight():
    patient, weight = np.array([0, 0, 1]), np.array([2.0, 0.5, 0.0])
    drawn = np.concatenate(
        list(Resampling(patient, weight, 9, seed=4, confidence=0.9).weights())
    )
    np.testing.assert_array_equal(drawn, all_weights(patient, 9, 4) * weight)


@pytest.mark.parametrize("levels", [None, 11], ids=["distinct scores", "tied scores"])
def test_cube_equals_a_loop_over_draws_targets_groups_and_metrics(levels):
    generator = np.random.default_rng(0)
    n, draws = 60, 7
    targets = []
    for name in ("one", "other"):
        score = generator.random(n)
        score = score if levels is None else np.round(score * (levels - 1)) / (levels - 1)
        label = generator.integers(0, 2, n).astype(float)
        label[generator.random(n) < 0.2] = np.nan
        targets.append(target_of(label, score, name))
    patient, weight = generator.integers(0, 25, n), generator.random(n)
    groups = [Group((), (), np.arange(n)), Group(("x",), ("1",), np.arange(0, n, 3))]
    resampling = Resampling(patient, weight, draws, seed=3, confidence=0.95)
    cube = cube_of(targets, groups, METRICS.names(), resampling)
    assert cube.draws.shape == (draws, 2, len(cube.measures))
    assert [m.target for m in cube.measures[:: len(METRICS.names())]] == ["one", "other"]
    weights = [weight, *np.concatenate(list(resampling.weights()))]
    found = np.concatenate([cube.point[None], cube.draws])
    by_name = {target.name: target for target in targets}
    expected = [
        [
            [slow(by_name[name], group, metric, w) for name, metric in cube.measures]
            for group in groups
        ]
        for w in weights
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_decision_need_not_follow_from_the_score():
    generator = np.random.default_rng(1)
    label, decision = generator.integers(0, 2, (2, 50)).astype(float)
    target = Target("", label, generator.random(50), decision)
    metric = METRICS.get("accuracy")
    groups = [Group((), (), np.arange(50))]
    cube = bootstrap([target], groups, [metric], np.ones(50), [])
    assert cube.point[0, 0] == pytest.approx((label == decision).mean(), abs=1e-12)
    assert cube.draws.shape == (0, 1, 1)


def test_several_classes_as_a_whole_have_a_decision_and_no_score():
    label, decision = np.array([[0.0, 1, 2, 2], [0, 2, 2, 1]])
    target = Target("", label, np.full(4, np.nan), decision, classes=3)
    metrics = [METRICS.get(name) for name in ("auroc", "accuracy")]
    cube = bootstrap([target], [Group((), (), np.arange(4))], metrics, np.ones(4), [])
    assert cube.measures == (Measure("", metrics[1]),)
    assert cube.point.tolist() == [[0.5]]


def test_equals_fairlearn_on_its_own_draws():
    table = audit_speed.made(500)
    groups, cube = audit_speed.cube_of(
        table, audit_speed.EIGHT, (0, 2), audit_speed.fairlearn_weights(500, 20)
    )
    frame = audit_speed.fairlearn_frame(table, 20)
    assert audit_speed.largest_difference(frame, groups, cube) < 1e-12


def test_an_empty_group_is_nan_in_every_draw():
    empty = Group(("x",), ("none",), np.array([], int))
    unknown = Group(("x",), ("unknown",), np.array([2]))
    target = target_of([0, 1, np.nan], np.array([0.0, 1.0, 1.0]))
    resampling = Resampling(np.arange(3), np.ones(3), 3, seed=0, confidence=0.95)
    cube = cube_of([target], [empty, unknown], METRICS.names(), resampling)
    assert np.isnan(cube.point).all()
    assert np.isnan(cube.draws).all()
    units = count_units([target], [empty, unknown], cube.measures, np.arange(3), np.ones(3))
    assert (units == 0).all()


def test_progress_counts_the_draws():
    seen = []
    target = target_of([0, 1], np.array([0.0, 1.0]))
    blocks = [np.ones((2, 2)), np.ones((3, 2))]
    bootstrap([target], [], [METRICS.get("auroc")], np.ones(2), blocks, seen.append)
    assert seen == [2, 5]


def test_macro_is_the_mean_over_findings_and_undefined_if_one_is():
    auroc, brier = METRICS.get("auroc"), METRICS.get("brier_score")
    measures = tuple(Measure(name, m) for name in ("a", "b") for m in (auroc, brier))
    point = np.array([[0.5, 0.1, 0.7, 0.3], [np.nan, 0.1, 0.7, 0.3]])
    cube = Cube(measures, point, np.stack([point, point])).with_macro()
    assert cube.measures[4:] == (Measure(MACRO, auroc), Measure(MACRO, brier))
    np.testing.assert_allclose(cube.point[:, 4:], [[0.6, 0.2], [np.nan, 0.2]])
    np.testing.assert_allclose(cube.draws[1, :, 4:], [[0.6, 0.2], [np.nan, 0.2]])


def test_one_finding_has_no_macro():
    cube = Cube((Measure("a", METRICS.get("auroc")),), np.ones((1, 1)), np.ones((2, 1, 1)))
    assert cube.with_macro().measures == cube.measures


def test_macro_rests_on_the_finding_with_the_fewest_patients():
    auroc = METRICS.get("auroc")
    score = np.array([0.1, 0.2, 0.8, 0.9])
    targets = [target_of([0, 0, 1, 1], score, "a"), target_of([0, 0, np.nan, 1], score, "b")]
    measures = [Measure("a", auroc), Measure("b", auroc), Measure(MACRO, auroc)]
    everyone = [Group((), (), np.arange(4))]
    units = count_units(targets, everyone, measures, np.arange(4), np.ones(4))
    assert units.tolist() == [[2, 1, 1]]
