"""Threshold: chosen on validation rows only."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.predictions import Predictions
from evaluation.threshold import choose_threshold, youden
from tests.conftest import made_predictions


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
    value = youden(label, score / 10)
    index = (score[label == 1] / 10 >= value).mean() - (score[label == 0] / 10 >= value).mean()
    assert index == pytest.approx(loop(label, score / 10))


def test_test_rows_choose_nothing():
    table = made_predictions()
    validation = np.arange(len(table)) < 150
    table["split"] = np.where(validation, "validation", "test")
    before = choose_threshold(Predictions.from_table(table), None)
    changed = table.assign(score=table["score"].where(validation, 1 - table["score"]))
    after = choose_threshold(Predictions.from_table(changed), None)
    assert before == after
    assert (before.rule, before.rows) == ("youden", 150)


def test_without_validation_rows_it_is_the_convention():
    predictions = Predictions.from_table(made_predictions())
    assert choose_threshold(predictions, None).rule == "convention"
    given_one = choose_threshold(predictions, 0.3)
    assert (given_one.value, given_one.rule) == (0.3, "fixed")


def test_one_class_cannot_choose():
    table = made_predictions().assign(split="validation", label=1)
    extra = table.iloc[:1].assign(split="test", sample="t")
    predictions = Predictions.from_table(pd.concat([table, extra]))
    assert choose_threshold(predictions, None).rule == "convention"
