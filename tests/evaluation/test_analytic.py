"""Analytic intervals: the definitions as slow loops, known values, edges and coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from evaluation.analytic import (
    AnalyticInterval,
    _clustered,
    analytic,
    auroc_interval,
    rate_interval,
    wilson,
)
from evaluation.groups import Group
from evaluation.metric import METRICS
from evaluation.target import Target

TPR = METRICS.get("true_positive_rate")
EVERY = [METRICS.get(name) for name in METRICS.names()]

#: Trials of a simulated coverage; the standard error of 95 % over them is 1 %.
TRIALS = 500


def loop(label, score, patient):
    """AUROC and Obuchowski's variance, pair by pair and patient by patient."""
    positive, negative = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    wins = {
        (i, j): (score[i] > score[j]) + 0.5 * (score[i] == score[j])
        for i in positive
        for j in negative
    }
    auroc = np.mean(list(wins.values()))
    above = {i: np.mean([wins[i, j] for j in negative]) for i in positive}
    below = {j: np.mean([wins[i, j] for i in positive]) for j in negative}
    patients = set(patient)
    s10 = s01 = s11 = 0.0
    for each in patients:
        mine = sum(above[i] - auroc for i in positive if patient[i] == each)
        theirs = sum(below[j] - auroc for j in negative if patient[j] == each)
        s10, s01, s11 = s10 + mine**2, s01 + theirs**2, s11 + mine * theirs
    m, n, k = len(positive), len(negative), len(patients)
    with_positive, with_negative = len(set(patient[positive])), len(set(patient[negative]))
    s10 *= with_positive / ((with_positive - 1) * m)
    s01 *= with_negative / ((with_negative - 1) * n)
    s11 *= k / (k - 1)
    return auroc, s10 / m + s01 / n + 2 * s11 / (m * n)


@pytest.mark.parametrize("patients", [15, 30])
@pytest.mark.parametrize("decimals", [1, 6])
def test_variance_is_that_of_the_definition(patients, decimals):
    generator = np.random.default_rng(patients)
    label = generator.integers(0, 2, 60).astype(float)
    score = (generator.normal(size=60) + label).round(decimals)
    patient = np.r_[np.arange(patients), generator.integers(0, patients, 60 - patients)]
    auroc, variance, _ = _clustered(label == 1, score, patient)
    expected = loop(label, score, patient)
    assert (auroc, variance) == pytest.approx(expected, rel=1e-10)
    assert auroc == pytest.approx(roc_auc_score(label, score))


def test_one_image_a_patient_gives_the_variance_of_delong():
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 80).astype(float)
    score = generator.normal(size=80) + label
    _, variance, _ = _clustered(label == 1, score, np.arange(80))
    wins = score[label == 1][:, None] > score[label == 0]
    above, below = wins.mean(axis=1), wins.mean(axis=0)
    delong = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    assert variance == pytest.approx(delong)


def test_the_method_says_whether_patients_have_several_images():
    label, score = np.tile([0.0, 1.0], 10), np.random.default_rng(0).random(20)
    assert auroc_interval(label, score, np.arange(20), 0.95).method == "DeLong"
    several = np.repeat([f"p{i}" for i in range(10)], 2)
    assert auroc_interval(label, score, several, 0.95).method == "Obuchowski"


@pytest.mark.parametrize(
    ("label", "score", "patient", "reason"),
    [
        ([], [], [], "positive"),
        ([0, 0, 0], [1, 2, 3], [0, 1, 2], "positive"),
        ([1, 1, 1], [1, 2, 3], [0, 1, 2], "negative"),
        ([0, 0, 1, 1], [1, 2, 3, 4], [0, 1, 2, 2], "positive"),
        ([0, 0, 1, 1], [1, 2, 3, 4], [0, 1, 2, 3], "no variation"),
        ([0, 0, 1, 1], [4, 3, 2, 1], [0, 1, 2, 3], "no variation"),
        ([0, 0, 1, 1, 1], [7, 7, 7, 7, 7], [0, 1, 2, 3, 4], "no variation"),
    ],
)
def test_no_auroc_interval_without_evidence(label, score, patient, reason):
    found = auroc_interval(np.array(label), np.array(score), np.array(patient), 0.95)
    assert np.isnan([found.low, found.high]).all()
    assert reason in found.reason


@given(st.permutations(range(24)))
def test_order_of_rows_and_scale_of_scores_do_not_matter(order):
    generator = np.random.default_rng(1)
    label, score = np.tile([0.0, 1.0, 0.0], 8), generator.normal(size=24)
    patient = np.repeat(np.arange(12), 2)
    first = auroc_interval(label, score, patient, 0.95)
    second = auroc_interval(label[order], np.exp(score[order]), patient[order], 0.95)
    assert second[1:3] == pytest.approx(first[1:3])


def clustered_scores(generator, patients, images, auroc, *, label_of_patient):
    """Scores of which half the variance is the patient's own."""
    patient = np.repeat(np.arange(patients), images)
    sick = generator.random(patients if label_of_patient else patients * images) < 0.3
    label = (sick[patient] if label_of_patient else sick).astype(float)
    own, noise = generator.normal(size=patients)[patient], generator.normal(size=len(patient))
    return label, 2 * norm.ppf(auroc) * label + own + noise, patient


@pytest.mark.parametrize("auroc", [0.8, 0.95])
@pytest.mark.parametrize("label_of_patient", [True, False])
def test_coverage_of_the_auroc_with_four_correlated_images(auroc, label_of_patient):
    """500 nominal 95 % intervals cover 93 to 97 %; a standard error is 1 %."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(TRIALS):
        label, score, patient = clustered_scores(
            generator, 150, 4, auroc, label_of_patient=label_of_patient
        )
        _, low, high, _ = auroc_interval(label, score, patient, 0.95)
        covered += low <= auroc <= high
    assert 0.93 <= covered / TRIALS <= 0.97


def test_rows_taken_for_patients_do_not_cover():
    """Images of a patient share label and level, so that DeLong on rows claims too much."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(TRIALS):
        label, score, _ = clustered_scores(generator, 150, 4, 0.8, label_of_patient=True)
        _, low, high, _ = auroc_interval(label, score, np.arange(len(label)), 0.95)
        covered += low <= 0.8 <= high
    assert covered / TRIALS < 0.88


def test_coverage_of_the_auroc_with_one_image():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(TRIALS):
        drawn = clustered_scores(generator, 100, 1, 0.8, label_of_patient=True)
        _, low, high, _ = auroc_interval(*drawn, 0.95)
        covered += low <= 0.8 <= high
    assert 0.93 <= covered / TRIALS <= 0.97


@given(st.integers(1, 300), st.data(), st.floats(0.5, 0.999))
def test_wilson_is_that_of_scipy(trials, data, confidence):
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    found = wilson(successes, trials, confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found[0] <= successes / trials <= found[1] <= 1


def test_wilson_without_trials_is_undefined():
    assert np.isnan(wilson(0, 0, 0.95)).all()


def test_coverage_of_wilson():
    """2,000 nominal 95 % intervals of 60 trials; three standard errors are 1.5 %."""
    events = np.random.default_rng(0).binomial(60, 0.8, 2000)
    ends = np.array([wilson(int(k), 60, 0.95) for k in events])
    covered = ((ends[:, 0] <= 0.8) & (ends[:, 1] >= 0.8)).mean()
    assert 0.93 <= covered <= 0.97


def test_a_rate_needs_one_image_a_patient_where_it_rests_on_them():
    label, decision = np.array([1.0, 1, 1, 0, 0]), np.array([1.0, 0, 1, 0, 1])
    patient = np.array(["a", "b", "c", "c", "c"])
    _, low, high, reason = rate_interval(TPR, label, decision, patient, 0.95)
    assert (low, high, reason) == (*wilson(2, 3, 0.95), "")
    tnr = METRICS.get("true_negative_rate")
    _, low, high, reason = rate_interval(tnr, label, decision, patient, 0.95)
    assert np.isnan([low, high]).all()
    assert "several images" in reason


def test_a_rate_without_denominator_says_so():
    found = rate_interval(TPR, np.zeros(3), np.ones(3), np.arange(3), 0.95)
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == "no positive samples"


def made_target(n=200):
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, n).astype(float)
    label[:20] = np.nan
    score = generator.random(n)
    return Target("", label, score, (score > 0.5).astype(float))


GROUPS = [
    Group((), (), np.arange(200)),
    Group(("x",), ("1",), np.arange(10, 120)),
    Group(("x",), ("none",), np.array([], int)),
    Group(("x", "y"), ("1", "2"), np.arange(50)),
]


def test_all_metrics_with_a_formula_in_all_groups_of_one_attribute():
    target = made_target()
    found = analytic([target], GROUPS, EVERY, np.arange(200), np.ones(200), 0.95)
    assert {each.group for each in found} == {"all", "x: 1", "x: none"}
    assert {each.metric for each in found if each.method == "DeLong"} == {"auroc"}
    assert {"accuracy", "selection_rate", "true_positive_rate"} < {
        each.metric for each in found
    }
    assert not {"f1_score", "brier_score", "balanced_accuracy"} & {
        each.metric for each in found
    }
    assert all(each.reason for each in found if each.group == "x: none")
    known = np.arange(20, 120)
    expected = auroc_interval(target.label[known], target.score[known], known, 0.95)
    one = next(each for each in found if (each.metric, each.group) == ("auroc", "x: 1"))
    assert (one.low, one.high, one.reason) == expected[1:]
    again = AnalyticInterval.model_validate_json(found[-1].model_dump_json())
    assert again.model_dump_json() == found[-1].model_dump_json()


def test_weighted_samples_have_no_formula():
    weight = np.r_[2.0, np.ones(199)]
    found = analytic([made_target()], GROUPS[:2], EVERY, np.arange(200), weight, 0.95)
    assert found
    assert all(np.isnan(each.low) and "weighted" in each.reason for each in found)
    alike = analytic([made_target()], GROUPS[:2], EVERY, np.arange(200), weight * 0 + 2, 0.95)
    assert not any(each.reason for each in alike)


def test_no_pairwise_matrix():
    """A hundred thousand rows: their pairs would need 20 GB."""
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 100_000).astype(float)
    found = auroc_interval(label, generator.random(100_000), np.arange(100_000), 0.95)
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.01
