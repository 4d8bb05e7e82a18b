"""Crossed features: every cell is there, in fairlearn's order."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.feature_groups import FeatureGroups

TABLE = pd.DataFrame(
    {
        "sex": ["m", "f", "f", None, "m"],
        "age": [50, 40, 50, 40, 50],
        "site": ["b", "a", "a", "b", "b"],
    }
)


def test_every_cell_holds_its_rows():
    found = FeatureGroups.of(TABLE, ["site"], ["sex", "age"])
    assert [group.name for group in found.groups[:2]] == ["site: a", "site: b"]
    assert [len(part) for part in found.parts] == [6, 6]
    for group in found.groups:
        text = TABLE.astype({"age": str}).fillna("(missing)")
        inside = (text[list(group.attributes)] == list(group.values)).all(axis=1)
        assert group.rows.tolist() == np.flatnonzero(inside).tolist()


def test_index_has_the_values_as_given():
    found = FeatureGroups.of(TABLE, [], ["age"])
    assert found.index().tolist() == [40, 50]
    assert found.index().name == "age"
    assert found.groups[0].name == "all"
    assert found.groups[1].name == "age: 40"
    crossed = FeatureGroups.of(TABLE, ["site"], ["sex"])
    assert crossed.part_index().tolist() == ["a", "b"]
    assert crossed.index().names == ["site", "sex"]
    assert crossed.index()[2] == ("a", "(missing)")


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([True, False, True], [False, True]),
        ([2.5, np.nan, 10.0], [2.5, 10.0, "(missing)"]),
        (["b", 1, "a"], ["1", "a", "b"]),
        (pd.Categorical(["y", "x", "y"]), ["x", "y"]),
    ],
)
def test_values_ascend_and_missing_ones_come_last(values, levels):
    found = FeatureGroups.of(pd.DataFrame({"x": values}), [], ["x"])
    assert found.index().tolist() == levels
    assert sum(len(found.groups[g].rows) for g in found.parts[0]) == 3


def test_too_many_values_or_cells_are_refused():
    many = pd.DataFrame({"x": range(200)})
    with pytest.raises(InputError, match="200 distinct values"):
        FeatureGroups.of(many, [], ["x"])
    wide = pd.DataFrame({name: [k % 20 for k in range(200)] for name in "abc"})
    with pytest.raises(InputError, match="8,000 cells"):
        FeatureGroups.of(wide, [], list("abc"))
