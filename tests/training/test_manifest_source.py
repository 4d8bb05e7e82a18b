"""Manifests that are made of several tables."""

import pytest

from evaluation.errors import InputError
from training.manifest_source import ManifestSource


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images.csv").write_text(
        "image,study,view,left,right\ni0,s0,AP,a,b\ni1,s1,LAT,c,d\ni2,s9,PA,e,f\n"
    )
    (tmp_path / "studies.csv").write_text("study,view,sex,rating\ns0,XX,F,0\ns1,XX,M,2\n")
    (tmp_path / "sites.csv").write_text("sex,site\nF,north\nM,south\n")
    return tmp_path


def source(**values):
    return ManifestSource.parse({"manifest": "images.csv", **values}, "source")


def faults(root, needed=None, **values):
    with pytest.raises(InputError) as caught:
        source(**values).read(root, needed)
    return [str(fault) for fault in caught.value.faults]


JOIN = [{"table": "studies.csv", "on": ["study"]}]


def test_a_table_is_joined_by_the_columns_of_an_earlier_one(root):
    table = source(join=[*JOIN, {"table": "sites.csv", "on": ["sex"]}]).read(root).table
    assert table["site"].tolist() == ["north", "south", ""]


def test_columns_are_made_in_order_and_rows_kept_last(root):
    manifest = source(
        join=JOIN,
        stack={"column": "side", "values": ["l", "r"], "columns": {"eye": ["left", "right"]}},
        extract={
            "digit": {"column": "study", "pattern": r"(\d)"},
            "one": {"column": "digit", "pattern": "(1)"},
        },
        threshold={"ill": {"column": "rating", "above": 0}},
        keep={"ill": ["yes", "no"], "side": ["r"]},
    ).read(root)
    assert manifest.left_out == 4  # both sides of the study without a rating, and two left ones
    assert manifest.table["eye"].tolist() == ["b", "d"]
    assert manifest.table["one"].tolist() == ["", "1"]
    assert manifest.table["ill"].tolist() == ["no", "yes"]
    assert manifest.table.index.tolist() == [0, 1]


def test_a_table_without_rows_leaves_its_columns_empty(root):
    (root / "studies.csv").write_text("study,sex\n")
    assert source(join=JOIN).read(root).table["sex"].tolist() == ["", "", ""]


def test_rows_that_a_required_table_does_not_have_are_counted(root):
    manifest = source(join=[JOIN[0] | {"required": True}], keep={"view": ["AP"]}).read(root)
    assert manifest.table["image"].tolist() == ["i0"]
    assert manifest.unused == (
        ("'studies.csv' has no row of theirs", 1, 3),
        ("'view' is not AP", 1, 2),
    )


def test_keep_leaves_rows_out_and_remembers_their_place(root):
    table, _, unused = source(keep={"view": ["AP", "PA"]}).read(root)
    assert unused == (("'view' is not AP or PA", 1, 2),)
    assert table["image"].tolist() == ["i0", "i2"]
    assert table.index.tolist() == [0, 2]


def test_keep_that_fits_no_row_names_what_there_is(root):
    (fault,) = faults(root, keep={"view": ["FRONTAL"]})
    assert "no row has FRONTAL" in fault
    assert "AP, LAT, PA" in fault


def test_every_missing_table_is_told(root):
    join = [{"table": name, "on": ["study"]} for name in ("a.csv", "studies.csv", "b.csv.gz")]
    found = faults(root, join=join)
    assert [("a.csv" in fault, "b.csv.gz" in fault) for fault in found] == [
        (True, False),
        (False, True),
    ]


def test_every_key_that_does_not_fit_is_told(root):
    (root / "studies.csv").write_text("study,sex\ns0,F\ns1,M\ns0,F\ns1,M\n")
    found = faults(root, join=[*JOIN, {"table": "sites.csv", "on": ["image"]}])
    assert len(found) == 3
    assert "studies.csv, row 3, column study: study 's0' is also in row 1" in found[0]
    assert "row 4" in found[1]
    assert "sites.csv: no column 'image' (joins the tables)" in found[2]


def test_every_missing_column_is_told(root):
    found = faults(
        root,
        {"lable": "label"},
        extract={"x": {"column": "studdy", "pattern": "(.)"}},
        threshold={"y": {"column": "ratingg", "above": 1}, "view": {"column": "x", "above": 1}},
        keep={"vieww": ["AP"], "x": ["s"]},
    )
    expected = ["Did you mean 'study'", "'y' is made of it", "there is a column 'view' already"]
    expected += ["Did you mean 'view'", "no row has s in 'x'", "no column 'lable' (label)"]
    assert len(found) == len(expected)
    assert all(part in fault for part, fault in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    "values",
    [
        {"manifest": "../images.csv"},
        {"join": [{"table": "/etc/passwd", "on": ["study"]}]},
        {"joins": JOIN},
        {"join": [JOIN[0] | {"how": "outer"}]},
        {
            "extract": {"x": {"column": "study", "pattern": "(.)"}},
            "threshold": {"x": {"column": "study", "above": 0}},
        },
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values):
    with pytest.raises(InputError):
        source(**values)
