"""Tables: a row a finding or a point, numbers in full, nothing that a spreadsheet would run."""

import io

import numpy as np
import pandas as pd
import pytest

from evaluation.latent_map import LatentMap
from evaluation.tables import tables
from tests.evaluation.made_audit import made_audit


@pytest.fixture(scope="module")
def audit():
    return made_audit(small=4)


@pytest.fixture(scope="module")
def found(audit):
    return tables(audit)


def read_back(table):
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def test_every_kind_of_finding_has_a_table(audit, found):
    for name in ("cohort", "estimates", "gaps", "reliability", "stress", "breakdowns"):
        assert getattr(audit, name)
        assert name in found
    assert "provenance_rows" in found
    assert "changes" not in found  # there was no champion


def test_numbers_come_back_as_they_were_and_nan_is_empty(audit, found):
    back = read_back(found["differences"])
    assert len(back) == len(audit.differences)
    for column in ("value", "low", "high", "p_family", "q_by"):
        before = [getattr(each, column) for each in audit.differences]
        np.testing.assert_array_equal(back[column], before)
    assert back["q_by"].isna().any()
    assert "nan" not in found["differences"].to_csv(index=False).lower()


def test_a_count_beside_an_unknown_one_stays_a_count(audit):
    sizes = [audit.cohort[0], audit.cohort[1].model_copy(update={"patients": None})]
    changed = audit.model_copy(update={"cohort": tuple(sizes)})
    text = tables(changed)["cohort"].to_csv(index=False)
    assert f",{sizes[0].patients}," in text
    assert f"{sizes[0].patients}.0" not in text


def test_a_curve_is_a_row_a_point(audit, found):
    curve = next(each for each in audit.curves if len(each.x) > 2)
    rows = found["curves"]
    mine = rows[(rows["group"] == curve.group) & (rows["kind"] == curve.kind)]
    assert list(mine["point"]) == list(range(1, len(curve.x) + 1))
    assert tuple(mine["x"]) == curve.x
    assert tuple(mine["y"]) == curve.y


def test_a_curve_without_points_keeps_its_reason(audit):
    empty = audit.curves[0].model_copy(update={"x": (), "y": (), "reason": "only one class"})
    rows = tables(audit.model_copy(update={"curves": (empty,)}))["curves"]
    assert rows["reason"].tolist() == ["only one class"]
    assert read_back(rows)["x"].isna().all()


def test_a_map_has_a_column_for_each_attribute_and_axis(audit):
    drawn = LatentMap(
        latent="content",
        x=(0.1, 0.2),
        y=(1.0, 2.0),
        explained=(0.6, 0.3),
        label=("0", "1"),
        groups={"=sex": ("female", "=male")},
    )
    rows = tables(audit.model_copy(update={"maps": (drawn,)}))["maps"]
    assert rows["groups: =sex"].tolist() == ["female", "'=male"]
    assert rows[["x", "y", "label"]].to_numpy().tolist() == [[0.1, 1.0, "0"], [0.2, 2.0, "1"]]
    assert rows[["explained_1", "explained_2"]].to_numpy().tolist() == [[0.6, 0.3]] * 2


def test_names_of_several_groups_share_a_cell(audit, found):
    gap = next(gap for gap in audit.gaps if len(gap.attributes) == 2)
    assert "; ".join(gap.attributes) in set(found["gaps"]["attributes"])


@pytest.mark.parametrize(
    "name", ["=1+1", "+1-2", "-2+3+cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "－x"]
)
def test_no_text_is_taken_for_a_formula(audit, name):
    size = audit.cohort[0].model_copy(update={"group": name})
    rows = tables(audit.model_copy(update={"cohort": (size,)}))["cohort"]
    assert rows["group"].tolist() == [f"'{name}"]


@pytest.mark.parametrize("name", ["sex: =1", "-1.5", "+3", "40-<65", ""])
def test_other_text_is_left_alone(audit, name):
    size = audit.cohort[0].model_copy(update={"group": name})
    rows = tables(audit.model_copy(update={"cohort": (size,)}))["cohort"]
    assert rows["group"].tolist() == [name]
