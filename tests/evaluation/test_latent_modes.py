"""Modes: equal to independent tests, and few false discoveries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kruskal, ks_2samp

from evaluation.groups import MISSING
from evaluation.latent_modes import kolmogorov_smirnov, kruskal_wallis, latent_modes
from evaluation.multiplicity import benjamini_yekutieli


def cohort(patients=200, images=2, width=6, seed=0):
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    label = generator.integers(0, 2, patients)[patient].astype(float)
    code = generator.normal(size=(patients, width))[patient]
    code = code + 0.3 * generator.normal(size=code.shape)
    values = {
        "sex": pd.Categorical(
            np.array(list("fm"))[generator.integers(0, 2, patients)][patient]
        ),
        "site": pd.Categorical(
            np.array(list("ABC"))[generator.integers(0, 3, patients)][patient]
        ),
    }
    return code, values, label, patient


@given(
    st.lists(st.integers(0, 6), min_size=4, max_size=30),
    st.integers(1, 3),
)
def test_statistics_equal_scipy_ties_and_all(score, first):
    score = np.array(score, float)
    code = (np.arange(len(score)) >= first).astype(int)
    groups = [score[code == k] for k in (0, 1)]
    assert kolmogorov_smirnov(score, code) == pytest.approx(ks_2samp(*groups).statistic)
    if len(set(score)) > 1:
        expected = kruskal(*groups).statistic / (len(score) - 1)
        assert kruskal_wallis(score, code) == pytest.approx(expected)
    else:
        assert kruskal_wallis(score, code) == 0


def test_a_planted_mode_is_found_and_it_alone():
    code, values, label, patient = cohort()
    code[:, 2] *= 5
    code[:, 2] += 4 * (values["sex"] == "m")
    found = latent_modes({"content": code}, values, label, patient, 3, 1999, 0)
    assert [(each.attribute, each.mode) for each in found if each.q < 0.05] == [("sex", 1)]
    assert len(found) == 6
    assert [each.test for each in found] == ["kolmogorov_smirnov"] * 3 + ["kruskal_wallis"] * 3
    assert all(each.patients == 200 for each in found)
    adjusted = benjamini_yekutieli(np.array([each.p for each in found]))
    np.testing.assert_allclose([each.q for each in found], adjusted)


def test_what_goes_with_the_label_is_no_difference_within_it():
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 600).astype(float)
    sex = np.where(generator.random(600) < 0.85, label, 1 - label).astype(int)
    code = generator.normal(size=(600, 2)) + 4 * label[:, None] * [1, 0]
    values = {"sex": pd.Categorical(np.array(list("fm"))[sex])}
    found = latent_modes({"content": code}, values, label, np.arange(600), 2, 999, 0)
    assert all(each.p > 0.01 for each in found)


def test_p_of_independent_samples_is_that_of_the_exact_test():
    """One label, one image a patient: the asymptotic two-sample test, nearly."""
    code, values, _, patient = cohort(patients=300, images=1)
    values = {"sex": values["sex"]}
    found = latent_modes({"style": code}, values, np.zeros(300), patient, 6, 9999, 0)
    centred = code - code.mean(axis=0)
    scores = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    for each, score in zip(found, scores.T, strict=True):
        groups = [score[values["sex"] == name] for name in "fm"]
        expected = ks_2samp(*groups)
        assert each.statistic == pytest.approx(expected.statistic)
        # A p that is stopped early, at 20 of them, is known to a quarter of itself.
        assert each.p == pytest.approx(expected.pvalue, rel=0.9, abs=0.01)


def test_false_discoveries_are_rare():
    """Nothing there: all discoveries are false, and at most 5 % of cohorts may have one."""
    wrong, low, p = 0, 0, []
    for seed in range(80):
        code, values, label, patient = cohort(patients=90, images=3, seed=seed)
        found = latent_modes({"content": code}, values, label, patient, 3, 999, seed)
        defined = [each.p for each in found if not np.isnan(each.p)]
        p += defined
        wrong += any(each.q <= 0.05 for each in found)
        low += sum(each <= 0.1 for each in defined)
    assert wrong <= 8  # binomial(80, .05) stays there in 98 %
    assert 0.05 < low / len(p) < 0.16


def test_undefined_modes_are_no_tests():
    code, values, label, patient = cohort()
    values |= {"one": pd.Categorical(["x"] * 400), "none": pd.Categorical([MISSING] * 400)}
    found = latent_modes({"content": code}, values, label, patient, 2, 199, 0)
    undefined = [each for each in found if each.attribute in ("one", "none")]
    assert all(np.isnan([each.statistic, each.p, each.q]).all() for each in undefined)
    assert all("no label has two categories" in each.reason for each in undefined)
    alone = latent_modes(
        {"content": code}, {k: values[k] for k in ("sex", "site")}, label, patient, 2, 199, 0
    )
    assert [each.q for each in found[:4]] == [each.q for each in alone]


def test_constant_and_narrow_embeddings():
    code, values, label, patient = cohort()
    constant = np.full((400, 3), 0.1)
    for each in latent_modes({"content": constant}, values, label, patient, 5, 99, 0):
        assert (each.mode, each.reason) == (1, "the embedding is constant")
        assert np.isnan(each.p)
    narrow = latent_modes({"content": code[:, :1]}, values, label, patient, 5, 99, 0)
    assert [each.mode for each in narrow] == [1, 1]
    assert narrow[0].explained == pytest.approx(1)


def test_no_attribute_no_finding():
    code, _, label, patient = cohort()
    assert latent_modes({"content": code}, {}, label, patient, 5, 99, 0) == ()
