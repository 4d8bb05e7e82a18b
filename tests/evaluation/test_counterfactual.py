"""Exchanged styles: the definition, known effects, control, guard, and who is refused."""

import numpy as np
import pandas as pd
import pytest

from evaluation.audit import Audit, audit
from evaluation.counterfactual import ALL, MEASURES, style_effects
from evaluation.counterfactual_table import Counterfactuals
from evaluation.errors import InputError
from evaluation.groups import Attribute
from evaluation.pair_means import Sampling
from evaluation.predictions import Predictions
from evaluation.reconstruction import CounterfactualSpec
from evaluation.section import SECTIONS
from evaluation.shareable import shareable
from evaluation.spec import AuditSpec
from evaluation.tables import tables
from tests.conftest import made_predictions
from tests.evaluation.made_audit import made_table
from tests.evaluation.made_counterfactuals import made_counterfactuals, made_swaps

SAMPLING = Sampling(draws=200, seed=0, confidence=0.95, minimum_patients=10)
SPEC = CounterfactualSpec()


def measured(swaps, threshold=0.5, sampling=SAMPLING, spec=SPEC):
    return style_effects(swaps, {"": threshold}, spec, sampling)


def effect(found, measure="flip_rate", group=ALL, donor="another group"):
    (one,) = [
        e for e in found.effects if (e.measure, e.group, e.donor) == (measure, group, donor)
    ]
    return one


def slow(table, group, donor, threshold):
    """Flip rate, mean change and mean absolute change, one row at a time."""
    flips, changes = [], []
    for row in table.to_dict("records"):
        if (row["from"], row["to"]) == (group, donor):
            before, after = row["score_reconstructed"], row["score_swapped"]
            flips.append((before >= threshold) != (after >= threshold))
            changes.append(after - before)
    return np.mean(flips), np.mean(changes), np.mean(np.abs(changes))


def test_matches_the_definition():
    swaps = made_counterfactuals(made_predictions(60), across=0.1, noise=0.1, blur=0.05)
    found = measured(swaps, threshold=0.4)
    for group, donor in (("female", "male"), ("male", "female")):
        expected = slow(swaps.table, group, donor, 0.4)
        control = slow(swaps.table, group, group, 0.4)
        for measure, value, own in zip(MEASURES, expected, control, strict=True):
            one = effect(found, measure, f"sex: {group}", f"sex: {donor}")
            assert one.value == pytest.approx(value)
            assert one.control == pytest.approx(own)
            assert one.excess == pytest.approx(value - own)
            assert one.low <= one.value <= one.high
            assert one.excess_low <= one.excess <= one.excess_high
    assert len(found.effects) == 3 * (1 + 2)


def test_the_order_of_rows_changes_only_rounding():
    table = made_swaps(made_predictions(40), across=0.1, noise=0.1)
    first = measured(Counterfactuals.from_table(table))
    second = measured(Counterfactuals.from_table(table.sample(frac=1, random_state=1)))
    for one in first.effects:
        other = effect(second, one.measure, one.group, one.donor)
        assert other.value == pytest.approx(one.value)
        assert other.low == pytest.approx(one.low)
        assert other.excess_high == pytest.approx(one.excess_high)


def test_a_classifier_that_ignores_style_has_no_effect_and_an_exact_bound():
    found = measured(made_counterfactuals(made_predictions(60)))
    flips = effect(found)
    assert (flips.value, flips.control, flips.excess, flips.low) == (0, 0, 0, 0)
    assert 0 < flips.high < 0.1
    assert "exact bound" in flips.reason
    change = effect(found, "mean_change")
    assert change.value == 0
    assert np.isnan([change.low, change.high]).all()
    assert all(each.trusted for each in found.reconstructions)


def test_the_group_is_told_from_any_other_style_by_the_control():
    table = made_predictions(150)
    table["score"] = np.random.default_rng(0).uniform(0.2, 0.7, len(table))
    both = effect(measured(made_counterfactuals(table, across=0.2, within=0.2)), "mean_change")
    assert both.value == pytest.approx(0.2)
    assert both.excess == pytest.approx(0)
    one = effect(measured(made_counterfactuals(table, across=0.2, noise=0.02)))
    assert one.excess_low > 0.2
    assert one.control < 0.1


def test_the_reconstruction_is_what_swaps_are_compared_with():
    swaps = made_counterfactuals(made_predictions(60), blur=0.02)
    assert effect(measured(swaps), "mean_absolute_change").value == 0
    guard = measured(swaps).reconstructions[0]
    (flips,) = {
        ((t["score"] >= 0.5) != (t["score_reconstructed"] >= 0.5)).mean()
        for t in [swaps.table.drop_duplicates("sample")]
    }
    assert guard.flip_rate == pytest.approx(flips)
    assert guard.psnr == pytest.approx(20)


@pytest.mark.parametrize(
    ("blur", "spec", "reason"),
    [
        (0.5, SPEC, "the reconstruction alone flips"),
        (0.5, CounterfactualSpec(worst_flip_rate=1), "correlate"),
        (0.03, CounterfactualSpec(worst_flip_rate=0), "more than 0%"),
    ],
)
def test_the_guard_lists_what_it_does_not_trust(blur, spec, reason):
    found = measured(made_counterfactuals(made_predictions(100), blur=blur), spec=spec)
    assert not found.reconstructions[0].trusted
    assert reason in found.reconstructions[0].reason
    assert {each.state for each in found.effects} == {"untrusted"}
    assert not np.isnan(effect(found).value)
    assert effect(found).reason == found.reconstructions[0].reason


def test_scores_that_never_vary_are_not_trusted():
    table = made_predictions(40).assign(score=0.3)
    guard = measured(made_counterfactuals(table)).reconstructions[0]
    assert np.isnan(guard.correlation)
    assert "do not vary" in guard.reason


def test_too_few_patients_or_donors_are_counted_and_have_no_number():
    table = made_predictions(60)
    few = table["patient"].isin([f"p{i}" for i in range(4)])
    table.loc[few, "sex"] = "other"
    found = measured(made_counterfactuals(table, across=0.1))
    rare = effect(found, group="sex: other", donor="sex: male")
    assert (rare.state, rare.patients) == ("insufficient", 4)
    donors = effect(found, group="sex: male", donor="sex: other")
    assert donors.donors == 4
    assert np.isnan([rare.value, donors.value, donors.control]).all()


def test_without_a_partner_of_the_own_group_there_is_no_control():
    table = made_swaps(made_predictions(60), across=0.1)
    cross = Counterfactuals.from_table(table[table["from"] != table["to"]])
    found = effect(measured(cross))
    assert not np.isnan(found.value)
    assert np.isnan([found.control, found.excess]).all()
    assert "control" in found.reason


def test_a_difference_that_does_not_vary_has_no_interval_and_says_so():
    table = made_swaps(made_predictions(60))
    halved = table.assign(score_swapped=table["score_reconstructed"] / 2)
    found = effect(measured(Counterfactuals.from_table(halved)), "mean_change")
    assert found.low < found.high
    assert found.excess == pytest.approx(0)
    assert np.isnan([found.excess_low, found.excess_high]).all()
    assert found.reason == "no interval of the difference: no variation between patients"


def test_nothing_flips_where_nothing_decides():
    found = measured(made_counterfactuals(made_predictions(60), across=0.1), np.nan)
    assert (effect(found).state, effect(found).reason) == ("undefined", "no threshold decides")
    assert effect(found, "mean_change").state == "adequate"


def test_classes_are_decided_by_the_highest_score():
    base = made_swaps(made_predictions(40), across=0.2)
    names = ["score", "score_reconstructed", "score_swapped"]
    other = base.assign(target="b", **{name: 1 - base[name] for name in names})
    swaps = Counterfactuals.from_table(pd.concat([base.assign(target="a"), other]))
    found = style_effects(swaps, {}, SPEC, SAMPLING)
    whole = measured(Counterfactuals.from_table(base))
    for target in ("a", "b"):
        (mine,) = [
            e.value
            for e in found.effects
            if (e.target, e.group, e.measure) == (target, ALL, "flip_rate")
        ]
        assert mine == pytest.approx(effect(whole).value, abs=0.01)


def test_intervals_cover_the_truth_also_with_few_donors():
    """Mean change 0.1 on average over donors, each of whom shifts all that get its style."""
    covered = {"many": 0, "few": 0}
    for seed in range(60):
        generator = np.random.default_rng(seed)
        for kind, donors in (("many", 200), ("few", 15)):
            shift = 0.1 + 0.05 * generator.normal(size=donors)
            partner = generator.integers(donors, size=200)
            own = np.repeat(0.02 * generator.normal(size=100), 2)
            score = generator.uniform(0.3, 0.5, 200)
            table = pd.DataFrame(
                {
                    "sample": [f"s{i}" for i in range(200)],
                    "patient": [f"p{i // 2}" for i in range(200)],
                    "attribute": "site",
                    "from": "a",
                    "to": "b",
                    "partner": [f"d{k}" for k in partner],
                    "partner_patient": [f"d{k}" for k in partner],
                    "score": score,
                    "score_reconstructed": score,
                    "score_swapped": (score + shift[partner] + own).clip(0, 1),
                }
            )
            found = effect(measured(Counterfactuals.from_table(table)), "mean_change")
            covered[kind] += found.low <= 0.1 <= found.high
    assert covered["many"] >= 53
    assert covered["few"] >= 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="to"), "there is no column 'to'"),
        (lambda t: t.assign(score_swapped=1.2), "Scores are probabilities"),
        (lambda t: t.assign(decision=1), "there is no column 'decision_swapped'"),
        (lambda t: t.assign(partner_patient=t["patient"]), "the sample's own patient"),
        (lambda t: pd.concat([t, t]), "repeat another's sample"),
        (lambda t: t.iloc[:0], "the table has no rows"),
        (lambda t: t.assign(reconstruction_error=-1), "mean squared error"),
        (lambda t: t.assign(sample=None), "Fill it in every row"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(change, message):
    table = made_swaps(made_predictions(30))
    with pytest.raises(InputError) as caught:
        Counterfactuals.from_table(change(table))
    assert message in str(caught.value)


def audited(swaps=None, small=0, **how) -> Audit:
    table = made_table(small=small)
    spec = AuditSpec(
        attributes=(Attribute(name="sex"), Attribute(name="site")),
        draws=100,
        metrics=("auroc",),
        threshold=0.5,
    )
    predictions = Predictions.from_table(table, ["sex", "site"])
    swaps = swaps or made_counterfactuals(table, **how)
    return audit(predictions, spec, counterfactuals=swaps)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sample", "nobody", "not among the test samples"),
        ("patient", "nobody", "of another patient than there"),
        ("from", "nobody", "of another group than there"),
        ("attribute", "age", "no attribute of the audit is called 'age'"),
        ("target", "mass", "no target of the audit is called 'mass'"),
    ],
)
def test_counterfactuals_of_other_rows_are_refused(column, value, message):
    table = made_swaps(made_table()).assign(**{column: value}).drop_duplicates("partner")
    with pytest.raises(InputError) as caught:
        audited(Counterfactuals.from_table(table))
    assert message in str(caught.value)


def test_the_audit_reads_back_names_its_input_and_has_tables_without_pictures():
    found = audited(across=0.2, noise=0.1)
    assert Audit.from_json(found.to_json()).to_json() == found.to_json()
    assert "counterfactuals" in [each.what for each in found.inputs]
    made = tables(found)
    assert {"counterfactuals", "reconstructions"} <= set(made)
    assert "pictures" not in made


def test_the_section_tells_effect_guard_and_limits():
    body = str(SECTIONS.get("counterfactual")().render(audited(across=0.2, noise=0.02)))
    assert "More flips across groups than within them" in body
    assert "says nothing of causes" in body
    assert 'alt="one &lt;pixel&gt;"' in body
    assert "✓ yes" in body
    doubted = str(SECTIONS.get("counterfactual")().render(audited(across=0.2, blur=0.5)))
    assert "not to be read, since the reconstruction alone flips" in doubted
    assert "Most flips beyond the control" not in doubted
    none = audited().model_copy(update={"counterfactuals": ()})
    assert not SECTIONS.get("counterfactual")().applies(none)


def test_the_section_says_which_pairs_are_not_drawn(monkeypatch):
    assert "Drawn are the first" not in str(SECTIONS.get("counterfactual")().render(audited()))
    monkeypatch.setattr("evaluation.sections.counterfactual._DRAWN", 1)
    body = str(SECTIONS.get("counterfactual")().render(audited()))
    assert "Drawn are the first 1 of 2 pairs." in body


def test_what_is_shared_shows_no_picture_and_no_small_group():
    whole = audited(small=4, across=0.2, noise=0.02)
    shared = shareable(whole)
    assert shared.pictures == ()
    hidden = {size.group for size in shared.cohort if size.patients is None}
    for found in shared.counterfactuals:
        if {found.group, found.donor} & hidden or found.group == ALL:
            assert np.isnan([found.value, found.control, found.excess]).all()
            assert found.patients is None
    small = shareable(audited(across=0.2, noise=0.02))
    assert effect_of(small) == effect_of(audited(across=0.2, noise=0.02))


def effect_of(found):
    return next(each.value for each in found.counterfactuals)
