"""Audits of tasks with several targets."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn

from evaluation.audit import audit
from evaluation.columns import Columns
from evaluation.groups import Attribute
from evaluation.policy import Clause, Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.stress import StressSpec
from evaluation.target import MACRO

METRICS = ("auroc", "accuracy", "true_positive_rate", "quadratic_kappa")
SPEC = AuditSpec(
    attributes=(Attribute(name="sex"),),
    metrics=METRICS,
    draws=100,
    stress=StressSpec(metrics=("auroc",), draws=100),
)


def multilabel(rows=600, rare=0.2):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sample": np.arange(rows),
            "patient": np.arange(rows) // 2,
            "sex": generator.choice(["female", "male"], rows),
        }
    )
    for name, share in (("edema", 0.3), ("mass", 0.4), ("hernia", rare)):
        label = (generator.random(rows) < share).astype(float)
        table[f"label_{name}"] = label
        table[f"score_{name}"] = np.clip(0.3 * label + 0.7 * generator.random(rows), 0, 1)
    return table


def multiclass(rows=600):
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, rows)
    scores = generator.dirichlet(np.ones(3), rows) + np.eye(3)[truth] * 0.4
    scores /= scores.sum(axis=1, keepdims=True)
    names = np.array(["mild", "moderate", "severe"])
    table = pd.DataFrame(scores, columns=[f"score_{name}" for name in names])
    return table.assign(
        sample=np.arange(rows),
        patient=np.arange(rows) // 2,
        label=names[truth],
        sex=generator.choice(["female", "male"], rows),
    )


@pytest.fixture(scope="module")
def labels():
    return audit(Predictions.from_table(multilabel(), ["sex"]), SPEC)


@pytest.fixture(scope="module")
def classes():
    return audit(Predictions.from_table(multiclass(), ["sex"]), SPEC)


def test_every_finding_has_its_numbers(labels):
    table = multilabel()
    for name in labels.targets:
        expected = sklearn.roc_auc_score(table[f"label_{name}"], table[f"score_{name}"])
        assert labels.estimate("auroc", target=name).value == pytest.approx(expected)


def test_the_macro_mean_is_the_mean_in_every_group_and_its_gap_is_its_own(labels):
    for group in ("all", "sex: female"):
        each = [labels.estimate("auroc", group, name).value for name in labels.targets]
        assert labels.estimate("auroc", group, MACRO).value == pytest.approx(np.mean(each))
    ends = [labels.estimate("auroc", f"sex: {s}", MACRO).value for s in ("female", "male")]
    assert labels.gap("auroc", "sex", target=MACRO).value == pytest.approx(np.ptp(ends))


def test_a_finding_without_cases_in_a_group_is_undefined_and_so_is_the_mean():
    table = multilabel()
    table.loc[table["sex"] == "male", "label_hernia"] = 0
    found = audit(Predictions.from_table(table, ["sex"]), SPEC)
    assert np.isnan(found.estimate("auroc", "sex: male", "hernia").value)
    mean = found.estimate("auroc", "sex: male", MACRO)
    assert np.isnan(mean.value)
    assert mean.state == "undefined"
    assert mean.reason == "undefined for one target or more"


def test_unassessed_images_take_no_part_in_that_finding_only():
    table = multilabel()
    whole = audit(Predictions.from_table(table, ["sex"]), SPEC)
    dropped = table["sample"] % 3 == 0
    partly = table.assign(label_mass=table["label_mass"].mask(dropped))
    found = audit(Predictions.from_table(partly, ["sex"]), SPEC)
    kept = table[~dropped]
    expected = sklearn.roc_auc_score(kept["label_mass"], kept["score_mass"])
    assert found.estimate("auroc", target="mass").value == pytest.approx(expected)
    same = [result.estimate("auroc", target="edema") for result in (whole, found)]
    assert same[0] == same[1]
    sizes = {size.target: size.images for size in found.cohort if size.group == "all"}
    assert sizes == {"edema": 600, "mass": len(kept), "hernia": 600}
    assert any("mass was not assessed in 200" in note for note in found.notes)


def test_classes_are_audited_as_a_whole_and_one_against_the_rest(classes):
    table = multiclass()
    scores = table[["score_mild", "score_moderate", "score_severe"]].to_numpy()
    decided = np.array(["mild", "moderate", "severe"])[scores.argmax(axis=1)]
    accuracy = (decided == table["label"]).mean()
    assert classes.estimate("accuracy").value == pytest.approx(accuracy)
    codes = [pd.Categorical(each).codes for each in (table["label"], decided)]
    kappa = sklearn.cohen_kappa_score(*codes, weights="quadratic")
    assert classes.estimate("quadratic_kappa").value == pytest.approx(kappa)
    ovr = sklearn.roc_auc_score(table["label"], scores, multi_class="ovr")
    assert classes.estimate("auroc", target=MACRO).value == pytest.approx(ovr)
    recall = sklearn.recall_score(table["label"], decided, labels=["severe"], average=None)
    found = classes.estimate("true_positive_rate", target="severe").value
    assert found == pytest.approx(recall[0])
    with pytest.raises(KeyError):
        classes.estimate("auroc", target="")


def test_a_clause_is_about_each_finding_unless_it_names_one(labels):
    def judged(**clause):
        policy = Policy(name="p", clause=(Clause(metric="auroc", **clause),))
        table = multilabel()
        table["score_hernia"] = 1 - table["score_hernia"]
        return audit(Predictions.from_table(table, ["sex"]), SPEC, policy).clauses[0]

    assert judged(quantity="overall", minimum=0.6).verdict == "FAIL"
    assert judged(quantity="overall", minimum=0.6).reason.startswith("hernia, all")
    assert judged(quantity="overall", minimum=0.6, target="edema").verdict == "PASS"
    assert judged(quantity="overall", minimum=0.3, target=MACRO).verdict == "PASS"
    lost = judged(quantity="overall", minimum=0.6, target="edma")
    assert lost.verdict == "INSUFFICIENT"
    assert "Did you mean 'edema'?" in lost.reason


def test_the_champion_answers_the_same_questions():
    from evaluation.compare import Champion
    from evaluation.errors import InputError
    from evaluation.threshold import choose_thresholds

    ours = Predictions.from_table(multilabel(), ["sex"])
    other = Predictions.from_table(multilabel().drop(columns=["label_mass", "score_mass"]))
    with pytest.raises(InputError, match="other questions"):
        audit(ours, SPEC, champion=Champion("v1", other, choose_thresholds(other, SPEC)))
    theirs = Predictions.from_table(multilabel())
    result = audit(ours, SPEC, champion=Champion("v1", theirs, choose_thresholds(theirs, SPEC)))
    assert all(change.value == 0 for change in result.changes if not np.isnan(change.value))
    assert {change.target for change in result.changes} == {MACRO, *ours.targets}


def test_decisions_that_the_file_gives_are_audited():
    table = multilabel().assign(decision_edema=1, decision_mass=0, decision_hernia=0)
    checked = Predictions.from_table(table, ["sex"], Columns(decision="decision"))
    found = audit(checked, SPEC)
    assert found.estimate("true_positive_rate", target="edema").value == 1
    assert found.estimate("true_positive_rate", target="mass").value == 0
    assert {each.rule for each in found.thresholds} == {"decisions"}
