"""Probes: nested folds by patient, equal to fitting every model by itself."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from evaluation.probe import PROBES, Probe, out_of_fold, patient_folds, permuted
from evaluation.probes.linear import _PENALTIES

every_probe = pytest.mark.parametrize("name", PROBES.names())


def data(patients=60, images=2, width=4, seed=0):
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    code = 3 + generator.normal(size=(len(patient), width))
    group = generator.integers(0, 2, patients)[patient]
    code[:, 0] += group
    target = np.stack([group == 0, group == 1], axis=1)
    return code, patient_folds(patient, 5, generator), target


def ridge(code, target, penalty, train, test):
    mean, spread = code[train].mean(axis=0), code[train].std(axis=0)
    scaled = (code - mean) / spread
    model = Ridge(alpha=penalty * train.sum()).fit(scaled[train], target[train])
    return model.predict(scaled[test])


def slow_nested(code, fold, target):
    """One ridge at a time, with inner folds of its own for each outer fold."""
    scores = np.empty(target.shape)
    for outer in range(5):
        errors = []
        for penalty in _PENALTIES:
            inner = [k for k in range(5) if k != outer]
            errors.append(
                sum(
                    (
                        (
                            target[fold == k]
                            - ridge(
                                code, target, penalty, ~np.isin(fold, [k, outer]), fold == k
                            )
                        )
                        ** 2
                    ).sum()
                    for k in inner
                )
            )
        best = _PENALTIES[int(np.argmin(errors))]
        scores[fold == outer] = ridge(code, target, best, fold != outer, fold == outer)
        scores[fold == outer] -= target[fold != outer].mean(axis=0)
    return scores


@pytest.mark.parametrize("width", [2, 30, 150])
def test_linear_is_nested_ridge(width):
    code, fold, target = data(width=width)
    kind = PROBES.get("linear")
    ours = out_of_fold(kind(code, fold, target, 0), 2)
    np.testing.assert_allclose(ours, slow_nested(code, fold, target.astype(float)), atol=1e-9)


def test_linear_errors_are_those_of_its_predictions():
    code, fold, target = data()
    linear = PROBES.get("linear")(code, fold, target, 0)
    for pair in combinations(range(5), 2):
        np.testing.assert_allclose(linear.errors(pair), Probe.errors(linear, pair), atol=1e-9)


def test_knn_is_the_mean_of_the_neighbours():
    code, fold, target = data(patients=200)
    knn = PROBES.get("knn")(code, fold, target, 0)
    scaled = (code - code.mean(axis=0)) / code.std(axis=0)
    for setting, count in enumerate((5, 15, 50)):
        held = (1, 3)
        train = ~np.isin(fold, held)
        model = KNeighborsRegressor(count).fit(scaled[train], target[train].astype(float))
        predicted = knn.predict(setting, held, np.array([0, 1]))
        np.testing.assert_allclose(predicted, model.predict(scaled[~train]), atol=1e-12)


@every_probe
def test_a_probe_never_sees_the_targets_of_held_folds(name):
    """Changing them changes no prediction."""
    code, fold, target = data(patients=100)
    changed = np.where(np.isin(fold, [0, 2])[:, None], ~target, target)
    kind, columns = PROBES.get(name), np.array([0, 1])
    before, after = (kind(code, fold, each, 0) for each in (target, changed))
    for setting in range(kind.settings):
        seen = before.predict(setting, (0, 2), columns)
        np.testing.assert_allclose(seen, after.predict(setting, (0, 2), columns), atol=1e-12)


@every_probe
def test_a_category_that_no_training_sample_has(name):
    code, fold, _ = data()
    target = np.stack([fold != 0, fold == 0], axis=1)
    scores = out_of_fold(PROBES.get(name)(code, fold, target, 0), 2)
    assert np.isfinite(scores).all()


@every_probe
def test_the_columns_asked_for_come_in_order(name):
    code, fold, target = data()
    probe = PROBES.get(name)(code, fold, target, 0)
    both = probe.predict(0, (1,), np.array([0, 1]))
    np.testing.assert_allclose(probe.predict(0, (1,), np.array([1])), both[:, 1:], atol=1e-12)


def test_an_uninformative_embedding_scores_nothing():
    """Without the training share taken off, frequent folds would score low."""
    _, fold, target = data()
    scores = out_of_fold(PROBES.get("linear")(np.ones((120, 3)), fold, target, 0), 2)
    np.testing.assert_allclose(scores, 0, atol=1e-12)


@given(st.lists(st.integers(1, 4), min_size=6, max_size=30), st.integers(3, 6))
def test_no_patient_is_in_two_folds(images, folds):
    patient = np.repeat(np.arange(len(images)), images)
    fold = patient_folds(patient, folds, np.random.default_rng(0))
    first = fold[np.r_[0, np.cumsum(images)[:-1]]]
    assert (fold == first[patient]).all()
    sizes = np.bincount(first, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_permutations_keep_the_images_of_a_patient_together():
    patient = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 3))
    sex = np.random.default_rng(1).integers(0, 2, 40)[patient]
    for which in permuted(patient, 50, np.random.default_rng(2)):
        assert all(len(set(sex[which][patient == p])) == 1 for p in range(40))
        assert sex[which].sum() == sex.sum()


def test_a_patient_with_more_images_is_given_those_of_another_over_and_over():
    patient = np.array([0, 1, 1, 1])
    found = permuted(patient, 50, np.random.default_rng(0))
    assert {tuple(each) for each in found} == {(0, 1, 2, 3), (1, 0, 0, 0)}
