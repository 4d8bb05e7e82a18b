"""Patients who were tested on before are not learnt from, and a shift keeps its counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.shift import SHIFTS
from training.held_out import keep_out

PATIENTS = 120

#: Each example draws a split and trades patients, which takes a fraction of a second.
often = settings(max_examples=30)


def table(seed):
    """Patients with one to three images, of two labels and two sexes."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(PATIENTS), generator.integers(1, 4, PATIENTS))
    sex = generator.integers(0, 2, PATIENTS)[patients]
    return pd.DataFrame(
        {
            "patient": [f"p{each}" for each in patients],
            "label": generator.integers(0, 2, len(patients)),
            "sex": np.where(sex, "female", "male"),
        },
        index=pd.Index([f"s{each}" for each in range(len(patients))], name="sample"),
    )


RULES = [("none", {}), ("attribute_imbalance", {"attribute": "sex", "share": 0.6})]


@pytest.mark.parametrize(("name", "settings"), RULES)
@often
@given(st.integers(0, 50), st.sets(st.integers(0, PATIENTS - 1), max_size=40))
def test_nobody_who_is_held_out_is_learnt_from(name, settings, seed, numbers):
    rows, shift = table(seed), SHIFTS.get(name)(**settings)
    split = shift.split(rows, np.random.default_rng(seed))
    held_out = {f"p{number}" for number in numbers}
    changed = keep_out(split, rows, held_out, shift)
    assert changed.index.equals(rows.index)
    learnt = changed.isin(["train", "validation"])
    assert not set(rows["patient"][learnt]) & held_out
    # Whoever is neither held out nor traded stays; nobody is in two parts.
    used = changed[changed != "unused"].groupby(rows["patient"]).nunique()
    assert used.max() == 1
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = keep_out(split.iloc[order], rows.iloc[order], held_out, shift)
    assert shuffled.sort_index().equals(changed.sort_index())


@often
@given(st.integers(0, 50))
def test_who_was_in_the_test_set_already_changes_nothing(seed):
    rows, shift = table(seed), SHIFTS.get("none")()
    split = shift.split(rows, np.random.default_rng(seed))
    tested = set(rows["patient"][split == "test"])
    pd.testing.assert_series_equal(
        keep_out(split, rows, tested, shift), split, check_names=False
    )


@often
@given(st.integers(0, 50), st.integers(0, PATIENTS - 1))
def test_a_trade_keeps_the_counts_of_every_part(seed, number):
    """One image a patient, so that there is somebody to trade with."""
    rows = table(seed).groupby("patient").head(1)
    shift = SHIFTS.get("attribute_imbalance")(attribute="sex", share=0.6)
    split = shift.split(rows, np.random.default_rng(seed))
    changed = keep_out(split, rows, {f"p{number}"}, shift)
    cells = [rows["label"], rows["sex"]]
    before = split.groupby([*cells, split]).size()
    after = changed.groupby([*cells, changed]).size()
    pd.testing.assert_series_equal(before, after, check_names=False)
