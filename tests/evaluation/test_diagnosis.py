"""Under- and over-diagnosis, and the companions that say where they come from."""

from itertools import pairwise

import numpy as np
import pytest

from evaluation.bootstrap import Resampling
from evaluation.diagnosis import diagnoses
from evaluation.groups import Group
from evaluation.metric import METRICS, REASONS
from evaluation.target import Target

FNR, FPR = METRICS.get("false_negative_rate"), METRICS.get("false_positive_rate")


def groups_of(member):
    return [Group(("g",), (str(k),), np.flatnonzero(member == k)) for k in np.unique(member)]


def everyone(n):
    return Group((), (), np.arange(n))


def found(
    label, score, groups, *, healthy=False, threshold=0.5, patient=None, weight=None, **options
):
    n = len(label)
    score = np.asarray(score, float)
    decision = (score >= threshold).astype(float)
    resampling = Resampling(
        np.arange(n) if patient is None else patient,
        np.ones(n) if weight is None else weight,
        options.get("draws", 100),
        options.get("seed", 0),
        0.95,
    )
    target = Target("t", np.asarray(label, float), score, decision)
    result = diagnoses(target, healthy, groups, resampling, options.get("minimum", 5))
    return {(each.group, each.kind): each for each in result}


def cohort(seed, n=600):
    generator = np.random.default_rng(seed)
    member = generator.integers(0, 2, n)
    label = (generator.random(n) < 0.3 + 0.2 * member).astype(float)
    score = np.round(1 / (1 + np.exp(-generator.normal(2 * label - 1, 1))), 2)
    return label, score, member


@pytest.mark.parametrize("healthy", [False, True])
def test_rates_are_those_of_the_metrics(healthy):
    label, score, member = cohort(0)
    label[:30] = np.nan
    weight = np.random.default_rng(1).random(len(label))
    groups = [everyone(len(label)), *groups_of(member)]
    result = found(label, score, groups, healthy=healthy, weight=weight, draws=5)
    for group in groups:
        rows = group.rows[~np.isnan(label[group.rows])]
        values = [
            metric(label[rows], (score >= 0.5)[rows], weight[rows]) for metric in (FNR, FPR)
        ]
        under, over = values[::-1] if healthy else values
        assert result[group.name, "under"].rate == pytest.approx(under)
        assert result[group.name, "over"].rate == pytest.approx(over)


def test_no_finding_is_disease_turned_round():
    label, score, member = cohort(1)
    groups = groups_of(member)
    disease = found(label, score, groups)
    no_finding = found(1 - label, 1 - score + 1e-9, groups, healthy=True, threshold=0.5 + 2e-9)
    for key, each in disease.items():
        other = no_finding[key]
        for name in ("rate", "low", "high", "standardised", "at_common_rate", "units"):
            assert getattr(other, name) == pytest.approx(getattr(each, name)), name


def test_standardised_is_the_share_at_the_prevalence_of_all():
    label, score, member = cohort(2)
    groups = [everyone(len(label)), *groups_of(member)]
    result = found(label, score, groups)
    called = score >= 0.5
    # In all samples it is the false omission rate and the false discovery rate themselves.
    assert result["all", "under"].standardised == pytest.approx(label[~called].mean())
    assert result["all", "over"].standardised == pytest.approx(1 - label[called].mean())
    prevalence = label.mean()
    inside = member == 1
    fnr = FNR(label[inside], called[inside])
    fpr = FPR(label[inside], called[inside])
    expected = fnr * prevalence / (fnr * prevalence + (1 - fpr) * (1 - prevalence))
    assert result["g: 1", "under"].standardised == pytest.approx(expected)


def loop_at_common_rate(label, score, limit):
    """Miss rate at the false-positive rate, along the ROC curve."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(score), reverse=True):
        called = score >= threshold
        points.append((called[label == 0].mean(), called[label == 1].mean()))
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= limit < x1:
            return 1 - (y0 + (limit - x0) / (x1 - x0) * (y1 - y0))
    return 0.0


def test_the_rate_at_a_common_rate_is_read_off_the_curve():
    label, score, member = cohort(3)
    result = found(label, score, groups_of(member))
    fpr, fnr = FPR(label, score >= 0.5), FNR(label, score >= 0.5)
    for k in (0, 1):
        y, s = label[member == k], score[member == k]
        expected = loop_at_common_rate(y, s, fpr)
        assert result[f"g: {k}", "under"].at_common_rate == pytest.approx(expected)
        expected = loop_at_common_rate(1 - y, -s, fnr)
        assert result[f"g: {k}", "over"].at_common_rate == pytest.approx(expected)


def test_all_samples_at_their_own_rate_keep_it():
    generator = np.random.default_rng(4)
    label = generator.integers(0, 2, 400)
    score = np.round(generator.random(400), 1)  # ties: thresholds are those of the decision
    result = found(label, score, [everyone(400)])
    for kind in ("under", "over"):
        each = result["all", kind]
        assert each.at_common_rate == pytest.approx(each.rate)
        assert each.at_common_rate_low == pytest.approx(each.low)


def test_a_shifted_threshold_is_told_from_worse_discrimination():
    generator = np.random.default_rng(5)
    n = 6000
    member = np.repeat([0, 1, 2], n // 3)
    label = generator.integers(0, 2, n)
    signal = generator.normal(0, 1, n) + label * np.where(member == 2, 0.8, 2)
    score = 1 / (1 + np.exp(-(signal - np.where(member == 1, 2, 1))))
    result = found(label, score, groups_of(member))
    shifted, worse = result["g: 1", "under"], result["g: 2", "under"]
    plain = result["g: 0", "under"]
    assert shifted.low > plain.high
    assert shifted.at_common_rate == pytest.approx(plain.at_common_rate, abs=0.04)
    assert worse.at_common_rate_low > plain.at_common_rate_high


def test_intervals_match_a_loop_over_draws():
    label, score, member = cohort(6, n=200)
    patient = np.arange(200) // 2
    resampling = Resampling(patient, np.ones(200), 40, 0, 0.95)
    result = found(label, score, groups_of(member), patient=patient, draws=40)
    draws = [
        found(label, score, groups_of(member), weight=w, draws=0)
        for block in resampling.weights()
        for w in block
    ]
    for key, each in result.items():
        for name in ("rate", "standardised", "at_common_rate"):
            low, high = np.quantile([getattr(d[key], name) for d in draws], [0.025, 0.975])
            stem = "" if name == "rate" else f"{name}_"
            assert getattr(each, f"{stem}low") == pytest.approx(low)
            assert getattr(each, f"{stem}high") == pytest.approx(high)


def test_coverage_of_all_three_with_several_images_a_patient():
    """Scores uniform in both classes' halves: every truth is known."""
    generator = np.random.default_rng(7)
    trials, held = 200, []
    for trial in range(trials):
        patient = np.repeat(np.arange(200), 3)
        label = (generator.random(200) < 0.5)[patient].astype(float)
        own, same = generator.random(200)[patient], generator.random(600) < 0.5
        score = np.where(same, own, generator.random(600)) * 0.8 + 0.2 * label
        # FNR = 0.3 / 0.8; FPR the same; on the ROC curve TPR = FPR + 0.25.
        each = found(label, score, [everyone(600)], patient=patient, draws=200, seed=trial)[
            "all", "under"
        ]
        held.append(
            [
                each.low <= 0.375 <= each.high,
                each.standardised_low <= 0.375 <= each.standardised_high,
                each.at_common_rate_low <= 0.375 <= each.at_common_rate_high,
            ]
        )
    noise = (0.95 * 0.05 / trials) ** 0.5
    assert np.mean(held, axis=0) == pytest.approx(0.95, abs=3 * noise)


def test_absent_classes_are_undefined_and_few_patients_insufficient():
    label = np.r_[np.zeros(20), np.ones(3), np.zeros(20)]
    score = np.tile([0.2, 0.7, 0.4], 15)[:43]
    groups = [
        Group(("g",), ("healthy",), np.arange(20)),
        Group(("g",), ("mixed",), np.arange(20, 43)),
        Group(("g",), ("none",), np.array([], int)),
    ]
    result = found(label, score, groups)
    healthy = result["g: healthy", "under"]
    assert (healthy.state, healthy.reason, healthy.units) == (
        "undefined",
        REASONS["positive"],
        0,
    )
    assert np.isnan([healthy.rate, healthy.standardised, healthy.at_common_rate]).all()
    assert result["g: healthy", "over"].state == "adequate"
    assert np.isnan(result["g: healthy", "over"].at_common_rate)
    few = result["g: mixed", "under"]
    assert (few.units, few.state) == (3, "insufficient")
    none = result["g: none", "over"]
    assert (none.state, none.units) == ("undefined", 0)
    assert found(label, score, groups, healthy=True)["g: healthy", "over"].units == 0


def test_too_few_units_are_insufficient():
    label, score, member = cohort(8)
    each = found(label, score, groups_of(member), minimum=10_000)["g: 0", "under"]
    assert each.state == "insufficient"
    assert each.reason == f"rests on {each.units} patients"


def test_no_error_is_no_certainty():
    label = np.tile([0.0, 1.0], 20)
    each = found(label, label * 0.6 + 0.2, [everyone(40)])["all", "under"]
    assert (each.rate, each.low, each.at_common_rate) == (0, 0, 0)
    assert each.high > 0.1
    assert each.at_common_rate_high > 0.1
    assert np.isnan(each.standardised_high)


def test_constant_scores_and_one_patient():
    label = np.tile([0.0, 1.0], 20)
    each = found(label, np.full(40, 0.7), [everyone(40)])["all", "over"]
    assert (each.rate, each.at_common_rate) == (1, 1)
    one = found([1.0], [0.2], [everyone(1)])["all", "under"]
    assert (one.rate, one.state) == (1, "insufficient")


def test_no_draws_leave_the_rates_without_interval():
    label, score, member = cohort(9)
    each = found(label, score, groups_of(member), draws=0)["g: 0", "under"]
    assert each.rate > 0
    assert np.isnan([each.low, each.standardised_low, each.at_common_rate_high]).all()
    assert each.state == "undefined"


def test_several_classes_as_a_whole_are_refused():
    whole = Target("", np.arange(3.0), np.full(3, np.nan), np.arange(3.0), 3)
    resampling = Resampling(np.arange(3), np.ones(3), 5, 0, 0.95)
    with pytest.raises(ValueError, match="two classes"):
        diagnoses(whole, False, [everyone(3)], resampling, 1)


def test_patients_without_weight_are_no_evidence():
    label, score = np.tile([0, 1], 20), np.linspace(0, 1, 40)
    weight = np.repeat([1.0, 0.0], 20)
    under = found(label, score, [everyone(40)], weight=weight)["all", "under"]
    assert under.units == 10
