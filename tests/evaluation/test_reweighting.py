"""Reweighting to other populations of label and attribute."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.groups import MISSING
from evaluation.reweighting import (
    EffectivePatients,
    Strata,
    correlation,
    correlation_range,
    reweighted,
    with_correlation,
    with_prevalence,
    with_share,
)
from evaluation.target import Target

JOINT = np.array([[0.30, 0.20, 0.15, 0.05], [0.05, 0.10, 0.05, 0.10]])
KNOWN = np.array([True, True, True, False])  # the last category is that of missing values

joints = st.lists(st.integers(1, 50), min_size=8, max_size=8).map(
    lambda counts: np.array(counts, float).reshape(2, 4) / sum(counts)
)


def strata_of(label, names, categories=None):
    label = np.asarray(label, float)
    target = Target("", label, np.zeros(len(label)), np.zeros(len(label)))
    return Strata.of(target, "sex", pd.Categorical(names, categories=categories))


def samples(joint, size=100_000):
    """Label and membership of category 0, one row a sample of the known."""
    count = np.rint(joint[:, KNOWN] * size).astype(int)
    label, category = np.indices(count.shape)
    return np.repeat(label.ravel(), count.ravel()), np.repeat(
        category.ravel() == 0, count.ravel()
    )


def test_phi_is_the_correlation_of_two_indicators():
    label, member = samples(JOINT)
    expected = np.corrcoef(label, member)[0, 1]
    assert correlation(JOINT, 0, KNOWN) == pytest.approx(expected, abs=1e-12)


@given(joints, st.floats(-1, 1))
def test_only_the_correlation_changes(joint, level):
    found = with_correlation(joint, 1, KNOWN, level)
    low, high = correlation_range(joint, 1, KNOWN)
    assert (
        found.reachable == (low - 1e-9 <= level <= high + 1e-9)
        or min(abs(level - low), abs(level - high)) < 1e-9
    )
    if not found.reachable:
        assert "from" in found.reason
        return
    q = found.joint
    assert correlation(q, 1, KNOWN) == pytest.approx(level, abs=1e-9)
    np.testing.assert_allclose(q.sum(axis=1), joint.sum(axis=1))
    assert q[:, 1].sum() == pytest.approx(joint[:, 1].sum())
    np.testing.assert_array_equal(q[:, 3], joint[:, 3])
    np.testing.assert_allclose(q[:, 0] * joint[:, 2], q[:, 2] * joint[:, 0], atol=1e-12)
    assert (q >= 0).all()


@given(joints)
def test_frechet_bounds_empty_a_cell(joint):
    for level in correlation_range(joint, 1, KNOWN):
        q = with_correlation(joint, 1, KNOWN, level).joint
        table = np.stack([q[:, [0, 2]].sum(axis=1), q[:, 1]])
        assert table.min() == pytest.approx(0, abs=1e-9)


@given(joints, st.floats(0.01, 0.99))
def test_prevalence_keeps_the_attribute_within_each_label(joint, level):
    q = with_prevalence(joint, level).joint
    assert q[1].sum() == pytest.approx(level)
    np.testing.assert_allclose(
        q / q.sum(axis=1, keepdims=True), joint / joint.sum(axis=1, keepdims=True)
    )


@given(joints, st.floats(0, 1))
def test_share_keeps_the_label_within_each_category(joint, level):
    q = with_share(joint, 1, KNOWN, level).joint
    assert q[:, 1].sum() / q[:, KNOWN].sum() == pytest.approx(level, abs=1e-9)
    np.testing.assert_allclose(q[1] * joint[0], q[0] * joint[1], atol=1e-12)
    np.testing.assert_array_equal(q[:, 3], joint[:, 3])


@given(joints)
def test_the_own_level_changes_nothing(joint):
    own = correlation(joint, 2, KNOWN)
    share = joint[:, 2].sum() / joint[:, KNOWN].sum()
    for found in (
        with_correlation(joint, 2, KNOWN, own),
        with_prevalence(joint, joint[1].sum()),
        with_share(joint, 2, KNOWN, share),
    ):
        np.testing.assert_allclose(found.joint, joint, atol=1e-12)


@pytest.mark.parametrize(
    ("joint", "reason"),
    [
        ([[0.5, 0.5], [0.0, 0.0]], "one label or category"),
        ([[0.6, 0.0], [0.4, 0.0]], "one label or category"),
    ],
)
def test_a_correlation_of_a_constant_is_undefined(joint, reason):
    joint = np.array(joint)
    both = np.array([True, True])
    assert np.isnan(correlation(joint, 0, both))
    found = with_correlation(joint, 0, both, 0.0)
    assert not found.reachable
    assert reason in found.reason


def test_an_empty_cell_is_named():
    joint, both = np.array([[0.5, 0.2], [0.3, 0.0]]), np.array([True, True])
    assert with_correlation(joint, 1, both, correlation(joint, 1, both)).reachable
    found = with_correlation(joint, 1, both, 0.0)
    assert found.reason == "no sample of label 1 in the category"
    assert "one class" in with_prevalence(np.array([[0.5, 0.5], [0, 0]]), 0.2).reason
    assert "one category" in with_share(np.array([[0.5, 0], [0.5, 0]]), 0, both, 0.2).reason


def test_samples_without_a_truth_are_in_no_cell():
    strata = strata_of([0, 1, np.nan, 1], ["f", "m", "f", "m"])
    np.testing.assert_array_equal(strata.cell, [0, 3, -1, 3])
    np.testing.assert_allclose(strata.joint(np.array([1.0, 2, 9, 1])), [[0.25, 0], [0, 0.75]])
    assert [list(group.rows) for group in strata.cells()] == [[0], [], [], [1, 3]]
    assert [list(g.rows) for g in strata.pairs()] == [[0], [], [0, 1, 3], [1, 3]]


def test_missing_values_are_a_category_but_no_value():
    strata = strata_of([0, 1], ["f", MISSING], ["f", MISSING])
    np.testing.assert_array_equal(strata.known, [True, False])


def test_no_sample_has_no_shares():
    assert np.isnan(strata_of([np.nan], ["f"]).joint(np.ones(1))).all()


def test_refuses_what_is_no_attribute_of_a_binary_target():
    target = Target("", np.zeros(2), np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="missing"):
        Strata.of(target, "sex", pd.Categorical(["f", None]))
    with pytest.raises(ValueError, match="sex"):
        Strata.of(target, "sex", pd.Categorical(["f"]))
    with pytest.raises(ValueError, match="two classes"):
        Strata.of(
            Target("", np.zeros(1), np.zeros(1), np.zeros(1), 3), "sex", pd.Categorical(["f"])
        )


def test_every_draw_has_the_shares_of_the_population():
    generator = np.random.default_rng(0)
    strata = strata_of(generator.integers(0, 2, 80), generator.choice(["f", "m"], 80))
    wanted = np.array([[0.1, 0.2], [0.3, 0.4]])
    drawn = generator.integers(0, 3, (5, 80)).astype(float)
    (block,) = reweighted([drawn], strata, wanted)
    for weight, before in zip(block, drawn, strict=True):
        np.testing.assert_allclose(strata.joint(weight), wanted)
        assert weight.sum() == pytest.approx(before.sum())


def test_a_cell_that_a_draw_lacks_is_left_out():
    strata = strata_of([0, 0, 1], ["f", "m", "f"])
    (block,) = reweighted([np.array([[1.0, 0, 1]])], strata, np.array([[0.2, 0.3], [0.5, 0.0]]))
    np.testing.assert_allclose(block, [[0.4, 0, 1]])


def test_effective_patients_by_hand():
    """Two images of patient 0, one each of 1 and 2; the cell (1, f) counts three times."""
    strata = strata_of([0, 1, 1, 0], ["f", "f", "f", "m"])
    patient, decision = np.array([0, 0, 1, 2]), np.array([1, 1, 0, 0])
    held = EffectivePatients(strata, decision, patient, np.ones(4))
    joint = np.array([[1.0, 1.0], [6.0, 0.0]]) / 8  # observed: 1, 1; 2, 0 of 4
    total = np.array([1 + 3, 3, 1])  # weight of each patient
    assert held("any", joint) == pytest.approx(total.sum() ** 2 / (total**2).sum())
    assert held("positive", joint) == pytest.approx(2)
    assert held("both", joint) == pytest.approx(2)
    assert held("decided positive", joint) == pytest.approx(1)
    assert held("decided negative", joint) == pytest.approx(16 / 10)
    assert held("any", np.array([[1.0, 1.0], [2.0, 0.0]])) == pytest.approx(16 / 6)
    assert held("negative", np.zeros((2, 2))) == 0


@given(st.integers(0, 2**32 - 1))
def test_effective_patients_equal_the_definition(seed):
    generator = np.random.default_rng(seed)
    n = 30
    strata = strata_of(generator.integers(0, 2, n), generator.choice(["f", "m", "x"], n))
    patient, weight = generator.integers(0, 12, n), generator.random(n)
    joint = generator.dirichlet(np.ones(6)).reshape(2, -1)
    held = EffectivePatients(strata, generator.integers(0, 2, n), patient, weight)
    factor = np.nan_to_num(joint.ravel() / np.maximum(strata.joint(weight).ravel(), 1e-300))
    total = np.bincount(patient, weight * np.where(factor > 1e9, 0, factor)[strata.cell])
    assert held("any", joint) == pytest.approx(total.sum() ** 2 / (total**2).sum())
