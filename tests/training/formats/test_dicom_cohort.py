"""Cohorts of DICOM files."""

import zipfile

import numpy as np
import pytest
from pydicom import config

from evaluation.errors import InputError
from tests.training.formats.dicom_samples import GREY, ID, NAME, dicom
from training.cohort import CohortSchema, read_cohort
from training.image_store import open_store
from training.imaging import InputContract

SECRETS = (ID, *NAME.split("^"), "1.2.840.77")
GREY_16 = InputContract(size=16, channels=1)


def schema(label="Modality", classes=("CR", "DX"), **source):
    group = "Series" if source.get("samples") == "series" else "SOP"
    return CohortSchema.parse(
        {
            "name": "rays",
            "format": "dicom",
            "sample": f"{group}InstanceUID",
            "patient": "PatientID",
            "source": {"images": "x"} | source,
            "label": {"column": label, "classes": {name: [name] for name in classes}},
            "attributes": {
                "sex": {"column": "PatientSex", "categories": ["F", "M", "O"]},
                "age": {"column": "PatientAge", "unit": "years"},
            },
        },
        "rays.toml",
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four files of two patients, a note, the index of a medium."""
    # What is wrong with them is meant.
    for mode in ("reading_validation_mode", "writing_validation_mode"):
        monkeypatch.setattr(config.settings, mode, config.IGNORE)
    (tmp_path / "x" / "deep").mkdir(parents=True)
    for i in range(4):
        data = dicom(GREY + np.uint16(i), SOPInstanceUID=f"1.2.840.77.{i}",
                     PatientID=f"{ID}{i // 2}", Modality=("CR", "DX")[i % 2],
                     PatientAge=("058Y", "006M", "", "58")[i],
                     PatientSex=("F", "M", "", "?")[i])  # fmt: skip
        (tmp_path / "x" / ("deep" if i > 1 else "") / f"{i}.dcm").write_bytes(data)
    (tmp_path / "x" / "note.txt").write_text("nothing")
    return tmp_path


def faults(folder, declared=None):
    with pytest.raises(InputError) as caught:
        read_cohort(declared or schema(), folder)
    assert not any(word in str(caught.value) for word in SECRETS)
    return [str(fault).replace(str(folder), "") for fault in caught.value.faults]


def test_headers_are_the_table_and_name_nobody(folder):
    cohort = read_cohort(schema(), folder)
    table = cohort.table
    assert len(table) == 4
    assert table["patient"].nunique() == 2
    assert table["label"].tolist() == [0, 1, 0, 1]
    assert table["sex"].fillna("-").tolist() == ["F", "M", "-", "-"]
    assert table["age"].fillna(-1).tolist() == [58, 0.5, -1, -1]
    text = table.to_csv() + cohort.fingerprint
    assert not any(word in text for word in SECRETS)
    assert all(len(name) == 16 for name in [*table.index, *table["patient"]])
    assert cohort.pixels(table.index[0], GREY_16).shape == (1, 16, 16)


def test_a_salt_makes_other_hashes(folder):
    plain, salted = (read_cohort(schema(salt=salt), folder).table for salt in ("", "s"))
    assert not set(plain.index) & set(salted.index)
    assert not set(plain["patient"]) & set(salted["patient"])


def test_folder_and_zip_read_the_same(folder):
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in open_store(folder / "x").names():
            archive.write(folder / "x" / name, name)
    one, two = (read_cohort(schema(images=place), folder) for place in ("x", "x.zip"))
    assert one.table.equals(two.table)
    for sample in one.table.index:
        np.testing.assert_array_equal(one.pixels(sample, GREY_16), two.pixels(sample, GREY_16))


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("SOPInstanceUID", [f"1.2.840.77.{i}" for i in range(4)]),
        ("filename", ["0", "1.dcm", "deep/2.dcm", "3"]),
        ("PatientID", [ID + "0", ID + "1"]),
    ],
)
def test_labels_from_beside(folder, key, values):
    rows = [f"{value},{('no', 'yes')[i % 2]}" for i, value in enumerate(values)]
    (folder / "l.csv").write_text("\n".join(["key,dx", *rows]))
    labels = {"file": "l.csv", "column": "key", "key": key}
    table = read_cohort(schema("dx", ("no", "yes"), labels=labels), folder).table
    expected = [0, 0, 1, 1] if key == "PatientID" else [0, 1, 0, 1]
    assert table["label"].tolist() == expected


def test_labels_can_be_left_out(folder):
    rows = [f"{i},{label}" for i, label in enumerate(("no", "unsure", "yes", "yes"))]
    (folder / "l.csv").write_text("\n".join(["key,dx", *rows]))
    labels = {"file": "l.csv", "column": "key", "key": "filename"}
    declared = schema("dx", ("no", "yes"), labels=labels)
    label = declared.label.model_copy(update={"left_out": ("unsure",)})
    cohort = read_cohort(declared.model_copy(update={"label": label}), folder)
    assert cohort.left_out == 1
    assert cohort.table["label"].tolist() == [0, 1, 1]
    assert cohort.pixels(cohort.table.index[2], GREY_16).shape == (1, 16, 16)


def test_faults_of_labels_are_listed_without_keys(folder):
    (folder / "l.csv").write_text(f"key,dx\n{ID}0,no\n{ID}0,yes\n")
    labels = {"file": "l.csv", "column": "key", "key": "PatientID"}
    text = "\n".join(faults(folder, schema("dx", ("no", "yes"), labels=labels)))
    assert "row 2, column key: its key is also in row 1" in text
    assert "no row has the key of" in text
    assert "deep/3.dcm" in text


def test_every_bad_file_is_listed(folder):
    files = folder / "x"
    (files / "a.dcm").write_bytes(b"")
    (files / "b.dcm").write_bytes(b"no such thing")
    (files / "c.dcm").write_bytes(dicom(Rows=None))
    (files / "d.dcm").write_bytes(dicom(SOPInstanceUID="1.2.840.77.0"))
    (files / "e.dcm").write_bytes(dicom(Rows=60_000, Columns=60_000))
    text = "\n".join(faults(folder))
    for found in (
        "/x/a.dcm: the file is empty",
        "/x/b.dcm: it is not a DICOM file",
        "/x/c.dcm: the DICOM file has no pixels",
        "/x/d.dcm: its SOPInstanceUID is also that of /x/0.dcm",
        "/x/e.dcm: 60000 x 60000 pixels",
    ):
        assert found in text


def test_nothing_that_identifies_may_be_named(folder):
    assert "no column 'PatientName' (label)" in faults(folder, schema("PatientName"))[0]


def test_names_in_paths_are_masked(folder):
    place = folder / "x" / f"{NAME.replace('^', '_')}_{ID}.dcm"
    place.write_bytes(dicom(SOPInstanceUID="1.2.840.77.0"))
    assert any("***_***_***.dcm" in fault for fault in faults(folder))


def test_an_empty_folder(folder):
    (folder / "y").mkdir()
    assert "/y: it holds no DICOM file" in faults(folder, schema(images="y"))[0]


def test_a_series_is_a_volume_sorted_by_its_positions(folder):
    (folder / "s").mkdir()
    slices = np.random.default_rng(0).integers(0, 256, (16, 16, 16), dtype=np.uint8)
    for i in range(16):
        for series, modality in (("1.1", "CR"), ("1.2", "DX")):
            data = dicom(slices[i], SeriesInstanceUID=series, Modality=modality,
                         ImagePositionPatient=[0, 0, 5.0 * i], PixelSpacing=[5, 5],
                         ImageOrientationPatient=[1, 0, 0, 0, 1, 0])  # fmt: skip
            (folder / "s" / f"{series}-{(7 * i) % 16}.dcm").write_bytes(data)
    cohort = read_cohort(schema(images="s", samples="series"), folder)
    assert len(cohort.table) == 2
    contract = InputContract(size=16, channels=1, dimensions=3)
    np.testing.assert_array_equal(cohort.pixels(cohort.table.index[0], contract)[0], slices)
    with pytest.raises(InputError, match="it is a series, and the model takes images"):
        cohort.pixels(cohort.table.index[0], GREY_16)
