"""Threshold: chosen on validation rows only."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import InputError
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.threshold import Threshold, choose_thresholds, youden
from tests.conftest import made_predictions


def choose(predictions: Predictions, **spec: object) -> Threshold:
    (found,) = choose_thresholds(predictions, AuditSpec(**spec))
    return found


def loop(label, score):
    """The best J over all thresholds, one at a time."""
    return max(
        (score[label == 1] >= value).mean() - (score[label == 0] >= value).mean()
        for value in score
    )


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=30))
def test_reaches_the_best_youden_index(rows):
    label, score = np.array(rows).T
    if len(set(label)) < 2:
        return
    value = youden(label, score / 10, np.ones(len(label)))
    index = (score[label == 1] / 10 >= value).mean() - (score[label == 0] / 10 >= value).mean()
    assert index == pytest.approx(loop(label, score / 10))


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(1, 3)),
        min_size=2,
        max_size=20,
    )
)
def test_a_weight_counts_as_so_many_rows(rows):
    label, score, weight = np.array(rows).T
    if len(set(label)) < 2:
        return
    repeated = np.repeat(label, weight), np.repeat(score, weight), np.ones(weight.sum())
    assert youden(label, score, weight) == youden(*repeated)


def test_test_rows_choose_nothing():
    table = made_predictions()
    validation = np.arange(len(table)) < 150
    table["split"] = np.where(validation, "validation", "test")
    before = choose(Predictions.from_table(table))
    changed = table.assign(score=table["score"].where(validation, 1 - table["score"]))
    after = choose(Predictions.from_table(changed))
    assert before == after
    assert (before.rule, before.rows) == ("youden", 150)


def test_without_validation_rows_it_is_the_convention():
    predictions = Predictions.from_table(made_predictions())
    assert choose(predictions).rule == "convention"
    given_one = choose(predictions, threshold=0.3)
    assert (given_one.value, given_one.rule) == (0.3, "fixed")


def test_one_class_cannot_choose():
    table = made_predictions().assign(split="validation", label=1)
    extra = table.iloc[:1].assign(split="test", sample="t")
    predictions = Predictions.from_table(pd.concat([table, extra]))
    assert choose(predictions).rule == "convention"


def test_test_rows_choose_only_if_asked_and_it_is_told():
    predictions = Predictions.from_table(made_predictions())
    found = choose(predictions, threshold_rows="test")
    assert (found.rule, found.chosen_on) == ("youden", "test")
    told = choose(predictions, threshold=0.3, threshold_rows="test")
    assert (told.rule, told.chosen_on) == ("fixed", "test")


def test_each_target_has_its_own():
    table = made_predictions().assign(split="validation")
    table = table.assign(label_a=table["label"], label_b=1 - table["label"])
    table = table.assign(score_a=table["score"], score_b=(1 - table["score"]) / 2)
    predictions = Predictions.from_table(table.drop(columns=["label", "score"]))
    a, b = choose_thresholds(predictions, AuditSpec())
    assert (a.target, b.target, b.rule) == ("a", "b", "youden")
    assert b.value < 0.5 < 2 * a.value
    a, b = choose_thresholds(predictions, AuditSpec(threshold={"b": 0.2}))
    assert (a.rule, b.rule, b.value) == ("youden", "fixed", 0.2)
    with pytest.raises(InputError, match="no target is called 'c'"):
        choose_thresholds(predictions, AuditSpec(threshold={"c": 0.2}))


def test_what_nobody_stated_is_not_stated():
    predictions = Predictions.from_table(made_predictions())
    assert choose(predictions, threshold=0.3).chosen_on == "not stated"
    told = choose(predictions, threshold=0.3, threshold_rows="validation")
    assert told.chosen_on == "validation"
