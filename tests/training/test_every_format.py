"""Promises that every format keeps."""

import re
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from evaluation.errors import InputError
from evaluation.settings import Settings
from tests.training.formats.dicom_samples import dicom
from training.cohort import CohortSchema, read_cohort
from training.format import FORMATS, Format
from training.imaging import InputContract

CONTRACT = InputContract(size=16)
COMMON = {
    "name": "tried",
    "sample": "image_id",
    "patient": "patient",
    "label": {"column": "lesion", "classes": {"absent": ["absent"], "present": ["present"]}},
    "attributes": {"sex": {"categories": ["female", "male"]}, "age": {"bins": [50]}},
}


def make_images(folder):
    """A manifest and its files."""
    rows = ["image_id,patient,lesion,sex,age"]
    for i in range(8):
        lesion, sex = ("absent", "present")[i % 2], ("female", "male", "")[i % 3]
        rows.append(f"i{i},p{i // 2},{lesion},{sex},{20 + 10 * i}")
        Image.new("RGB", (20, 16), (20 * i, 0, 9)).save(folder / f"i{i}.png")
    (folder / "m.csv").write_text("\n".join(rows))
    return {"manifest": "m.csv", "images": ".", "pattern": "{image_id}.png"}


def make_phantom(folder):
    return {"patients": 8, "size": 24, "missing": {"sex": 0.2}}


def make_dicom(folder):
    """Files with headers, and the labels beside them."""
    (folder / "dicom").mkdir(exist_ok=True)
    rows = ["file,image_id,patient,lesion,sex,age"]
    for i in range(8):
        pixels = np.full((16, 20), 20 * i, np.uint8)
        pixels[:8] = 9
        header = dicom(pixels, SOPInstanceUID=f"1.2.{i + 1}", PatientID=f"p{i // 2}")
        (folder / "dicom" / f"i{i}.dcm").write_bytes(header)
        lesion, sex = ("absent", "present")[i % 2], ("female", "male", "")[i % 3]
        rows.append(f"i{i}.dcm,i{i},p{i // 2},{lesion},{sex},{20 + 10 * i}")
    (folder / "m.csv").write_text("\n".join(rows))
    return {"images": "dicom", "labels": {"file": "m.csv", "column": "file", "key": "filename"}}


def make_nifti(folder):
    make_images(folder)
    for i in range(8):
        voxels = np.random.default_rng(i).integers(1, 900, (14, 12, 10)).astype(np.int16)
        nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(folder / f"i{i}.nii.gz")
    return {"manifest": "m.csv", "images": ".", "pattern": "{image_id}.nii.gz"}


def make_arrays(folder):
    make_images(folder)
    images = np.random.default_rng(0).integers(0, 256, (8, 20, 16), dtype=np.uint8)
    np.savez(folder / "a.npz", images=images)
    return {"file": "a.npz", "manifest": "m.csv"}


#: How to make a small cohort of each format; a new format needs a line here.
MAKERS = {
    "arrays": make_arrays,
    "dicom": make_dicom,
    "images": make_images,
    "nifti": make_nifti,
    "phantom": make_phantom,
}

every_format = pytest.mark.parametrize("name", FORMATS.names())


def schema(name, folder, **changes):
    values = COMMON | {"format": name, "source": MAKERS[name](folder)} | changes
    return CohortSchema.parse(values, "tried.toml")


@every_format
def test_it_is_declared(name):
    kind = FORMATS.get(name)
    assert issubclass(kind, Format)
    assert issubclass(kind.settings_type, Settings)
    assert re.sub(r"[^a-z]", "", kind.__name__.lower()) == name.replace("_", "")
    assert kind.__doc__


@every_format
def test_the_table_is_what_a_cohort_promises(name, tmp_path):
    cohort = read_cohort(schema(name, tmp_path), tmp_path)
    table = cohort.table
    assert list(table.columns) == ["patient", "image", "label", "sex", "age"]
    assert table.index.name == "sample"
    assert table.index.is_unique
    for text in (table.index, table["patient"], table["image"]):
        assert all(isinstance(value, str) for value in text)
    assert set(table["label"]) == {0, 1}
    assert set(table["sex"].dropna()) <= {"female", "male"}
    assert table["age"].dtype == np.float64
    assert re.fullmatch("[0-9a-f]{64}", cohort.fingerprint)


@every_format
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_follow_the_contract(name, channels, tmp_path):
    cohort = read_cohort(schema(name, tmp_path), tmp_path)
    contract = InputContract(size=10, channels=channels)
    for sample in cohort.table.index[:3]:
        pixels = cohort.pixels(sample, contract)
        assert pixels.shape == (channels, 10, 10)
        assert pixels.dtype == np.uint8
        np.testing.assert_allclose(cohort.image(sample, contract) * 255, pixels, rtol=1e-6)


@every_format
def test_reading_twice_gives_the_same(name, tmp_path):
    one, two = (read_cohort(schema(name, tmp_path), tmp_path) for _ in range(2))
    assert one.table.equals(two.table)
    assert one.fingerprint == two.fingerprint
    sample = one.table.index[-1]
    np.testing.assert_array_equal(one.pixels(sample, CONTRACT), two.pixels(sample, CONTRACT))


@every_format
def test_a_missing_column_is_named_with_the_nearest(name, tmp_path):
    label = {"column": "lesions", "classes": COMMON["label"]["classes"]}
    wrong = schema(name, tmp_path, label=label)
    with pytest.raises(InputError, match=r"no column 'lesions'.*Did you mean 'lesion'"):
        read_cohort(wrong, tmp_path)


@every_format
def test_an_undeclared_label_and_an_empty_class_are_told_together(name, tmp_path):
    label = {"column": "lesion", "classes": {"absent": ["absent"], "present": ["yes"]}}
    with pytest.raises(InputError) as caught:
        read_cohort(schema(name, tmp_path, label=label), tmp_path)
    text = str(caught.value)
    assert "label 'present' belongs to no class" in text
    assert "class 'present' has no sample" in text


@every_format
def test_unknown_settings_are_refused(name, tmp_path):
    source = MAKERS[name](tmp_path) | {"folders": 1}
    with pytest.raises(InputError, match="cohort tried, source: unknown key 'folders'"):
        schema(name, tmp_path, source=source)


@every_format
def test_other_channels_than_the_data_have_are_refused(name, tmp_path):
    cohort = read_cohort(schema(name, tmp_path), tmp_path)
    sample = cohort.table.index[0]
    with pytest.raises(InputError, match=r"2 channels|model takes 2"):
        cohort.pixels(sample, InputContract(size=10, channels=2))


def test_no_format_imports_heavy_packages():
    """The service reads cohorts and pixels without torch, and without what only some need."""
    folder = Path(__file__).parents[2] / "training"
    names = ["imaging", "cohort", "format", "cache", "manifest", "image_store", "image_files"]
    names += ["fitting", "intensity", "volume", "readers", "arrays"]
    paths = [*(folder / f"{name}.py" for name in names), *(folder / "formats").glob("*.py")]
    heavy = re.compile(
        r"^(import|from) (torch|monai|pydicom|gdcm|nibabel|tifffile)\b", re.MULTILINE
    )
    assert [path for path in paths if heavy.search(path.read_text())] == []


@pytest.mark.parametrize(("name", "module"), [("dicom", "dicom_table"), ("nifti", "nifti")])
def test_a_missing_package_is_told_with_the_extra(name, module, tmp_path, monkeypatch):
    declared = schema(name, tmp_path)
    for part in (module, "dicom_folder"):
        monkeypatch.setitem(sys.modules, f"training.{part}", None)
    with pytest.raises(InputError, match=r"not installed. Install evenscan\[training\]"):
        read_cohort(declared, tmp_path)
