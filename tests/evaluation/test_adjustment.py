"""Balanced disparity: exact where it can be, refused where nobody is there to weight."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from evaluation.adjustment import adjusted
from evaluation.balance import raked
from evaluation.bootstrap import Resampling
from evaluation.errors import InputError
from evaluation.metric import METRICS, REASONS
from evaluation.target import Target

AUROC = METRICS.get("auroc")
ACCURACY = METRICS.get("accuracy")
TPR = METRICS.get("true_positive_rate")

#: Standard error of a coverage of 95 % over 200 trials.
NOISE = (0.95 * 0.05 / 200) ** 0.5


def target(label, score):
    score = np.asarray(score, float)
    return Target("t", np.asarray(label, float), score, (score >= 0.5).astype(float))


def resampling(n, *, draws=50, patient=None, weight=None, seed=0):
    patient = np.arange(n) if patient is None else patient
    return Resampling(patient, np.ones(n) if weight is None else weight, draws, seed, 0.95)


def categories(values, names="abcdefgh"):
    return pd.Categorical.from_codes(np.asarray(values, int), list(names))


def found(task, metrics, member, confounders, options, minimum=5):
    confounders = {name: categories(codes) for name, codes in confounders.items()}
    return adjusted(
        task, metrics, "sex", categories(member, "fm"), confounders, options, minimum
    )


def cohort(seed, n=2000):
    """Site decides accuracy and depends on the group; the group itself does nothing."""
    generator = np.random.default_rng(seed)
    member = generator.integers(0, 2, n)
    site = (generator.random(n) < 0.2 + 0.6 * member).astype(int)
    label = generator.integers(0, 2, n)
    right = generator.random(n) < np.where(site == 1, 0.6, 0.9)
    score = np.where(right == (label == 1), 0.8, 0.2)
    return label, score, member, site


def test_matches_the_sum_over_cells():
    label, score, member, site = cohort(0)
    age = np.random.default_rng(1).integers(0, 3, len(label))
    confounders = {"site": site, "age": age}
    task = target(label, score)
    estimates, _ = found(task, [ACCURACY], member, confounders, resampling(len(label)))
    right = (score >= 0.5) == (label == 1)
    for k, each in enumerate(estimates):
        expected = sum(
            ((site == s) & (age == a)).mean()
            * right[(member == k) & (site == s) & (age == a)].mean()
            for s in range(2)
            for a in range(3)
        )
        assert each.method == "post-stratification"
        assert each.value == pytest.approx(expected)
        assert each.raw == pytest.approx(right[member == k].mean())
        assert each.imbalance_before > 0.3
        assert each.imbalance_after == pytest.approx(0, abs=1e-9)
        assert each.state == "adequate"


def test_a_gap_that_the_confounder_explains_goes_away():
    label, score, member, site = cohort(2, n=6000)
    _, (gap,) = found(
        target(label, score), [ACCURACY], member, {"site": site}, resampling(6000, draws=200)
    )
    assert gap.raw > 0.12
    assert gap.value < 0.05
    assert gap.low == 0
    assert (gap.worst, gap.best) in {("sex: f", "sex: m"), ("sex: m", "sex: f")}


def test_a_gap_of_the_group_itself_stays():
    label, _, member, site = cohort(3, n=6000)
    right = np.random.default_rng(4).random(6000) < np.where(member == 1, 0.6, 0.9)
    score = np.where(right == (label == 1), 0.8, 0.2)
    _, (gap,) = found(
        target(label, score), [ACCURACY], member, {"site": site}, resampling(6000, draws=200)
    )
    assert gap.low < 0.3 < gap.high
    assert (gap.worst, gap.low > 0.2) == ("sex: m", True)


def test_prevalence_is_balanced_with_the_label_as_confounder():
    generator = np.random.default_rng(5)
    member = generator.integers(0, 2, 4000)
    label = (generator.random(4000) < 0.2 + 0.5 * member).astype(int)
    score = 0.3 * label + 0.7 * generator.random(4000)
    estimates, (gap,) = found(
        target(label, score),
        [METRICS.get("positive_predictive_value")],
        member,
        {"label": label},
        resampling(4000),
    )
    assert gap.raw > 0.2
    assert gap.value < 0.03
    assert {each.confounders for each in estimates} == {("label",)}


def test_few_patients_in_a_cell_leave_entropy_balancing_of_the_margins():
    generator = np.random.default_rng(6)
    n = 1500
    member = generator.integers(0, 2, n)
    site, age = generator.integers(0, 2, n), generator.integers(0, 2, n)
    kept = ~((member == 1) & (site == 1) & (age == 1)) | (generator.random(n) < 0.01)
    member, site, age = member[kept], site[kept], age[kept]
    label = generator.integers(0, 2, kept.sum())
    score = generator.random(kept.sum())
    estimates, _ = found(
        target(label, score),
        [AUROC],
        member,
        {"site": site, "age": age},
        resampling(kept.sum()),
    )
    assert [each.method for each in estimates] == ["post-stratification", "entropy balancing"]
    assert estimates[1].imbalance_before > 0.1
    assert estimates[1].imbalance_after < 1e-4
    assert estimates[1].state == "adequate"


def test_scaling_to_the_margins_solves_entropy_balancing():
    """The dual of Hainmueller's problem, by a general solver."""
    generator = np.random.default_rng(7)
    cells = np.array([[a, b] for a in range(3) for b in range(2)])
    mass = generator.random(6) + 0.1
    mass[5] = 0
    margins = [
        (cells[:, k, None] == np.arange(size)).astype(float) for k, size in enumerate((3, 2))
    ]
    wanted = [np.array([0.3, 0.4, 0.3]), np.array([0.6, 0.4])]
    features = np.concatenate([margin[:, 1:] for margin in margins], axis=1)
    goal = np.concatenate([goal[1:] for goal in wanted])

    def dual(multiplier):
        return np.log(mass @ np.exp(features @ multiplier)) - goal @ multiplier

    solved = minimize(dual, np.zeros(3), tol=1e-12).x
    expected = mass * np.exp(features @ solved)
    actual = raked(mass[None], margins, [goal[None] for goal in wanted])[0]
    np.testing.assert_allclose(actual, expected / expected.sum(), atol=1e-5)


def test_margins_that_contradict_each_other_have_no_weights():
    """Everybody old is at site b, yet half should be old and nine in ten at site a."""
    margins = [np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 0], [0, 1]])]
    wanted = [np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])]
    assert np.isnan(raked(np.ones((1, 2)), margins, wanted)).all()


def test_nobody_to_weight_is_undefined_and_says_of_what():
    label, score, member, site = cohort(8)
    site[member == 0] = 0
    estimates, (gap,) = found(
        target(label, score), [ACCURACY], member, {"site": site}, resampling(len(label))
    )
    assert estimates[0].state == "undefined"
    assert estimates[0].reason == "no patient with site: b"
    assert np.isnan([estimates[0].value, estimates[0].imbalance_after]).all()
    assert estimates[0].raw > 0
    assert estimates[0].effective == 0
    assert estimates[1].state == "adequate"
    assert np.isnan([gap.value, gap.raw]).all()
    assert gap.unranked == ("sex: f",)
    assert gap.reason == "fewer than two groups have enough evidence"


def test_contradicting_confounders_are_undefined():
    generator = np.random.default_rng(9)
    member = np.repeat([0, 1], 500)
    site = generator.integers(0, 2, 1000)
    age = np.where(member == 0, site, generator.random(1000) < 0.9).astype(int)
    label, score = generator.integers(0, 2, 1000), generator.random(1000)
    confounders = {"site": site, "age": age}
    estimates, _ = found(target(label, score), [AUROC], member, confounders, resampling(1000))
    assert estimates[0].state == "undefined"
    assert estimates[0].reason == "no weights balance all confounders at once"


def test_three_patients_do_not_stand_for_a_fifth():
    label, score, member, site = cohort(10)
    site[member == 0] = 0
    site[np.flatnonzero(member == 0)[:3]] = 1
    options = resampling(len(label), draws=300)
    each = found(target(label, score), [ACCURACY], member, {"site": site}, options)[0][0]
    assert each.state == "insufficient"
    assert each.reason == "fewer than 5 patients with site: b"
    assert each.effective < 30


def test_effective_patients_by_kish():
    # Group f: patients of two images each; a quarter of them at site b, which all have half.
    member = np.repeat([0, 1], 80)
    site = np.r_[np.repeat([0, 1], [60, 20]), np.repeat([0, 1], [20, 60])]
    patient = np.arange(160) // 2
    label = np.tile([0, 1], 80)
    options = resampling(160, patient=patient)
    estimates, _ = found(
        target(label, label * 0.5 + 0.2), [ACCURACY], member, {"site": site}, options
    )
    weight = np.repeat([2 / 3, 2], [30, 10])
    assert estimates[0].effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert estimates[0].imbalance_before == pytest.approx(
        0.25 / np.sqrt((0.25 * 0.75 + 0.25) / 2)
    )


def test_effective_patients_are_those_the_metric_rests_on():
    label, score, member, site = cohort(11)
    label[member == 0] = 0
    label[np.flatnonzero(member == 0)[:4]] = 1
    estimates, _ = found(
        target(label, score),
        [TPR, ACCURACY],
        member,
        {"site": site},
        resampling(len(label)),
        20,
    )
    by_name = {(each.metric, each.group): each for each in estimates}
    few = by_name["true_positive_rate", "sex: f"]
    assert few.effective <= 4
    assert few.state == "insufficient"
    assert few.reason.startswith("rests on")
    assert by_name["accuracy", "sex: f"].state == "adequate"


def test_one_class_and_an_empty_group():
    label, score, member, site = cohort(12, n=400)
    label[member == 1] = 0
    estimates, _ = adjusted(
        target(label, score),
        [AUROC],
        "sex",
        categories(member, "fmx"),
        {"site": categories(site)},
        resampling(400),
        5,
    )
    assert [each.state for each in estimates] == ["adequate", "undefined", "undefined"]
    assert estimates[1].reason == REASONS["both"]
    assert np.isnan(estimates[2].raw)
    assert np.isnan(estimates[2].imbalance_before)


def test_one_patient_and_unknown_truth():
    one = found(target([1.0], [0.7]), [ACCURACY], [0], {"site": [0]}, resampling(1))[0]
    assert one[0].value == 1
    assert one[0].state == "insufficient"
    unknown = found(target([np.nan], [0.7]), [ACCURACY], [0], {"site": [0]}, resampling(1))[0]
    assert [each.state for each in unknown] == ["undefined"] * 2


def test_weights_are_found_anew_in_each_draw():
    label, score, member, site = cohort(13, n=300)
    options = resampling(300, draws=30)
    task = target(label, score)
    estimates, _ = found(task, [ACCURACY], member, {"site": site}, options)
    draws = np.array(
        [
            [
                each.value
                for each in found(
                    task, [ACCURACY], member, {"site": site}, resampling(300, draws=0, weight=w)
                )[0]
            ]
            for block in options.weights()
            for w in block
        ]
    )
    for k, each in enumerate(estimates):
        low, high = np.quantile(draws[:, k], [0.025, 0.975])
        assert (each.low, each.high) == (pytest.approx(low), pytest.approx(high))


def test_missing_values_and_no_confounder_are_refused():
    label, score, member, site = cohort(14, n=50)
    task = target(label, score)
    site[3] = -1
    with pytest.raises(InputError, match="confounder 'site': 1 samples have no value"):
        found(task, [ACCURACY], member, {"site": site}, resampling(50))
    with pytest.raises(InputError, match="confounders: there is none"):
        found(task, [ACCURACY], member, {}, resampling(50))
    member[:2] = -1
    with pytest.raises(InputError, match="attribute 'sex': 2 samples have no value"):
        found(task, [ACCURACY], member, {"label": label}, resampling(50))


def clustered(generator, patients=300, images=3):
    """Scores of a patient agree; group f is more often at the worse site."""
    patient = np.repeat(np.arange(patients), images)
    member = generator.integers(0, 2, patients)[patient]
    site = generator.random(patients) < 0.3 + 0.4 * np.arange(patients) % 2
    site = (generator.random(patients)[patient] < 0.3 + 0.4 * member).astype(int)
    label = generator.integers(0, 2, patients)[patient]
    noise = generator.normal(size=patients)[patient] + generator.normal(size=len(patient))
    signal = label * np.where(site == 1, 1.0, 2.5) + noise / 2**0.5
    return label, norm.cdf(signal), member, site, patient


def test_coverage_of_estimate_and_gap():
    generator = np.random.default_rng(15)
    trials, held, alike, raw = 200, 0, 0, 0
    # Half of the samples are at each site; the decision is right if the signal exceeds 0.
    truth = (norm.cdf(1.0) + norm.cdf(2.5)) / 2
    for trial in range(trials):
        label, score, member, site, patient = clustered(generator)
        options = resampling(len(label), draws=200, patient=patient, seed=trial)
        (each, _), (gap,) = found(target(label, score), [TPR], member, {"site": site}, options)
        held += each.low <= truth <= each.high
        alike += gap.low == 0
        raw += gap.raw
    assert held / trials == pytest.approx(0.95, abs=3 * NOISE)
    assert alike / trials == pytest.approx(0.95, abs=3 * NOISE)
    assert raw / trials > 0.05
