"""The stress matrix: equal to a sample of the other population, with honest intervals."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.bootstrap import Resampling, bootstrap
from evaluation.breakdown import Breakdown, breakdown
from evaluation.errors import InputError
from evaluation.groups import MISSING, Group
from evaluation.metric import METRICS
from evaluation.reweighting import (
    Strata,
    reweighted,
    with_correlation,
    with_prevalence,
    with_share,
)
from evaluation.stress import StressCell, StressSpec, stress
from evaluation.target import Target

NAMES = (
    "auroc",
    "accuracy",
    "true_positive_rate",
    "false_positive_rate",
    "positive_predictive_value",
    "f1_score",
    "matthews_correlation",
    "brier_score",
    "log_loss",
    "expected_calibration_error",
    "average_precision",
)
SMALL = StressSpec(
    correlations=(-0.3, 0.4),
    prevalences=(0.1, 0.5),
    marginals=(0.0, 0.8),
    divergences=(0.1,),
    draws=100,
    smallest_effective=5,
)


def sample(seed=0, n=400, images=2, missing=0.1):
    """A target with ties, an attribute that matters, and patients of several images."""
    generator = np.random.default_rng(seed)
    sex = generator.choice(["f", "m", MISSING], n, p=[0.4, 0.6 - missing, missing])
    label = (generator.random(n) < 0.3 + 0.2 * (sex == "f")).astype(float)
    noise = np.where(sex == "f", 0.4, 0.25)
    score = np.clip(np.round(0.35 + 0.3 * label + noise * generator.normal(size=n), 2), 0, 1)
    target = Target("", label, score, (score >= 0.5).astype(float))
    categories = ["f", "m", *([MISSING] if missing else [])]
    patient = generator.integers(0, n // images, n)
    weight = generator.choice([0.5, 1, 2], n)
    return (
        target,
        {"sex": pd.Categorical(sex, categories=categories)},
        Resampling(patient, weight, 1000, seed, 0.95),
    )


def population_of(cell, joint, known):
    if cell.shift == "prevalence":
        return with_prevalence(joint, cell.level).joint
    rule = with_correlation if cell.shift == "correlation" else with_share
    return rule(joint, 0, known, cell.level).joint


def of(cells, **wanted):
    return [
        c for c in cells if all(getattr(c, name) == value for name, value in wanted.items())
    ]


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_plain_weighted_engine(name):
    """Value and interval, to 1e-12, over all samples and within each group."""
    target, attributes, resampling = sample()
    metric, spec = METRICS.get(name), SMALL.model_copy(update={"metrics": (name,)})
    cells = stress(target, attributes, resampling, spec, 2)
    strata = Strata.of(target, "sex", attributes["sex"])
    joint, drawn = strata.joint(resampling.weight), replace(resampling, draws=spec.draws)
    groups = [Group((), (), np.arange(400))]
    checked = 0
    for cell in of(cells, shift="correlation") + of(cells, shift="marginal"):
        q = population_of(cell, joint, strata.known)
        point = next(reweighted([resampling.weight[None]], strata, q))[0]
        if cell.scope == "overall":
            blocks = reweighted(drawn.weights(), strata, q)
            cube = bootstrap([target], groups, [metric], point, blocks)
            ends = np.quantile(cube.draws[:, 0, 0], [0.025, 0.975])
            np.testing.assert_allclose([cell.low, cell.high], ends, rtol=0, atol=1e-12)
            expected = cube.point[0, 0]
        else:
            inside = [attributes["sex"] == c for c in attributes["sex"].categories]
            value = target.value(metric.reads)
            each = [metric(target.label[i], value[i], point[i]) for i in inside]
            expected = each[int(np.argmin(metric.goodness(np.array(each))))]
            assert cell.group in ("sex: f", "sex: m", f"sex: {MISSING}")
        assert cell.value == pytest.approx(expected, abs=1e-12)
        checked += 1
    assert checked == 9  # three levels of correlation, twice, and three shares


def test_the_own_level_is_the_sample_itself():
    target, attributes, resampling = sample()
    spec = SMALL.model_copy(update={"metrics": NAMES})
    cells = [
        cell
        for cell in stress(target, attributes, resampling, spec, 2)
        if cell.level == cell.observed and cell.scope == "overall" and cell.group
    ]
    assert {cell.shift for cell in cells} == {
        "prevalence",
        "correlation",
        "marginal",
        "worst case",
    }
    for cell in cells:
        metric = METRICS.get(cell.metric)
        value = metric(target.label, target.value(metric.reads), resampling.weight)
        assert cell.value == pytest.approx(value, abs=1e-12)
        assert cell.low < cell.value < cell.high


def test_reweighting_equals_sampling_the_other_population():
    """A large sample drawn from the population's cells has the same metrics."""
    target, attributes, resampling = sample(n=1500)
    spec = SMALL.model_copy(update={"metrics": ("auroc", "accuracy", "brier_score")})
    strata = Strata.of(target, "sex", attributes["sex"])
    joint = strata.joint(resampling.weight)
    generator = np.random.default_rng(1)
    size = 400_000
    for cell in of(stress(target, attributes, resampling, spec, 2), scope="overall"):
        if cell.shift == "worst case" or np.isnan(cell.value):
            continue
        q = population_of(cell, joint, strata.known).ravel()[strata.cell]
        share = np.bincount(strata.cell, resampling.weight, minlength=6)[strata.cell]
        rows = generator.choice(1500, size, p=q * resampling.weight / share)
        metric = METRICS.get(cell.metric)
        value = metric(target.label[rows], target.value(metric.reads)[rows])
        assert cell.value == pytest.approx(value, abs=0.004)


def test_what_cannot_move_does_not():
    target, attributes, resampling = sample()
    names = ("auroc", "true_positive_rate", "accuracy")
    cells = stress(
        target, attributes, resampling, SMALL.model_copy(update={"metrics": names}), 2
    )
    for name, moves in zip(names, (False, False, True), strict=True):
        for wanted in (
            {"shift": "prevalence", "scope": "overall"},
            {"shift": "correlation", "scope": "worst group"},
        ):
            values = [cell.value for cell in of(cells, metric=name, **wanted)]
            assert (np.ptp(values) > 1e-3) == moves
    mixed = [cell.value for cell in of(cells, metric="auroc", shift="marginal")]
    assert np.ptp(mixed) > 1e-3


def test_a_share_of_none_or_all_is_the_other_or_the_one_group():
    target, attributes, resampling = sample(missing=0)
    spec = SMALL.model_copy(update={"marginals": (0.0, 1.0), "metrics": ("accuracy",)})
    cells = of(stress(target, attributes, resampling, spec, 2), shift="marginal")
    for cell, sex in ((cells[0], "m"), (cells[-1], "f")):
        rows = attributes["sex"] == sex
        metric = METRICS.get("accuracy")
        expected = metric(target.label[rows], target.decision[rows], resampling.weight[rows])
        assert cell.value == pytest.approx(expected, abs=1e-12)


def test_an_infeasible_correlation_says_what_is_feasible():
    target, attributes, resampling = sample()
    spec = SMALL.model_copy(update={"correlations": (-0.9, 0.9)})
    cells = of(stress(target, attributes, resampling, spec, 2), shift="correlation")
    infeasible = [cell for cell in cells if cell.level != cell.observed]
    assert len(infeasible) == 2 * 2 * len(spec.metrics)
    for cell in infeasible:
        assert cell.state == "impossible"
        assert np.isnan([cell.value, cell.low, cell.high, cell.effective]).all()
        assert "allow correlations from" in cell.reason


def test_the_worst_case_gets_worse_with_the_distance_and_names_the_cell():
    target, attributes, resampling = sample()
    spec = SMALL.model_copy(
        update={"metrics": ("accuracy", "brier_score", "auroc"), "divergences": (0.1, 0.3, 0.6)}
    )
    cells = of(stress(target, attributes, resampling, spec, 2), shift="worst case")
    accuracy = [cell.value for cell in of(cells, metric="accuracy")]
    brier = [cell.value for cell in of(cells, metric="brier_score")]
    assert accuracy == sorted(accuracy, reverse=True)
    assert brier == sorted(brier)
    assert "moved to label" in cells[1].reason
    assert all(cell.state == "undefined" for cell in of(cells, metric="auroc"))


def test_the_worst_case_adds_to_no_cell_of_few_patients():
    target, attributes, resampling = sample()
    spec = SMALL.model_copy(update={"metrics": ("accuracy",)})
    cells = of(stress(target, attributes, resampling, spec, 10_000), shift="worst case")
    assert all(cell.state == "undefined" for cell in cells)
    assert "10000 patients" in cells[0].reason


def test_few_effective_patients_are_insufficient():
    target, attributes, resampling = sample()
    spec = SMALL.model_copy(update={"smallest_effective": 60.0, "metrics": ("auroc",)})
    cells = of(stress(target, attributes, resampling, spec, 2), scope="overall")
    states = {cell.state for cell in cells if cell.group}
    assert states == {"adequate", "insufficient"}
    for cell in cells:
        if cell.group:
            assert (cell.state == "insufficient") == (cell.effective < 60)


def test_few_patients_are_insufficient_whatever_the_weights():
    target, attributes, resampling = sample()
    cells = stress(target, attributes, resampling, SMALL, 10_000)
    assert not of(cells, state="adequate")
    overall = of(cells, shift="prevalence", scope="overall", state="insufficient")
    assert "needs 10000" in overall[0].reason


def test_a_group_of_one_patient_is_named_but_not_ranked():
    target, attributes, resampling = sample(missing=0)
    names = np.array(attributes["sex"], object)
    names[:2], resampling.patient[:2] = "x", -1
    target.label[:2] = [0, 1]
    attributes = {"sex": pd.Categorical(names, categories=["f", "m", "x"])}
    cells = stress(target, attributes, resampling, SMALL, 10)
    worst = of(cells, shift="correlation", category="m", scope="worst group", metric="accuracy")
    assert {cell.group for cell in worst} <= {"sex: f", "sex: m"}
    assert all("sex: x not ranked: rests on 1 patients" in cell.reason for cell in worst)
    # That so small a cell is absent from a third of the draws does not void the others.
    assert {cell.state for cell in worst} == {"adequate"}
    assert of(cells, shift="prevalence", state="adequate")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_undefined_not_zero(value):
    target, attributes, resampling = sample()
    target = replace(target, label=np.full(400, value))
    for cell in stress(target, attributes, resampling, SMALL, 2):
        if cell.shift in ("prevalence", "correlation"):
            assert cell.state == "undefined" or cell.level == cell.observed
        assert cell.state == "adequate" or cell.reason
        if cell.state == "undefined" and cell.scope == "overall":
            assert np.isnan(cell.low)


def test_an_empty_category_is_not_shifted():
    target, attributes, resampling = sample(missing=0)
    more = attributes["sex"].add_categories(["none"])
    assert stress(target, {"sex": more}, resampling, SMALL, 2)[-1].category == ""
    shifted = {cell.category for cell in stress(target, {"sex": more}, resampling, SMALL, 2)}
    assert shifted == {"", "f"}


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_sample_of_one_patient_or_none_does_not_crash(n):
    label = np.arange(n) % 2.0
    target = Target("", label, label, label)
    attributes = {"sex": pd.Categorical(["f", "m", "f"][:n], categories=["f", "m"])}
    resampling = Resampling(np.zeros(n, int), np.ones(n), 100, 0, 0.95)
    cells = stress(target, attributes, resampling, StressSpec(draws=100), 10)
    assert cells
    assert not of(cells, state="adequate")


def test_only_the_largest_categories_are_shifted():
    target, _, resampling = sample()
    names = np.random.default_rng(5).choice(
        list("abcdef"), 400, p=[0.05, 0.3, 0.1, 0.3, 0.2, 0.05]
    )
    spec = SMALL.model_copy(update={"most_categories": 3, "metrics": ("accuracy",)})
    cells = stress(target, {"site": pd.Categorical(names)}, resampling, spec, 2)
    assert {c.category for c in of(cells, shift="correlation")} == {"b", "d", "e"}


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed):
    target, attributes, resampling = sample()
    order = np.random.default_rng(seed).permutation(400)
    turned = Target("", *(v[order] for v in (target.label, target.score, target.decision)))
    again = stress(
        turned,
        {"sex": attributes["sex"][order]},
        replace(resampling, patient=resampling.patient[order], weight=resampling.weight[order]),
        SMALL,
        2,
    )
    assert_alike(stress(target, attributes, resampling, SMALL, 2), again)


def test_a_weight_of_two_is_the_sample_twice():
    target, attributes, resampling = sample()
    times = np.random.default_rng(6).integers(1, 4, 400)
    rows = np.repeat(np.arange(400), times)
    twice = Target("", *(v[rows] for v in (target.label, target.score, target.decision)))
    ones = replace(resampling, patient=resampling.patient[rows], weight=np.ones(len(rows)))
    weighted = replace(resampling, weight=times.astype(float))
    assert_alike(
        stress(target, attributes, weighted, SMALL, 2),
        stress(twice, {"sex": attributes["sex"][rows]}, ones, SMALL, 2),
    )


def assert_alike(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.metric, a.shift, a.group, a.state) == (b.metric, b.shift, b.group, b.state)
        for name in ("level", "value", "low", "high", "effective"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-9, nan_ok=True)


def test_progress_ends_with_the_number_of_draws():
    target, attributes, resampling = sample()
    told = []
    stress(target, attributes, resampling, SMALL, 2, told.append)
    assert told[-1] == SMALL.draws
    assert told == sorted(told)


def test_refuses_an_unknown_metric_and_a_level_out_of_range():
    with pytest.raises(InputError, match="auroc"):
        StressSpec.parse({"metrics": ["aurok"]}, "spec.toml")
    with pytest.raises(InputError, match="prevalences") as raised:
        StressSpec.parse(
            {"prevalences": [0, 0.5], "correlations": [2], "drawz": 3}, "spec.toml"
        )
    assert len(raised.value.faults) == 3


def test_undefined_is_null_in_json():
    target, attributes, resampling = sample()
    spec = StressSpec(correlations=(0.99,), draws=100)
    cell = of(stress(target, attributes, resampling, spec, 2), level=0.99)[0]
    written = cell.model_dump_json()
    assert json.loads(written)["value"] is None
    assert np.isnan(StressCell.model_validate_json(written).value)


RIGHT = np.array([[0.9, 0.8], [0.75, 0.55]])  # share decided right, by label and sex


def trial(generator, patients, images):
    """Decisions whose rates are known, alike among the images of a patient."""
    label = (generator.random(patients) < 0.35).astype(int)
    sex = (generator.random(patients) < 0.4 + 0.2 * label).astype(int)
    rate = RIGHT[label, sex]
    own = generator.beta(rate, 1 - rate)  # correlation of one half
    label, sex, own, patient = (
        np.repeat(each, images) for each in (label, sex, own, np.arange(patients))
    )
    decision = np.where(generator.random(len(own)) < own, label, 1 - label).astype(float)
    target = Target("", label.astype(float), decision, decision)
    resampling = Resampling(
        patient, np.ones(len(own)), 100, int(generator.integers(2**31)), 0.95
    )
    return target, {"sex": pd.Categorical.from_codes(sex, ["f", "m"])}, resampling


def truth(metric, q):
    """Of accuracy, sensitivity or AUROC (of a score of two values) in a population."""
    if metric == "accuracy":
        return (q * RIGHT).sum()
    sensitivity = (q[1] * RIGHT[1]).sum() / q[1].sum()
    specificity = (q[0] * RIGHT[0]).sum() / q[0].sum()
    return sensitivity if metric == "true_positive_rate" else (sensitivity + specificity) / 2


SHIFTS = {
    "correlation": lambda joint: with_correlation(joint, 0, np.array([True, True]), 0.4),
    "prevalence": lambda joint: with_prevalence(joint, 0.1),
    "marginal": lambda joint: with_share(joint, 0, np.array([True, True]), 0.9),
}


@pytest.mark.parametrize("shift", SHIFTS)
def test_weights_recomputed_in_every_draw_cover_the_population(shift):
    """Of 3000 intervals for the accuracy among 300 patients of one image, nominally 95 %.

    Weights of the sample, kept as they are in every draw, would not be for that population.
    """
    generator, covered, trials = np.random.default_rng(7), 0, 3000
    shares = np.array([[0.39, 0.26], [0.14, 0.21]])
    kinds = np.stack([shares * (1 - RIGHT), shares * RIGHT], axis=-1)
    for _ in range(trials):
        count = generator.multinomial(300, kinds.ravel())
        q = SHIFTS[shift](count.reshape(2, 2, 2).sum(axis=-1) / 300).joint
        drawn = generator.multinomial(300, count / 300, 300).reshape(-1, 2, 2, 2)
        value = (q * drawn[..., 1] / drawn.sum(axis=-1)).sum(axis=(1, 2))
        low, high = np.quantile(value, [0.025, 0.975])
        covered += low <= (q * RIGHT).sum() <= high
    assert 0.93 <= covered / trials <= 0.97


def test_coverage_with_correlated_images_of_a_patient():
    """Of 200 trials with four images a patient, nominally 95 %."""
    generator, trials = np.random.default_rng(8), 200
    spec = StressSpec(
        correlations=(0.4,),
        prevalences=(),
        marginals=(0.9,),
        divergences=(),
        metrics=("accuracy", "auroc", "true_positive_rate"),
        draws=200,
        smallest_effective=5,
    )
    held = {}
    for _ in range(trials):
        target, attributes, resampling = trial(generator, 150, images=4)
        strata = Strata.of(target, "sex", attributes["sex"])
        joint = strata.joint(resampling.weight)
        for cell in stress(target, attributes, resampling, spec, 5):
            if cell.scope == "overall" and cell.level not in (cell.observed, 0):
                expected = truth(cell.metric, population_of(cell, joint, strata.known))
                hits = held.setdefault((cell.metric, cell.shift), [])
                hits.append(cell.low <= expected <= cell.high)
    assert len(held) == 6
    noise = (0.95 * 0.05 / trials) ** 0.5
    for hits in held.values():
        assert abs(np.mean(hits) - 0.95) <= 3 * noise


def curve(levels, lows, observed=0.2, states=None):
    """Cells of one curve with given lower ends."""
    return [
        StressCell(
            metric="accuracy",
            shift="prevalence",
            attribute="",
            category="",
            scope="overall",
            level=level,
            observed=observed,
            group="all",
            value=low,
            low=low,
            high=1,
            effective=100,
            state=state,
        )
        for level, low, state in zip(
            levels, lows, states or ["adequate"] * len(levels), strict=True
        )
    ]


def at_least_half(cell):
    return cell.low >= 0.5


@pytest.mark.parametrize(
    ("lows", "side", "level"),
    [
        ([0.4, 0.6, 0.6, 0.6, 0.4], "below", 0.05),
        ([0.6, 0.6, 0.6, 0.4, 0.3], "above", 0.4),
        ([0.6, 0.6, 0.4, 0.6, 0.6], "observed", 0.2),
        ([0.6, 0.6, 0.6, 0.6, 0.6], "", np.nan),
    ],
)
def test_the_breakdown_is_the_nearest_level_that_fails(lows, side, level):
    cells = curve([0.05, 0.1, 0.2, 0.4, 0.6], lows)
    (found,) = breakdown(cells[::-1], at_least_half)
    assert found.side == side
    assert found.level == pytest.approx(level, nan_ok=True)
    assert (found.observed, found.reason) == (0.2, "")


def test_levels_that_cannot_be_judged_are_counted_not_asked():
    states = ["adequate", "insufficient", "adequate", "undefined", "adequate"]
    cells = curve([0.05, 0.1, 0.2, 0.4, 0.6], [0.4, 0.1, 0.6, np.nan, 0.6], states=states)
    (found,) = breakdown(cells, at_least_half)
    assert (found.side, found.level) == ("below", 0.05)
    assert found.reason == "1 nearer levels could not be judged"
    (held,) = breakdown(cells, lambda cell: True)
    assert held.reason == "2 of 5 levels could not be judged"


def test_each_curve_has_its_breakdown():
    target, attributes, resampling = sample()
    cells = stress(target, attributes, resampling, SMALL, 2)
    found = breakdown(cells, lambda cell: cell.low > 0.99)
    keys = {(c.metric, c.shift, c.attribute, c.category, c.scope) for c in cells}
    assert len(found) == len(keys)
    assert all(isinstance(each, Breakdown) for each in found)
    assert breakdown([], at_least_half) == ()
