"""Arrays as fairlearn takes them: names, shapes and every fault."""

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.foreign_arrays import from_arrays, named_features

TRUE, PRED = [0, 1, 1], [0, 1, 0]
SEX, SITE = ["f", "m", "f"], ["a", "b", "b"]
SHAPES = {
    "list": SEX,
    "array": np.array(SEX),
    "series": pd.Series(SEX, name="sex", index=[7, 8, 9]),
    "nameless series": pd.Series(SEX),
    "array of two": np.array([SEX, SITE]).T,
    "table": pd.DataFrame({"sex": SEX, "site": SITE}, index=[3, 1, 2]),
    "dict": {"sex": SEX, "site": np.array(SITE)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_features_are_named_as_by_fairlearn(shape):
    frame = fairlearn.metrics.MetricFrame(
        metrics=fairlearn.metrics.selection_rate,
        y_true=TRUE,
        y_pred=PRED,
        sensitive_features=SHAPES[shape],
    )
    found = from_arrays(TRUE, PRED, sensitive_features=SHAPES[shape])
    names = list(named_features(SHAPES[shape], "sensitive_feature"))
    assert names == frame.sensitive_levels
    assert found.table[names[0]].tolist() == SEX


def test_rows_belong_together_whatever_their_index():
    found = from_arrays(
        pd.Series(TRUE, index=[5, 4, 3]),
        y_score=[0.1, 0.9, 0.4],
        sensitive_features=SHAPES["table"],
    )
    assert found.table["label"].tolist() == TRUE
    assert found.table["site"].tolist() == SITE
    assert found.given == frozenset()


def test_decisions_weights_and_patients_are_kept():
    found = from_arrays(
        TRUE,
        PRED,
        y_score=[0.1, 0.9, 0.4],
        sensitive_features=SEX,
        control_features=SITE,
        patient=["p", "p", "q"],
        sample_weight=[1, 2, 3],
    )
    assert found.given == {"decision", "weight"}
    assert found.patient.tolist() == ["p", "p", "q"]
    assert found.weight.tolist() == [1, 2, 3]
    assert found.table["control_feature_0"].tolist() == SITE
    assert (found.table["split"] == "test").all()


def test_labels_may_be_words():
    found = from_arrays(
        ["ill", "well"], ["ill", "ill"], sensitive_features=["f", "m"], positive="ill"
    )
    assert found.table["label"].tolist() == [1, 0]
    assert found.table["decision"].tolist() == [1, 1]


def test_a_missing_feature_stays_missing():
    found = from_arrays(TRUE, PRED, sensitive_features=["f", None, np.nan])
    assert found.table["sensitive_feature_0"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_pred": None}, "there is no y_pred or y_score"),
        ({"y_pred": [0, 1]}, "y_true has 3 rows"),
        ({"sensitive_features": ["f"]}, "y_true has 3 rows"),
        ({"sensitive_features": {}}, "there is none"),
        ({"sensitive_features": {"score": SEX}}, "called 'score'"),
        ({"sensitive_features": {"a": SEX}, "control_features": {"a": SEX}}, "two are called"),
        ({"sensitive_features": np.zeros((3, 2, 2))}, "shape"),
        ({"y_true": [0, 2, 1]}, "label is '2'"),
        ({"y_true": [0, None, 1]}, "label is missing"),
        (
            {"y_true": ["ill", None, "well"], "y_pred": ["ill"] * 3, "positive": "ill"},
            "missing",
        ),
        ({"y_pred": [0.3, 1, 1]}, "decision is '0.3'"),
        ({"y_score": [-3.0, 1, 1]}, "score is '-3.0'"),
        ({"y_score": [np.nan, 1, 1]}, "score is missing"),
        ({"sample_weight": [-1, 1, 1]}, "weight is '-1'"),
        ({"patient": ["p", None, "q"]}, "patient is missing"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arrays = {"y_true": TRUE, "y_pred": PRED, "sensitive_features": SEX} | change
    with pytest.raises(InputError) as caught:
        from_arrays(**arrays)
    assert message in str(caught.value)


def test_every_fault_is_listed():
    with pytest.raises(InputError) as caught:
        from_arrays(TRUE, [1], y_score=[0.5], sensitive_features={"label": SEX, "a": ["x"]})
    assert len(caught.value.faults) == 4
