"""Audits beside fairlearn's: the same numbers, and NaN where fairlearn makes one up."""

from functools import partial

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from fairlearn.metrics import MetricFrame

from evaluation.errors import InputError
from evaluation.interop import audit_frame, metric_frame
from evaluation.predictions import Predictions

OF_DECISION = {
    "accuracy": sklearn.metrics.accuracy_score,
    "tpr": fairlearn.metrics.true_positive_rate,
    "fpr": fairlearn.metrics.false_positive_rate,
    "rate": fairlearn.metrics.selection_rate,
    "precision": sklearn.metrics.precision_score,
}
OWN = {
    "accuracy": "accuracy",
    "tpr": "true_positive_rate",
    "fpr": "false_positive_rate",
    "rate": "selection_rate",
    "precision": "positive_predictive_value",
}
OF_SCORE = {
    "auroc": sklearn.metrics.roc_auc_score,
    "brier": sklearn.metrics.brier_score_loss,
    "mean": fairlearn.metrics.mean_prediction,
}


def made(n=3000, seed=0):
    generator = np.random.default_rng(seed)
    label = generator.integers(2, size=n)
    score = generator.beta(2 + label, 3 - label).round(2)
    features = pd.DataFrame(
        {
            "sex": generator.choice(["f", "m"], n),
            "age": generator.choice([30, 40, 50], n),
            "site": generator.choice(["a", "b"], n),
        }
    )
    return label, (score >= 0.5).astype(int), score, features, generator.uniform(0.5, 2, n)


LAYOUTS = {
    "one feature": (["sex"], None),
    "numbers": (["age"], None),
    "two features": (["age", "sex"], None),
    "a control feature": (["sex"], ["site"]),
    "two of each": (["sex", "age"], ["site", "arm"]),
}


def both(metrics, value, layout, own=None, *, weight=None, **options):
    """The frames of fairlearn and of this package."""
    label, decision, score, features, _ = made()
    features["arm"] = np.where(np.arange(len(label)) % 3, "x", "y")
    sensitive, control = LAYOUTS[layout]
    of = {
        "sensitive_features": features[sensitive],
        "control_features": None if control is None else features[control],
    }
    sampled = None
    if weight is not None:
        sampled = {"sample_weight": weight}
        sampled = sampled if callable(metrics) else dict.fromkeys(metrics, sampled)
    theirs = MetricFrame(
        metrics=metrics,
        y_true=label,
        y_pred=decision if value == "decision" else score,
        sample_params=sampled,
        **of,
    )
    ours = audit_frame(
        metrics=metrics if own is None else own,
        y_true=label,
        y_pred=decision,
        y_score=score,
        sample_weight=weight,
        n_boot=options.pop("n_boot", 0),
        **of,
        **options,
    )
    return theirs, ours


def same(ours, theirs):
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs.astype(float), atol=1e-12, rtol=0)
    elif isinstance(theirs, pd.Series):
        theirs = theirs.astype(float)
        pd.testing.assert_series_equal(ours, theirs, atol=1e-12, rtol=0, check_names=False)
    else:
        assert ours == pytest.approx(theirs, abs=1e-12)


def all_same(ours, theirs):
    same(ours.overall, theirs.overall)
    same(ours.by_group, theirs.by_group)
    same(ours.group_min(), theirs.group_min())
    same(ours.group_max(), theirs.group_max())
    for method in ("between_groups", "to_overall"):
        same(ours.difference(method), theirs.difference(method=method))
        same(ours.ratio(method), theirs.ratio(method=method))
    assert ours.sensitive_levels == theirs.sensitive_levels
    assert ours.control_levels == theirs.control_levels


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("own", [OWN, None])
def test_same_numbers_in_the_same_layout(layout, own):
    theirs, ours = both(OF_DECISION, "decision", layout, own)
    all_same(ours, theirs)


@pytest.mark.parametrize("layout", ["one feature", "two features"])
def test_same_numbers_from_scores(layout):
    theirs, ours = both(OF_SCORE, "score", layout)
    all_same(ours, theirs)


@pytest.mark.parametrize("layout", ["one feature", "two of each"])
def test_one_metric_by_itself_has_a_smaller_layout(layout):
    theirs, ours = both(sklearn.metrics.recall_score, "decision", layout, "true_positive_rate")
    all_same(ours, theirs)
    assert ours.by_group.name == "true_positive_rate"


def test_weights_go_to_every_metric():
    theirs, ours = both(OF_DECISION, "decision", "two features", weight=made()[-1])
    all_same(ours, theirs)


def two_groups(label, decision):
    """Three women with both labels, and men as they are given."""
    women = [0, 1, 1]
    features = ["f"] * 3 + ["m"] * len(label)
    return np.array(women + label), np.array(women + decision), features


def test_a_group_of_one_class_is_not_called_fair():
    label, _, sex = two_groups([1, 1, 1], [1, 1, 1])
    score = np.linspace(0.2, 0.9, 6)
    with pytest.warns(UserWarning, match="Only one class"):
        theirs = MetricFrame(
            metrics=sklearn.metrics.roc_auc_score,
            y_true=label,
            y_pred=score,
            sensitive_features=sex,
        )
    assert theirs.difference() == 0.0
    assert theirs.ratio() == 1.0
    for metric in (sklearn.metrics.roc_auc_score, "auroc", "sklearn.scorer.roc_auc"):
        ours = audit_frame(
            metrics=metric, y_true=label, y_score=score, sensitive_features=sex, n_boot=100
        )
        assert np.isnan([ours.difference(), ours.ratio(), *ours.difference_ci()]).all()
        assert np.isnan(ours.by_group["m"])
        assert ours.by_group["f"] == 1
        assert ours.reasons["m"] == "only one class"


def test_a_group_without_positives_is_not_called_unfair():
    label, decision, sex = two_groups([0, 0, 0], [1, 0, 0])
    arguments = {"y_true": label, "y_pred": decision, "sensitive_features": sex}
    assert fairlearn.metrics.equal_opportunity_difference(**arguments) == 1.0
    for metric in ("true_positive_rate", fairlearn.metrics.true_positive_rate):
        ours = audit_frame(metrics=metric, n_boot=100, **arguments)
        assert np.isnan([ours.difference(), ours.difference("to_overall"), ours.ratio()]).all()
        assert np.isnan(ours.by_group["m"])
        assert ours.group_min() == 1
        assert ours.reasons["m"] == "no positive samples"


def test_an_empty_cell_is_undefined_and_takes_no_part():
    ours = audit_frame(
        metrics=["accuracy"],
        y_true=[0, 1, 1, 0],
        y_pred=[0, 1, 0, 0],
        sensitive_features={"sex": list("ffmm"), "site": list("aabb")},
        n_boot=0,
    )
    assert ours.by_group["accuracy"].isna().tolist() == [False, True, True, False]
    assert ours.reasons["accuracy"]["f", "b"] == "no samples"
    assert ours.difference()["accuracy"] == 0.5


def test_missing_features_are_a_group():
    ours = audit_frame(
        metrics=["accuracy"],
        y_true=[0, 1, 1],
        y_pred=[0, 1, 0],
        sensitive_features={"age": [40, 50, None]},
        n_boot=0,
    )
    assert ours.by_group["accuracy"].to_dict() == {40.0: 1, 50.0: 1, "(missing)": 0}


def test_intervals_have_the_layout_of_their_numbers():
    for layout in ("one feature", "two of each"):
        _, ours = both(OF_DECISION, "decision", layout, OWN, n_boot=100)
        pairs = {
            "overall": (ours.overall, ours.overall_ci),
            "by_group": (ours.by_group, ours.by_group_ci),
            "group_min": (ours.group_min(), ours.group_min_ci()),
            "group_max": (ours.group_max(), ours.group_max_ci()),
            "difference": (ours.difference("to_overall"), ours.difference_ci("to_overall")),
            "ratio": (ours.ratio("to_overall"), ours.ratio_ci("to_overall")),
        }
        for value, (low, high) in pairs.values():
            assert low.index.equals(value.index)
            assert high.index.equals(value.index)
            assert ((low <= value) & (value <= high)).all(axis=None)
        assert ours.n_boot == 100
        assert ours.ci_quantiles == pytest.approx([0.025, 0.975])


def test_without_draws_there_are_numbers_and_no_interval():
    _, ours = both(OF_DECISION, "decision", "one feature", OWN)
    assert ours.by_group.notna().all(axis=None)
    every = [*ours.by_group_ci, *ours.overall_ci, *ours.difference_ci(), *ours.ratio_ci()]
    assert all(each.isna().all(axis=None) for each in every)
    assert np.isnan(np.concatenate(ours.group_min_ci())).all()


def test_patients_are_resampled_not_rows():
    label, decision, _, features, _ = made()
    copies = {
        "y_true": np.repeat(label, 4),
        "y_pred": np.repeat(decision, 4),
        "sensitive_features": features["sex"].repeat(4),
        "metrics": "accuracy",
    }
    single = audit_frame(
        metrics="accuracy", y_true=label, y_pred=decision, sensitive_features=features["sex"]
    )
    of_patients = audit_frame(**copies, patient=np.repeat(np.arange(len(label)), 4))
    of_rows = audit_frame(**copies)
    widths = [np.ptp(frame.overall_ci) for frame in (single, of_patients, of_rows)]
    assert widths[1] == pytest.approx(widths[0], rel=1e-9)
    assert widths[2] == pytest.approx(widths[0] / 2, rel=0.15)


def test_seed_repeats_the_intervals():
    frames = [
        both(OF_DECISION, "decision", "one feature", OWN, n_boot=50, seed=s)[1]
        for s in (1, 1, 2)
    ]
    low = [frame.difference_ci()[0]["tpr"] for frame in frames]
    high = [frame.by_group_ci[1] for frame in frames]
    assert low[0] == low[1]
    assert high[0].equals(high[1])
    assert not high[0].equals(high[2])


def test_no_difference_is_inside_the_interval_where_groups_are_alike():
    """Four groups that are truly alike: fairlearn's interval can never hold 0."""
    held = []
    for seed in range(200):
        generator = np.random.default_rng(1000 + seed)
        ours = audit_frame(
            metrics="true_positive_rate",
            y_true=np.ones(400, int),
            y_pred=(generator.random(400) < 0.8).astype(int),
            sensitive_features=generator.integers(4, size=400),
            n_boot=200,
            seed=seed,
        )
        pairs = [(method, end) for method in ("between_groups", "to_overall") for end in (0, 1)]
        ends = [ours.difference_ci(m)[0] if e == 0 else ours.ratio_ci(m)[1] for m, e in pairs]
        held.append([end == e for end, (_, e) in zip(ends, pairs, strict=True)])
    assert (np.mean(held, axis=0) > 0.91).all()
    assert (np.mean(held, axis=0) < 0.99).all()


def test_fairlearn_excludes_no_difference_where_groups_are_alike():
    generator = np.random.default_rng(0)
    arguments = {
        "metrics": fairlearn.metrics.selection_rate,
        "y_true": np.ones(200, int),
        "y_pred": generator.integers(2, size=200),
        "sensitive_features": generator.integers(4, size=200),
    }
    theirs = MetricFrame(**arguments, n_boot=50, ci_quantiles=[0.025, 0.975], random_state=0)
    assert theirs.difference_ci()[0] > 0
    assert audit_frame(**arguments | {"metrics": "selection_rate"}).difference_ci()[0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": "recal"}, "no metric is called 'recal'"),
        ({"metrics": "auroc"}, "auroc reads a score, and there is no y_score"),
        ({"metrics": ["accuracy"], "y_pred": None, "y_score": [0, 1]}, "there is no y_pred"),
        ({"metrics": []}, "there is none"),
        ({"n_boot": -1}, "it is -1"),
        ({"confidence": 1.5}, "it is 1.5"),
        ({"sensitive_features": [None, None]}, "every value is missing"),
        ({"sensitive_features": np.empty((2, 0))}, "there is none"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arguments = {
        "metrics": "accuracy",
        "y_true": [0, 1],
        "y_pred": [0, 1],
        "sensitive_features": ["a", "b"],
    }
    with pytest.raises(InputError) as caught:
        audit_frame(**arguments | change)
    assert message in str(caught.value)


def test_functions_scorers_and_names_may_be_mixed():
    label, decision, score, features, _ = made(100)
    scorer = sklearn.metrics.make_scorer(sklearn.metrics.fbeta_score, beta=2)
    f2 = partial(sklearn.metrics.fbeta_score, beta=2)
    ours = audit_frame(
        metrics={
            "area": "auroc",
            "scorer": scorer,
            "partial": f2,
            "sklearn.f1": "sklearn.f1_score",
        },
        y_true=label,
        y_pred=decision,
        y_score=score,
        sensitive_features=features["sex"],
        n_boot=0,
    )
    assert list(ours.by_group) == ["area", "scorer", "partial", "sklearn.f1"]
    assert ours.overall["scorer"] == ours.overall["partial"] == f2(label, decision)
    assert ours.overall["area"] == pytest.approx(sklearn.metrics.roc_auc_score(label, score))


def test_a_table_of_fairlearn_from_predictions():
    label, decision, score, features, _ = made(80)
    table = pd.DataFrame({"sample": range(80), "label": label, "score": score})
    table = table.assign(patient=table["sample"], sex=features["sex"])
    table.loc[0, "sex"] = None
    checked = Predictions.from_table(table, ["sex"])
    rate = {"rate": fairlearn.metrics.selection_rate}
    frame = metric_frame(checked, rate, ["sex"], threshold=0.5)
    assert list(frame.by_group.index) == ["(missing)", "f", "m"]
    assert frame.overall["rate"] == decision.mean()
    by_score = metric_frame(checked, {"mean": fairlearn.metrics.mean_prediction}, ["sex"])
    assert by_score.overall["mean"] == pytest.approx(score.mean())


def test_a_table_of_fairlearn_needs_test_rows_of_a_binary_task():
    table = pd.DataFrame(
        {"sample": [1, 2], "patient": [1, 2], "label": [0, 1], "score": [0.1, 0.9], "sex": "f"}
    )
    training = Predictions.from_table(table.assign(split="train"), ["sex"])
    with pytest.raises(InputError, match="has no test rows"):
        metric_frame(training, OF_DECISION, ["sex"], threshold=0.5)
    several = table.rename(columns={"label": "label_a", "score": "score_a"})
    with pytest.raises(InputError, match="multilabel task has no single label"):
        metric_frame(Predictions.from_table(several, ["sex"]), OF_DECISION, ["sex"])
