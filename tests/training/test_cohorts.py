"""The shipped cohorts read what their publishers ship."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from evaluation.errors import InputError
from tests.training.layouts.publishers import LAYOUTS, nih_first_release
from training.cli import app
from training.cohort import CohortSchema, read_cohort
from training.imaging import InputContract

FOLDER = Path(__file__).parents[2] / "cohorts"

#: Cohort to rows left out, and for each sample: patient, label, attributes.
EXPECTED = {
    "chexpert": (
        2,
        [
            ("patient90001", 1, "Female", 61, "AP"),
            ("patient90002", 0, "Male", 83, "AP"),
            ("patient90003", 0, None, None, "AP"),
        ],
    ),
    "mimic_cxr_jpg": (
        3,
        [
            ("10900001", 0, "F", 52, "WHITE", "PA"),
            ("10900002", 1, "M", 91, "BLACK", "AP"),
        ],
    ),
    "nih_cxr14": (
        0,
        [
            ("90001", 1, "M", 57, "PA"),
            ("90001", 1, "M", 58, "PA"),
            ("90002", 0, "F", 80, "AP"),
            ("90003", 0, "F", 7, "PA"),
        ],
    ),
    "ham10000_dataverse": (
        0,
        [
            ("HAM_9000001", 0, "male", 75, "scalp", "vidir_modern"),
            ("HAM_9000001", 0, "male", 75, "scalp", "vidir_modern"),
            ("HAM_9000002", 1, None, None, None, "rosendahl"),
            ("HAM_9000003", 0, "female", 35, "back", "vidir_molemax"),
        ],
    ),
    "pad_ufes_20": (
        0,
        [
            ("PAT_9001", 0, None, 8, None, "False"),
            ("PAT_9002", 1, "FEMALE", 61, "3.0", "True"),
            ("PAT_9003", 0, None, 77, None, "False"),
        ],
    ),
    "fitzpatrick17k": (
        0,
        [("0" * 32, 0, "3"), ("1" * 32, 0, None), ("2" * 32, 1, "2")],
    ),
    "odir_5k": (
        1,
        [
            ("9000", 1, "Female", 69, "left"),
            ("9000", 0, "Female", 69, "right"),
            ("9001", 0, "Male", 57, "left"),
            ("9001", 1, "Male", 57, "right"),
            ("9002", 1, "Male", 1, "right"),
        ],
    ),
    "oasis_1": (
        2,
        [("OAS1_9001", 0, "F", 74), ("OAS1_9002", 1, "F", 73), ("OAS1_9004", 1, "M", 86)],
    ),
}


def shipped(name):
    return CohortSchema.load(FOLDER / f"{name}.toml")


def with_source(name, **values):
    schema = shipped(name)
    return schema.model_copy(update={"source": {**schema.source, **values}})


def checked(name, folder, *options):
    command = ["cohort", "check", str(FOLDER / f"{name}.toml"), "--data", str(folder)]
    return CliRunner().invoke(app, [*command, *options])


@pytest.fixture
def made(request, tmp_path):
    name = request.param
    if name == "odir_5k":
        pytest.importorskip("openpyxl", reason="the publisher ships .xlsx")
    LAYOUTS[name](tmp_path)
    return name, tmp_path


def test_every_shipped_cohort_is_tried():
    files = {path.stem for path in FOLDER.glob("*.toml")}
    assert files == {*LAYOUTS, "ham10000", "phantom"}
    assert {*EXPECTED, "styled_mnist"} == set(LAYOUTS)


@pytest.mark.parametrize("name", sorted({*LAYOUTS, "ham10000", "phantom"}))
def test_licence_and_citation_are_stated(name):
    schema = shipped(name)
    assert schema.name == name
    assert schema.title
    assert schema.licence
    assert name == "phantom" or (schema.citation and schema.url.startswith("https://"))
    # A model of patients' images is shown no images of another kind.
    assert bool(schema.modality) == (name not in ("phantom", "styled_mnist"))


@pytest.mark.parametrize("made", EXPECTED, indirect=True)
def test_rows_mean_what_the_publisher_says(made):
    name, folder = made
    cohort = read_cohort(shipped(name), folder)
    left_out, rows = EXPECTED[name]
    assert cohort.left_out == left_out
    found = cohort.table.drop(columns="image").astype(object)
    found = found.where(found.notna(), None)
    assert list(found.itertuples(index=False, name=None)) == rows


@pytest.mark.parametrize("made", LAYOUTS, indirect=True)
def test_every_image_can_be_read(made):
    name, folder = made
    cohort = read_cohort(shipped(name), folder)
    for sample in cohort.table.index:
        pixels = cohort.pixels(sample, InputContract(size=28, channels=1))
        assert pixels.shape == (1, 28, 28)
        assert pixels.any()


@pytest.mark.parametrize("made", ["styled_mnist"], indirect=True)
def test_styled_mnist_has_ten_classes_and_named_styles(made):
    name, folder = made
    table = read_cohort(shipped(name), folder).table
    assert table["label"].tolist() == [k % 10 for k in range(20)]
    assert table["style"].tolist()[:2] == ["identity", "stripe"]
    assert table["patient"].tolist()[0] == "100"


@pytest.mark.parametrize("made", ["oasis_1"], indirect=True)
def test_oasis_is_read_as_volumes_too(made):
    name, folder = made
    cohort = read_cohort(shipped(name), folder)
    contract = InputContract(size=16, channels=1, dimensions=3)
    assert cohort.pixels("OAS1_9001_MR1", contract).shape == (1, 16, 16, 16)


@pytest.mark.parametrize("made", ["oasis_1"], indirect=True)
def test_a_pattern_that_two_files_fit_is_a_fault(made):
    name, folder = made
    atlas = next((folder / "disc1" / "OAS1_9001_MR1").rglob("*.hdr"))
    (atlas.parent / atlas.name.replace("_n4_", "_n3_")).write_bytes(b"")
    with pytest.raises(InputError, match="not exactly one file"):
        read_cohort(shipped(name), folder)


@pytest.mark.parametrize("made", EXPECTED, indirect=True)
def test_the_command_line_checks_them(made):
    name, folder = made
    done = checked(name, folder)
    assert done.exit_code == 0, done.output
    left_out, rows = EXPECTED[name]
    assert f"{len(rows)} images" in done.output
    assert (f"{left_out} rows left out" in done.output) == bool(left_out)


@pytest.mark.parametrize("made", ["oasis_1"], indirect=True)
def test_the_command_line_checks_volumes_and_channels(made):
    name, folder = made
    done = checked(name, folder, "--dimensions", "3", "--channels", "1")
    assert done.exit_code == 0, done.output
    done = checked(name, folder, "--channels", "2")
    assert "the model takes 2" in str(done.exception)


@pytest.mark.parametrize("made", ["nih_cxr14"], indirect=True)
def test_the_first_release_of_nih_is_read_too(made):
    name, folder = made
    nih_first_release(folder)
    table = read_cohort(with_source(name, manifest="Data_Entry_2017.csv"), folder).table
    assert table["sex"].tolist() == ["M", "F", "F"]
    assert table["age"].tolist()[:2] == [57, 411]
    assert table["age"].isna().tolist() == [False, False, True]
    assert table["label"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("made", ["mimic_cxr_jpg"], indirect=True)
def test_the_split_of_mimic_can_be_kept(made):
    name, folder = made
    source = shipped(name).source
    split = {"table": "mimic-cxr-2.0.0-split.csv.gz", "on": ["dicom_id"]}
    schema = with_source(
        name, join=[*source["join"], split], keep=source["keep"] | {"split": ["test"]}
    )
    table = schema.parse_source().read(folder).table
    assert table["dicom_id"].tolist() == ["aaaa0003-00000003"]


@pytest.mark.parametrize("made", ["odir_5k"], indirect=True)
def test_a_sheet_saved_as_csv_reads_the_same(made):
    name, folder = made
    sheet = pd.read_excel(folder / shipped(name).source["manifest"])
    sheet.to_csv(folder / "saved.csv", index=False, encoding="utf-8-sig")
    saved = read_cohort(with_source(name, manifest="saved.csv"), folder)
    pd.testing.assert_frame_equal(saved.table, read_cohort(shipped(name), folder).table)


@pytest.mark.parametrize("made", ["chexpert"], indirect=True)
@pytest.mark.parametrize("chosen", ["absent", "present"])
def test_uncertain_findings_count_as_declared(made, chosen):
    name, folder = made
    schema = shipped(name)
    classes = dict(schema.label.classes)
    classes[chosen] = (*classes[chosen], "-1.0")
    label = {"column": schema.label.column, "classes": classes}
    declared = CohortSchema.parse(schema.model_dump() | {"label": label}, "test")
    cohort = read_cohort(declared, folder)
    assert cohort.left_out == 1
    assert cohort.table["label"].tolist() == [1, int(chosen == "present"), 0, 0]


@pytest.mark.parametrize("made", ["mimic_cxr_jpg"], indirect=True)
def test_every_table_that_is_not_there_is_told_at_once(made):
    name, folder = made
    for table in ("patients.csv.gz", "admissions.csv.gz"):
        (folder / table).unlink()
    with pytest.raises(InputError) as caught:
        read_cohort(shipped(name), folder)
    assert [Path(fault.where).name for fault in caught.value.faults] == [
        "patients.csv.gz",
        "admissions.csv.gz",
    ]


@pytest.mark.parametrize("made", ["chexpert"], indirect=True)
def test_a_rule_for_rows_is_in_the_fingerprint(made):
    name, folder = made
    every = read_cohort(with_source(name, keep={}), folder)
    assert every.left_out == 1
    assert every.fingerprint != read_cohort(shipped(name), folder).fingerprint


@pytest.mark.parametrize("made", ["ham10000_dataverse"], indirect=True)
def test_archives_of_ham10000_need_no_unpacking(made):
    name, folder = made
    parts = shipped(name).source["images"]
    for part in parts:
        shutil.make_archive(str(folder / part), "zip", folder / part)
        shutil.rmtree(folder / part)
    packed = with_source(name, images=[f"{part}.zip" for part in parts])
    assert len(read_cohort(packed, folder).table) == len(EXPECTED[name][1])


@pytest.mark.parametrize("made", ["fitzpatrick17k"], indirect=True)
def test_a_list_of_clean_images_leaves_the_others_out(made):
    name, folder = made
    (folder / "clean.csv").write_text("md5hash\n" + "2" * 32 + "\n" + "0" * 32 + "\n")
    clean = {"table": "clean.csv", "on": ["md5hash"], "required": True}
    cohort = read_cohort(with_source(name, join=[clean]), folder)
    assert cohort.table.index.tolist() == ["0" * 32, "2" * 32]
    assert cohort.left_out == 1


@pytest.mark.parametrize("made", ["styled_mnist"], indirect=True)
def test_labels_can_be_left_out_of_arrays(made):
    name, folder = made
    schema = shipped(name)
    classes = {title: values for title, values in schema.label.classes.items() if title != "3"}
    label = {"column": "label", "classes": classes, "left_out": ["3"]}
    every = read_cohort(schema, folder)
    declared = CohortSchema.parse(schema.model_dump() | {"label": label}, "test")
    cohort = read_cohort(declared, folder)
    assert cohort.left_out == 2
    assert cohort.table.index.tolist() == [str(i) for i in range(20) if i % 10 != 3]
    grey = InputContract(size=28, channels=1)
    np.testing.assert_array_equal(cohort.pixels("19", grey), every.pixels("19", grey))


@pytest.mark.skipif(not hasattr(pd, "read_excel"), reason="pandas reads no sheets")
def test_a_sheet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "ODIR-5K_Training_Annotations(Updated)_V2.xlsx").write_bytes(b"PK")

    def missing(*args, **kwargs):
        raise ImportError("openpyxl")

    monkeypatch.setattr(pd, "read_excel", missing)
    with pytest.raises(InputError, match="Install openpyxl"):
        read_cohort(shipped("odir_5k"), tmp_path)


def test_pixels_of_a_slice_follow_the_setting(tmp_path):
    LAYOUTS["oasis_1"](tmp_path)
    contract, slices = InputContract(size=16, channels=1), []
    for plane in ("axial", "coronal"):
        schema = with_source("oasis_1", slice=plane)
        slices.append(read_cohort(schema, tmp_path).pixels("OAS1_9001_MR1", contract))
    assert not np.array_equal(*slices)
