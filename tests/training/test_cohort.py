"""Schemas, and the table that a manifest becomes."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluation.errors import InputError
from training.cohort import (
    Cohort,
    CohortSchema,
    LabelSchema,
    data_root,
    fingerprint_of,
    inside,
    read_cohort,
)
from training.imaging import InputContract
from training.manifest import MOST_LISTED, read_manifest, table_of

COHORTS = Path(__file__).parents[2] / "cohorts"

SCHEMA = {
    "name": "small",
    "format": "phantom",
    "sample": "id",
    "patient": "patient",
    "label": {"column": "dx", "classes": {"benign": ["nv", "df"], "malignant": ["mel"]}},
    "attributes": {
        "sex": {"categories": ["female", "male"]},
        "age": {"bins": [40, 60], "unit": "years"},
        "site": {"column": "hospital"},
    },
    "missing": ["unknown"],
}


def schema(**changes):
    return CohortSchema.parse(SCHEMA | changes, "small.toml")


def manifest(**changes):
    columns = {
        "id": ["a", "b", "c"],
        "patient": ["p", "p", "q"],
        "dx": ["nv", "df", "mel"],
        "sex": ["female", "", "male"],
        "age": ["41.5", "unknown", "80"],
        "hospital": ["x", "unknown", "1"],
    }
    return pd.DataFrame(columns | changes, dtype=str)


def table(frame, declared=None):
    image = frame["id"] + ".png" if "id" in frame else pd.Series("", index=frame.index)
    return table_of(declared or schema(), frame, "m.csv", image)


def faults(frame, declared=None):
    with pytest.raises(InputError) as caught:
        table(frame, declared)
    return [str(fault) for fault in caught.value.faults]


def test_table_holds_what_the_manifest_says():
    expected = pd.DataFrame(
        {
            "patient": ["p", "p", "q"],
            "image": ["a.png", "b.png", "c.png"],
            "label": [0, 0, 1],
            "sex": ["female", np.nan, "male"],
            "age": [41.5, np.nan, 80],
            "site": ["x", np.nan, "1"],
        },
        index=pd.Index(["a", "b", "c"], name="sample"),
    )
    pd.testing.assert_frame_equal(table(manifest()), expected, check_dtype=False)
    assert table(manifest())["label"].dtype == np.int64
    assert table(manifest())["age"].dtype == np.float64


def test_attributes_make_their_groups():
    declared = schema()
    values = declared.attribute("age").values(table(manifest())["age"], "m.csv")
    assert list(values) == ["40-<60", "(missing)", ">=60"]
    assert declared.classes == ("benign", "malignant")
    with pytest.raises(InputError, match="Did you mean 'sex'"):
        declared.attribute("sec")


def test_missing_columns_are_all_named_with_the_nearest():
    found = faults(manifest().rename(columns={"patient": "patent", "hospital": "clinic"}))
    assert len(found) == 2
    assert "no column 'hospital' (attribute site)" in found[0]
    assert "no column 'patient' (patient). Did you mean 'patent'?" in found[1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": ["a", "a", "c"]}, "row 2, column id: sample 'a' is also in row 1"),
        ({"id": ["a", "", "c"]}, "row 2, column id: the sample id is empty"),
        ({"patient": ["p", "", "q"]}, "row 2, column patient: the patient id is empty"),
        ({"dx": ["nv", "bcc", "mel"]}, "row 2, column dx: label 'bcc' belongs to no class"),
        ({"dx": ["nv", "", "mel"]}, "row 2, column dx: label '' belongs to no class"),
        ({"dx": ["nv", "nv", "df"]}, "column dx: class 'malignant' has no sample"),
        ({"sex": ["female", "f", "male"]}, "row 2, column sex: 'f' is not declared"),
        ({"sex": ["", "unknown", ""]}, "column sex: every value of attribute 'sex' is missing"),
        ({"age": ["41", "old", "80"]}, "row 2, column age: 'old' is not a number"),
        ({"age": ["41", "inf", "80"]}, "row 2, column age: 'inf' is not a number"),
        ({"age": ["41", "nan", "80"]}, "row 2, column age: 'nan' is not a number"),
    ],
)
def test_each_fault_is_named_with_its_row(changes, expected):
    (found,) = faults(manifest(**changes))
    assert f"m.csv, {expected}" in found


def test_all_faults_are_told_at_once():
    found = faults(manifest(id=["a", "a", ""], dx=["nv", "bcc", "mel"], age=["x", "y", "1"]))
    assert [fault.partition(":")[0] for fault in found] == [
        "m.csv, row 2, column id",
        "m.csv, row 3, column id",
        "m.csv, row 2, column dx",
        "m.csv, row 1, column age",
        "m.csv, row 2, column age",
    ]


def test_many_faults_of_one_kind_are_counted():
    many = pd.concat([manifest(), *[manifest(dx=["?"] * 3)] * 10], ignore_index=True)
    many["id"] = [f"s{i}" for i in range(len(many))]
    found = faults(many)
    assert len(found) == MOST_LISTED + 1
    assert "10 more of this kind" in found[-1]


def test_no_rows():
    (found,) = faults(manifest().iloc[:0])
    assert "it has no rows" in found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label": {"column": "dx", "classes": {"one": ["a"]}}}, "at least two classes"),
        (
            {"label": {"column": "dx", "classes": {"a": ["x"], "b": []}}},
            "class 'b' has no values",
        ),
        (
            {"label": {"column": "dx", "classes": {"a": ["x"], "b": ["x"]}}},
            "'x' is listed twice",
        ),
        ({"attributes": {"patient": {}}}, "no attribute may be called 'patient'"),
        ({"attributes": {"age": {"bins": [60, 40]}}}, "must increase"),
        (
            {"attributes": {"age": {"bins": [40], "categories": ["a"]}}},
            "both categories and bins",
        ),
        ({"root": "../elsewhere"}, "must not climb out"),
        ({"root": "/etc"}, "must be a relative path"),
        ({"name": "a/b"}, "'name' is 'a/b'"),
        ({"format": "fantom"}, "no format is called 'fantom'. Did you mean 'phantom'?"),
        ({"source": {"patient": 3}}, "cohort small, source: unknown key 'patient'"),
        ({"licens": "MIT"}, "unknown key 'licens'. Did you mean 'licence'?"),
    ],
)
def test_schemas_that_cannot_be_meant_are_refused(changes, expected):
    with pytest.raises(InputError) as caught:
        schema(**changes)
    assert expected in str(caught.value)


@pytest.mark.parametrize("path", sorted(COHORTS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_cohort_file_is_valid_and_says_whose_it_is(path):
    declared = CohortSchema.load(path)
    assert declared.name == path.stem
    assert declared.title
    assert declared.licence
    assert declared.format == "phantom" or (declared.citation and declared.url)
    assert CohortSchema.parse(tomllib.loads(path.read_text()), "again") == declared
    assert CohortSchema.model_validate_json(declared.model_dump_json()) == declared


def cohort(frame=None):
    rows = table(manifest()) if frame is None else frame

    def load(image, contract):
        assert image == "b.png"
        return np.full((contract.channels, contract.size, contract.size), 255, np.uint8)

    return Cohort(schema(), rows, load, fingerprint_of(rows, []))


def test_image_is_pixels_in_0_to_1():
    image = cohort().image("b", InputContract(size=8, channels=1))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, np.ones((1, 8, 8)))


def test_unknown_sample():
    with pytest.raises(InputError, match="cohort small: no sample 'z'"):
        cohort().pixels("z", InputContract(size=8))


def test_a_cohort_says_what_it_is():
    assert str(cohort()) == (
        "small: 3 images of 2 patients (2 benign, 1 malignant); attributes: sex, age, site"
    )


def test_fingerprint_changes_with_table_and_source_only():
    rows = table(manifest())
    other = table(manifest(sex=["female", "male", "male"]))
    assert fingerprint_of(rows, ["x"]) == fingerprint_of(rows.copy(), ["x"])
    assert len({fingerprint_of(rows, ["x"]), fingerprint_of(rows, ["y"]),
                fingerprint_of(other, ["x"]), fingerprint_of(rows.iloc[::-1], ["x"]),
                fingerprint_of(rows, []), fingerprint_of(rows, ["x", "x"])}) == 6  # fmt: skip


def test_data_root_is_an_environment_variable(monkeypatch):
    monkeypatch.delenv("EVENSCAN_DATA", raising=False)
    assert data_root() == Path("data")
    monkeypatch.setenv("EVENSCAN_DATA", "/elsewhere")
    assert data_root() == Path("/elsewhere")


def test_read_cohort_looks_below_the_data_root(monkeypatch, tmp_path):
    declared = CohortSchema.load(COHORTS / "ham10000.toml")
    monkeypatch.setenv("EVENSCAN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"ham10000/metadata\.csv: no such file"):
        read_cohort(declared)
    with pytest.raises(InputError, match=r"mine/metadata\.csv: no such file"):
        read_cohort(declared, tmp_path / "mine")


@pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "a\\b", "C:/a", "a\0b", ".."])
def test_paths_that_lead_out_are_refused(path):
    with pytest.raises(ValueError, match="must"):
        inside(path)


@given(st.text())
def test_a_path_that_is_let_through_stays_inside(path):
    try:
        inside(path)
    except ValueError:
        return
    assert (Path("/root") / path).is_relative_to("/root")
    assert ".." not in (Path("/root") / path).parts


def test_manifest_is_read_as_text(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes("\ufeffid, grade ,note\n007, NA ,\n8,1.0\n\n".encode())
    expected = pd.DataFrame(
        {"id": ["007", "8"], "grade": ["NA", "1.0"], "note": ["", ""]}, dtype=str
    )
    pd.testing.assert_frame_equal(read_manifest(path), expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        (b"", "not readable as a table"),
        (b"a,b\n1,2,3\n", "not readable as a table"),
        (b"a,b\n\xff\xfe,2\n", "not readable as a table"),
        (b"a,a\n1,2\n", "column 'a' is there twice"),
    ],
)
def test_unreadable_manifests(tmp_path, content, expected):
    path = tmp_path / "m.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        read_manifest(path)


def label(**values):
    return LabelSchema(column="x", **values)


def test_a_list_belongs_to_the_first_class_that_lists_one_of_its_values():
    schema = label(separator="|", classes={"no": ["*"], "mass": ["Mass"], "edema": ["Edema"]})
    values = pd.Series(["Edema| Mass", "Edema", "Hernia", ""])
    assert schema.indices(values).tolist() == [1, 2, 0, 0]


def test_a_value_of_no_class_is_minus_one():
    schema = label(classes={"no": ["0"], "yes": ["1"]})
    assert schema.indices(pd.Series(["1", "0|1", "2"])).tolist() == [1, -1, -1]


def test_a_value_cannot_be_of_a_class_and_left_out():
    with pytest.raises(ValidationError, match="of a class and left out"):
        label(classes={"no": ["0"], "yes": ["1"]}, left_out=["1"])


def test_rows_take_no_part_if_all_they_hold_is_left_out():
    classes = {"no": ["n"], "yes": ["*"]}
    values = pd.Series(["n", "u", "u|v", "u| n", "", "u|w"])
    plain, of_list = (
        label(classes=classes, left_out=["u", "v", ""]),
        label(classes=classes, left_out=["u", "v"], separator="|"),
    )
    assert plain.unused(values).tolist() == [False, True, False, False, True, False]
    assert of_list.unused(values).tolist() == [False, True, True, False, False, False]
    assert label(classes=classes).unused(values[:0]).tolist() == []
