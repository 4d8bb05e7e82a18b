"""Columns and rows that are made of others."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from training.derived import Extract, Join, Stack, Threshold

TABLE = pd.DataFrame(
    {"image": list("abc"), "study": ["s0", "s1", ""], "view": ["AP", "PA", ""]}
)
KEY = st.sampled_from(["", "p", "q", "r"])


def joined(other, **values):
    join = Join(table="other.csv", on=("study",), **values)
    return join.faults(TABLE, other, "images", "other"), join.apply(TABLE, other)


def test_a_join_adds_columns_and_leaves_unknown_rows_empty():
    other = pd.DataFrame({"study": ["s1", "s5", ""], "view": "XX", "sex": ["F", "M", "M"]})
    found, table = joined(other)
    assert found == []
    assert table["sex"].tolist() == ["", "F", ""]  # an empty key is nobody's
    assert table["view"].tolist() == TABLE["view"].tolist()  # that of the manifest stays


def test_a_required_join_drops_unknown_rows_and_keeps_the_index():
    _, table = joined(pd.DataFrame({"study": ["s1", ""], "sex": ["F", "M"]}), required=True)
    assert table.index.tolist() == [1]


def test_keys_that_are_there_twice_are_faults_unless_the_first_counts():
    other = pd.DataFrame({"study": ["s1", "s0", "s1", "s1", "", ""], "sex": list("FMMMMM")})
    found, _ = joined(other)
    assert [(fault.row, fault.column) for fault in found] == [(3, "study"), (4, "study")]
    found, table = joined(other, first=True)
    assert found == []
    assert table["sex"].tolist() == ["M", "F", ""]


@given(st.lists(st.tuples(KEY, KEY), max_size=6), st.lists(st.tuples(KEY, KEY), max_size=6))
def test_a_join_of_two_keys_is_a_lookup_row_by_row(left, right):
    table = pd.DataFrame(left, columns=["a", "b"], dtype=str)
    other = pd.DataFrame(right, columns=["a", "b"], dtype=str)
    other["row"] = pd.Series([str(i) for i in range(len(other))], dtype=str)
    expected = [
        next((str(i) for i, key in enumerate(right) if key == one and all(key)), "")
        for one in left
    ]
    join = Join(table="other.csv", on=("a", "b"), first=True)
    assert join.apply(table, other)["row"].tolist() == expected
    join = Join(table="other.csv", on=("a", "b"), first=True, required=True)
    assert join.apply(table, other)["row"].tolist() == list(filter(None, expected))


def test_stack_makes_a_row_for_each_value():
    stack = Stack(column="side", values=("l", "r"), columns={"eye": ("image", "study")})
    table = stack.apply(TABLE)
    assert table["eye"].tolist() == ["a", "s0", "b", "s1", "c", ""]
    assert table["side"].tolist() == ["l", "r"] * 3
    assert table.index.tolist() == [0, 0, 1, 1, 2, 2]
    assert [fault.column for fault in stack.faults(table, "t")] == ["side", "eye"]


def test_stack_needs_a_column_for_each_value():
    with pytest.raises(ValidationError, match="1 columns for 2 values"):
        Stack(column="side", values=("l", "r"), columns={"eye": ("image",)})


def test_extract_takes_the_first_group_or_nothing():
    extract = Extract(column="study", pattern=r"s([1-9])(x?)")
    assert extract.values(TABLE).tolist() == ["", "1", ""]


def test_extract_takes_the_first_column_that_there_is():
    extract = Extract(column=("new name", "view", "study"), pattern="(.+)")
    assert extract.source(TABLE) == "view"
    assert extract.values(TABLE).tolist() == ["AP", "PA", ""]
    assert Extract(column=("x", "y"), pattern="(.+)").source(TABLE) == "x"


@pytest.mark.parametrize("pattern", ["abc", "(abc"])
def test_patterns_need_a_group(pattern):
    with pytest.raises(ValidationError, match=r"group|regular expression"):
        Extract(column="a", pattern=pattern)


@given(st.lists(st.floats() | st.sampled_from(["", "N/A", "high"])), st.floats(-9, 9))
def test_a_threshold_decides_numbers_only(values, above):
    def decided(value):
        if isinstance(value, str) or value - value != 0:  # text, infinite or NaN
            return str(value)
        return "yes" if value > above else "no"

    table = pd.DataFrame({"x": [str(value) for value in values]}, dtype=str)
    found = Threshold(column="x", above=above).values(table).tolist()
    assert found == [decided(value) for value in values]
