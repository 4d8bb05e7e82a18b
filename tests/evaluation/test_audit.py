"""The audit as a whole."""

import numpy as np
import pandas as pd
import pytest

from evaluation.audit import Audit, audit
from evaluation.columns import Columns
from evaluation.compare import Champion
from evaluation.embeddings import Embeddings
from evaluation.errors import InputError
from evaluation.groups import Attribute
from evaluation.metric import METRICS
from evaluation.policy import Clause, Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.stress import StressSpec
from evaluation.threshold import Threshold
from tests.conftest import made_predictions

SPEC = AuditSpec(
    attributes=(Attribute(name="sex"), Attribute(name="age", bins=(40, 65))), draws=200
)


def predictions(**arguments):
    return Predictions.from_table(made_predictions(**arguments), ["sex", "age"])


@pytest.fixture(scope="module")
def found() -> Audit:
    return audit(predictions(), SPEC)


def test_the_same_input_gives_the_same_bytes(found):
    assert audit(predictions(), SPEC).to_json() == found.to_json()


def test_json_keeps_everything(found):
    assert Audit.from_json(found.to_json()).to_json() == found.to_json()


def test_the_order_of_rows_changes_no_number(found):
    table = predictions().table.sample(frac=1, random_state=1)
    again = audit(Predictions.from_table(table, ["sex", "age"]), SPEC)
    for ours, theirs in zip(found.estimates, again.estimates, strict=True):
        assert ours.value == pytest.approx(theirs.value, nan_ok=True)
        assert ours.low == pytest.approx(theirs.low, nan_ok=True)


def test_estimates_are_the_metrics_on_the_group(found):
    table = predictions().table
    inside = table[(table["sex"] == "male") & (table["age"] >= 65)]
    estimate = found.estimate("auroc", "sex: male, age: >=65")
    assert estimate.value == METRICS.get("auroc")(inside["label"], inside["score"])
    sizes = {size.group: size for size in found.cohort}
    assert sizes["sex: male, age: >=65"].images == len(inside)
    assert sizes["all"].patients == 200


def test_a_real_gap_is_found_and_a_missing_one_is_not():
    fair = audit(predictions(patients=600), SPEC).gap("auroc", "sex")
    unfair = audit(predictions(patients=600, gap=1.0), SPEC).gap("auroc", "sex")
    assert fair.low == 0
    assert unfair.low > 0
    assert unfair.worst == "sex: male"
    assert unfair.value > unfair.null_high


def test_groups_without_evidence_are_listed_and_never_ranked():
    table = made_predictions()
    table["sex"] = table["sex"].astype(object)
    table.loc[table["patient"].isin(["p0", "p1", "p2"]), "sex"] = "other"
    table.loc[table["patient"] == "p3", "sex"] = None
    table.loc[table["sex"] == "other", "label"] = 1
    spec = AuditSpec(
        attributes=(
            Attribute(name="sex", categories=("female", "male", "other", "unheard of")),
        ),
        draws=200,
    )
    result = audit(Predictions.from_table(table, ["sex"]), spec)
    one_class = result.estimate("auroc", "sex: other")
    assert np.isnan(one_class.value)
    assert (one_class.state, one_class.reason) == ("undefined", "only one class")
    small = result.estimate("accuracy", "sex: other")
    assert small.state == "insufficient"
    assert "3 patients" in small.reason
    empty = result.estimate("accuracy", "sex: unheard of")
    assert (empty.state, empty.reason) == ("undefined", "no samples")
    gap = result.gap("auroc", "sex")
    assert set(gap.unranked) == {"sex: other", "sex: unheard of", "sex: (missing)"}
    assert {gap.best, gap.worst} == {"sex: female", "sex: male"}


def test_no_test_rows_is_an_error():
    table = made_predictions().assign(split="validation")
    with pytest.raises(InputError, match="has no test rows"):
        audit(Predictions.from_table(table, ["sex"]), AuditSpec())


def test_an_attribute_that_is_missing_everywhere_is_an_error():
    table = made_predictions().assign(sex=None)
    spec = AuditSpec(attributes=(Attribute(name="sex"),))
    with pytest.raises(InputError, match="column sex: every value is missing"):
        audit(Predictions.from_table(table, ["sex"]), spec)


def test_patients_shared_with_training_are_noted():
    table = made_predictions()
    table["split"] = np.where(np.arange(len(table)) % 2, "validation", "test")
    result = audit(Predictions.from_table(table), AuditSpec(draws=100))
    assert sum(overlap.patients for overlap in result.provenance.overlaps) == 200
    assert not result.provenance.sound


def test_bins_taken_from_the_data_are_noted():
    result = audit(predictions(), AuditSpec(attributes=(Attribute(name="age"),), draws=100))
    assert any("bins of age are quartiles" in note for note in result.notes)
    assert len(result.spec.attributes[0].bins) == 3


POLICY = Policy(
    name="p",
    clause=(
        Clause(quantity="overall", metric="auroc", minimum=0.6),
        Clause(quantity="each group", metric="auroc", minimum=0.55),
        Clause(quantity="worst group", metric="auroc", attribute="sex", minimum=0.55),
        Clause(quantity="gap", metric="auroc", attribute="sex", maximum=0.3),
    ),
)


def test_policy_verdicts():
    good = audit(predictions(patients=600), SPEC, POLICY)
    assert [clause.verdict for clause in good.clauses] == ["PASS"] * 4
    assert good.verdict == "PASS"
    bad = audit(predictions(patients=1500, gap=1.0), SPEC, POLICY)
    assert bad.verdict == "FAIL"
    few = audit(predictions(patients=25), SPEC, POLICY)
    assert few.verdict == "INSUFFICIENT"


def test_a_clause_on_what_was_not_audited_is_insufficient():
    policy = Policy(
        name="p",
        clause=(
            Clause(quantity="gap", metric="auroc", attribute="race", maximum=0.3),
            Clause(quantity="leakage", maximum=0.6),
        ),
    )
    result = audit(predictions(), SPEC, policy)
    assert [c.verdict for c in result.clauses] == ["INSUFFICIENT"] * 2
    assert "no attribute race" in result.clauses[0].reason
    assert "no embeddings" in result.clauses[1].reason


def test_leakage_of_embeddings_reaches_the_policy():
    base = predictions()
    generator = np.random.default_rng(0)
    features = generator.normal(size=(len(base.table), 6))
    features[:, 0] += 3 * (base.table["sex"] == "male")
    names = [*(f"content_{i}" for i in range(3)), *(f"style_{i}" for i in range(3))]
    table = pd.DataFrame(features, columns=names).assign(sample=base.table["sample"])
    embeddings = Embeddings.from_table(table)
    clause = Clause(quantity="leakage", attribute="sex", maximum=0.7)
    result = audit(base, SPEC, Policy(name="p", clause=(clause,)), embeddings)
    by_latent = {(found.latent, found.attribute): found for found in result.leakage}
    assert by_latent["content", "sex"].auroc > 0.9 > by_latent["style", "sex"].auroc
    assert result.verdict == "FAIL"
    with pytest.raises(InputError, match="1 audited samples have none"):
        audit(base, SPEC, embeddings=Embeddings.from_table(table.iloc[1:]))


def champion_of(table, threshold=0.5, name="v1"):
    fixed = Threshold(value=threshold, rule="fixed")
    return Champion(name, Predictions.from_table(table), (fixed,))


def test_change_against_the_champion_is_paired():
    table = made_predictions(patients=400)
    noise = np.random.default_rng(1).normal(size=len(table))
    worse = table.assign(score=(table["score"] + 0.6 * noise).clip(0, 1))
    ours = Predictions.from_table(table, ["sex", "age"])
    clause = Clause(quantity="change", metric="auroc", minimum=0.0)
    policy = Policy(name="p", clause=(clause,))
    better = audit(ours, SPEC, policy, champion=champion_of(worse))
    assert better.verdict == "PASS"
    changes = {(change.metric, change.group): change for change in better.changes}
    assert changes["auroc", "all"].low > 0
    assert changes["brier_score", "all"].value > 0  # turned: positive is better
    back = Predictions.from_table(worse, ["sex", "age"])
    assert audit(back, SPEC, policy, champion=champion_of(table)).verdict == "FAIL"


def test_a_model_compared_with_itself_has_no_change_but_no_certainty_either():
    table = made_predictions()
    ours = Predictions.from_table(table, ["sex", "age"])
    result = audit(ours, SPEC, champion=champion_of(table, threshold=0.5))
    change = next(c for c in result.changes if (c.metric, c.group) == ("auroc", "all"))
    assert change.value == 0
    assert -0.1 < change.low < 0 < change.high < 0.1


def test_rows_that_trained_the_champion_are_not_compared():
    table = made_predictions()
    ours = Predictions.from_table(table, ["sex", "age"])
    split = np.where(np.arange(len(table)) < 200, "test", "train")
    found = audit(ours, SPEC, champion=champion_of(table.assign(split=split)))
    assert next(c for c in found.changes if c.metric == "accuracy").units == 100


def test_only_common_samples_are_compared():
    table = made_predictions()
    ours = Predictions.from_table(table, ["sex", "age"])
    half = audit(ours, SPEC, champion=champion_of(table.iloc[:200]))
    assert next(c for c in half.changes if c.metric == "accuracy").units == 100
    with pytest.raises(InputError, match="no test sample in common"):
        audit(ours, SPEC, champion=champion_of(table.assign(sample=table["sample"] + "x")))
    with pytest.raises(InputError, match="label differs"):
        audit(ours, SPEC, champion=champion_of(table.assign(label=1 - table["label"])))


def test_a_one_class_table_is_undefined_not_a_crash():
    table = made_predictions().assign(label=1)
    result = audit(Predictions.from_table(table, ["sex", "age"]), SPEC, POLICY)
    assert result.estimate("auroc").state == "undefined"
    assert not np.isnan(result.estimate("true_positive_rate").value)
    assert result.verdict == "INSUFFICIENT"


def test_a_fault_names_the_row_of_the_file_whatever_the_split():
    table = made_predictions().astype({"sex": object})
    table["split"] = np.where(np.arange(len(table)) < 200, "validation", "test")
    table.loc[210, "sex"] = "unheard of"
    spec = AuditSpec(attributes=(Attribute(name="sex", categories=("female", "male")),))
    with pytest.raises(InputError, match="row 211, column sex"):
        audit(Predictions.from_table(table, ["sex"]), spec)


def test_too_few_validation_rows_leave_the_convention_and_say_so():
    from evaluation.report import render

    table = made_predictions()
    table["split"] = np.where(np.arange(len(table)) < 10, "validation", "test")
    result = audit(Predictions.from_table(table, ["sex"]), AuditSpec(draws=100))
    assert (result.thresholds[0].rule, result.thresholds[0].rows) == ("convention", 10)
    assert "10 validation rows are too few" in render(result)


def test_a_gap_that_narrows_by_loss_is_levelling_down():
    table = made_predictions(patients=600, gap=1.0)
    noise = np.random.default_rng(1).normal(size=len(table))
    male = (table["sex"] == "male").to_numpy()
    good = male if auroc_of(table[male]) > auroc_of(table[~male]) else ~male
    spoilt = table["score"].where(~good, (table["score"] + 0.6 * noise).clip(0, 1))
    ours = Predictions.from_table(table.assign(score=spoilt), ["sex", "age"])
    result = audit(ours, SPEC, champion=champion_of(table))
    found = next(
        each
        for each in result.levelling
        if (each.metric, each.attributes) == ("auroc", ("sex",))
    )
    assert found.levelled
    assert found.after < found.before
    assert found.lost == (f"sex: {'male' if good is male else 'female'}",)
    conclusions = {(c.metric, c.group): c.conclusion for c in result.changes}
    assert conclusions["auroc", found.lost[0]] == "inferior"


def auroc_of(table):
    return METRICS.get("auroc")(table["label"], table["score"])


def test_a_threshold_chosen_on_test_rows_lets_nothing_pass_that_hangs_on_it():
    base = predictions(patients=400)
    clauses = (
        Clause(quantity="overall", metric="accuracy", minimum=0.5),
        Clause(quantity="overall", metric="auroc", minimum=0.5),
        Clause(quantity="overall", metric="accuracy", minimum=0.99),
    )
    policy = Policy(name="p", clause=clauses)
    honest = audit(base, SPEC, policy)
    assert [clause.verdict for clause in honest.clauses] == ["PASS", "PASS", "FAIL"]
    flattered = audit(base, SPEC.model_copy(update={"threshold_rows": "test"}), policy)
    assert flattered.chosen_on_test
    verdicts = [clause.verdict for clause in flattered.clauses]
    assert verdicts == ["INSUFFICIENT", "PASS", "FAIL"]
    assert "chosen on the test rows" in flattered.clauses[0].reason


def test_equal_weights_change_nothing_and_others_do():
    table = made_predictions()
    even = Predictions.from_table(table.assign(w=2.0), ["sex"], Columns(weight="w"))
    spec = AuditSpec(attributes=(Attribute(name="sex"),), draws=100)
    plain = audit(Predictions.from_table(table, ["sex"]), spec)
    weighted = audit(even, spec)
    for ours, theirs in zip(plain.estimates, weighted.estimates, strict=True):
        assert ours.value == pytest.approx(theirs.value, nan_ok=True)
        assert ours.high == pytest.approx(theirs.high, nan_ok=True)
    weight = np.where(table["label"] == 1, 3.0, 1.0)
    odd = Predictions.from_table(table.assign(w=weight), ["sex"], Columns(weight="w"))
    expected = METRICS.get("accuracy")(
        table["label"], table["score"] >= 0.5, weight.astype(float)
    )
    assert audit(odd, spec).estimate("accuracy").value == pytest.approx(expected)


def test_fifty_columns_of_attributes_are_audited():
    table = made_predictions(patients=100)
    generator = np.random.default_rng(0)
    names = [f"attribute {k}" for k in range(50)]
    extra = pd.DataFrame(
        generator.choice(["yes", "no"], (len(table), 50)), columns=names, index=table.index
    )
    checked = Predictions.from_table(pd.concat([table, extra], axis=1), names)
    stress = StressSpec(metrics=("accuracy",), correlations=(), prevalences=(), marginals=())
    spec = AuditSpec(
        attributes=tuple(Attribute(name=name) for name in names),
        metrics=("auroc", "accuracy"),
        depth=1,
        draws=100,
        stress=stress,
    )
    result = audit(checked, spec)
    assert len(result.gaps) == 100
