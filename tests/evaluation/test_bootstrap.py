"""Bootstrap over patients."""

import numpy as np
import pytest

from evaluation.bootstrap import bootstrap, patient_weights
from evaluation.groups import Group
from evaluation.metric import METRICS


def all_weights(patient, draws, seed=0):
    return np.concatenate(list(patient_weights(patient, draws, seed)))


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


def test_cube_equals_a_loop_over_draws_groups_and_metrics():
    generator = np.random.default_rng(0)
    n = 60
    label = generator.integers(0, 2, n).astype(float)
    score = generator.random(n)
    patient = generator.integers(0, 25, n)
    value = {"score": score, "decision": (score > 0.5).astype(float)}
    groups = [Group((), (), np.arange(n)), Group(("x",), ("1",), np.flatnonzero(score > 0.3))]
    metrics = [METRICS.get(name) for name in METRICS.names()]
    cube = bootstrap(label, value, patient, groups, metrics, draws=7, seed=3)
    assert cube.draws.shape == (7, 2, len(metrics))
    for d, weight in enumerate(all_weights(patient, 7, 3)):
        for g, group in enumerate(groups):
            for m, metric in enumerate(metrics):
                rows = group.rows
                expected = metric(label[rows], value[metric.reads][rows], weight[rows])
                assert cube.draws[d, g, m] == pytest.approx(expected, abs=1e-12, nan_ok=True)
                point = metric(label[rows], value[metric.reads][rows])
                assert cube.point[g, m] == pytest.approx(point, abs=1e-12)


def test_an_empty_group_is_nan_in_every_draw():
    groups = [Group(("x",), ("none",), np.array([], int))]
    label = np.array([0.0, 1.0])
    value = {"score": label, "decision": label}
    metrics = [METRICS.get(name) for name in METRICS.names()]
    cube = bootstrap(label, value, np.array([0, 1]), groups, metrics, draws=3, seed=0)
    assert np.isnan(cube.point).all()
    assert np.isnan(cube.draws).all()
