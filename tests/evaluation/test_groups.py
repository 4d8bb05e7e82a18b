"""Groups: missing is a group, empty is listed, undeclared is an error."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.errors import InputError
from evaluation.groups import MISSING, Attribute, make_groups, with_bins


def test_missing_values_are_a_group_of_their_own():
    values = Attribute(name="sex").values(pd.Series(["m", None, "f"]), "x.csv")
    assert list(values.categories) == ["f", "m", MISSING]
    assert list(values) == ["m", MISSING, "f"]


def test_bins_close_on_the_left():
    values = Attribute(name="age", bins=(40, 60)).values(
        pd.Series([39.9, 40, 59.9, 60, None]), "x.csv"
    )
    assert list(values) == ["<40", "40-<60", "40-<60", ">=60", MISSING]


def test_a_declared_category_that_does_not_occur_is_an_empty_group():
    attribute = Attribute(name="sex", categories=("female", "male", "other"))
    values = attribute.values(pd.Series(["male", "female"]), "x.csv")
    groups = make_groups({"sex": values}, depth=1, rows=2)
    assert {group.name: len(group.rows) for group in groups} == {
        "all": 2,
        "sex: female": 1,
        "sex: male": 1,
        "sex: other": 0,
    }


def test_crossings_partition_the_samples():
    generator = np.random.default_rng(0)
    values = {
        name: pd.Categorical(generator.choice(list("abc"), 50), categories=list("abcd"))
        for name in ("x", "y")
    }
    groups = make_groups(values, depth=2, rows=50)
    crossed = [group for group in groups if group.attributes == ("x", "y")]
    rows = np.concatenate([group.rows for group in crossed])
    assert sorted(rows) == list(range(50))
    assert all(len(group.rows) for group in crossed)


@pytest.mark.parametrize(
    ("attribute", "column", "message"),
    [
        (Attribute(name="sex"), [None, None], "every value is missing"),
        (Attribute(name="sex", categories=("m",)), ["m", "w"], "row 2, column sex: 1 values"),
        (Attribute(name="age", bins=(40,)), ["50", "old"], "row 2, column age: 'old'"),
    ],
)
def test_bad_columns_name_row_and_remedy(attribute, column, message):
    with pytest.raises(InputError, match=message):
        attribute.values(pd.Series(column), "x.csv")


def test_bins_must_increase_and_exclude_categories():
    with pytest.raises(ValidationError, match="must increase"):
        Attribute(name="age", bins=(60, 40))
    with pytest.raises(ValidationError, match="both categories and bins"):
        Attribute(name="age", bins=(60,), categories=("a",))


def test_only_undeclared_numbers_with_many_values_get_quartiles():
    ages = pd.Series(range(100))
    assert with_bins(Attribute(name="age"), ages).bins == (24.75, 49.5, 74.25)
    declared = Attribute(name="age", bins=(50,))
    assert with_bins(declared, ages) is declared
    assert with_bins(Attribute(name="x"), pd.Series([0] * 60 + list(range(40)))).bins[0] > 0
    for few in (pd.Series([1, 2, 3] * 9), pd.Series(list("abcdefghijkl"))):
        assert with_bins(Attribute(name="x"), few).bins == ()


def test_very_many_values_make_no_groups():
    with pytest.raises(InputError, match="it has 51 distinct values; at most 50"):
        Attribute(name="id").values(pd.Series([f"x{i}" for i in range(51)]), "x.csv")


def test_the_word_for_missing_is_kept():
    with pytest.raises(InputError, match="kept for samples whose value is missing"):
        Attribute(name="sex").values(pd.Series(["f", MISSING, None]), "x.csv")


def test_infinite_ages_are_refused():
    with pytest.raises(InputError, match="row 2, column age: 'inf' is not a finite number"):
        Attribute(name="age", bins=(40,)).values(pd.Series(["50", "inf"]), "x.csv")
    with pytest.raises(ValidationError, match="finite"):
        Attribute(name="age", bins=(40, float("inf")))


def test_crossings_of_many_categories_cost_only_what_occurs():
    values = {
        name: pd.Categorical([f"{i % 50}" for i in range(200)], [f"{i}" for i in range(50)])
        for name in "abc"
    }
    groups = make_groups(values, depth=3, rows=200)
    assert sum(group.attributes == ("a", "b", "c") for group in groups) == 50
