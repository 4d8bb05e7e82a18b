"""Cohorts of PNG and JPEG files in a folder or a zip."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation.errors import InputError
from training.cohort import CohortSchema, read_cohort
from training.formats import images as images_module
from training.imaging import InputContract

HAM10000 = Path(__file__).parents[3] / "cohorts" / "ham10000.toml"
CONTRACT = InputContract(size=16)
N = 6


def schema(pattern="{id}.png", images="images", **source):
    return CohortSchema.parse(
        {
            "name": "files",
            "format": "images",
            "sample": "id",
            "patient": "patient",
            "source": {"manifest": "m.csv", "images": images, "pattern": pattern} | source,
            "label": {"column": "dx", "classes": {"benign": ["0"], "malignant": ["1"]}},
            "attributes": {"sex": {"categories": ["f", "m"]}},
        },
        "files.toml",
    )


@pytest.fixture
def folder(tmp_path):
    """Six images of one colour each, as files and as a zip."""
    (tmp_path / "images" / "sub").mkdir(parents=True)
    rows = []
    with zipfile.ZipFile(tmp_path / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(N):
            path = tmp_path / "images" / f"{i}.png"
            Image.new("RGB", (20, 16), (i, 10 * i, 255)).save(path)
            archive.write(path, f"{i}.png")
            archive.write(path, f"sub/{i}.png")
            rows.append(
                {
                    "id": i,
                    "patient": f"p{i // 2}",
                    "dx": i % 2,
                    "sex": "fm"[i % 2],
                    "dir": "sub",
                }
            )
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    return tmp_path


def change(folder, **columns):
    table = pd.read_csv(folder / "m.csv", dtype=str)
    for name, values in columns.items():
        table[name] = values
    table.to_csv(folder / "m.csv", index=False)


def faults(folder, declared=None):
    with pytest.raises(InputError) as caught:
        read_cohort(declared or schema(), folder)
    return [str(fault).replace(str(folder), "") for fault in caught.value.faults]


@pytest.mark.parametrize("place", ["images", "images.zip"])
def test_folder_and_zip_read_the_same(folder, place):
    cohort = read_cohort(schema(images=place), folder)
    assert list(cohort.table.index) == [str(i) for i in range(N)]
    for i in range(N):
        assert (cohort.pixels(str(i), CONTRACT)[:, 3, 3] == (i, 10 * i, 255)).all()


def test_pattern_may_use_several_columns(folder):
    cohort = read_cohort(schema(pattern="{dir}/{id}.png", images="images.zip"), folder)
    assert cohort.table["image"].iloc[2] == "sub/2.png"
    assert cohort.pixels("2", CONTRACT)[0, 0, 0] == 2


@pytest.mark.parametrize("place", ["images", "images.zip"])
def test_threads_may_share_a_cohort(folder, place):
    cohort = read_cohort(schema(images=place), folder)
    wanted = [str(i % N) for i in range(300)]
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda sample: cohort.pixels(sample, CONTRACT), wanted))
    assert [str(pixels[0, 0, 0]) for pixels in loaded] == wanted


@pytest.mark.parametrize("place", ["images", "images.zip"])
def test_fingerprint_follows_content_not_time(folder, place):
    before = read_cohort(schema(images=place), folder).fingerprint
    assert read_cohort(schema(images=place), folder).fingerprint == before
    path = folder / "images" / "3.png"
    path.write_bytes(path.read_bytes())
    Image.new("RGB", (20, 16), (99, 0, 0)).save(path)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i in range(N):
            archive.write(folder / "images" / f"{i}.png", f"{i}.png")
    assert read_cohort(schema(images=place), folder).fingerprint != before


@pytest.mark.parametrize("place", ["images", "images.zip"])
def test_missing_images_are_all_listed_with_their_rows(folder, place):
    change(folder, id=["0", "x", "2", "y", "4", "5"])
    found = faults(folder, schema(images=place))
    assert [fault.partition(" in ")[0] for fault in found] == [
        "/m.csv, row 2, column id: no image 'x.png'",
        "/m.csv, row 4, column id: no image 'y.png'",
    ]


@pytest.mark.parametrize("place", ["images", "images.zip"])
@pytest.mark.parametrize("value", ["../secret", "/etc/passwd", "a/../../b", "..\\b"])
def test_paths_that_lead_out_of_the_folder_are_refused(folder, place, value):
    Image.new("RGB", (8, 8)).save(folder / "secret.png")
    change(folder, id=["0", value, "2", "3", "4", "5"])
    (found,) = faults(folder, schema(images=place))
    assert found.startswith("/m.csv, row 2, column id: image path")
    assert "must" in found


def test_faults_of_table_and_images_come_together(folder):
    change(folder, id=["0", "0", "x", "3", "4", "5"], dx=list("01?101"), sex=list("fmfmfz"))
    kinds = ["also in row 1", "belongs to no class", "'z' is not declared", "no image 'x.png'"]
    found = faults(folder)
    assert len(found) == len(kinds)
    assert all(kind in fault for kind, fault in zip(kinds, found, strict=True))


def test_columns_of_the_pattern_are_needed(folder):
    (found,) = faults(folder, schema(pattern="{idd}.png"))
    assert "no column 'idd' (pattern of the image path). Did you mean 'id'?" in found


def test_one_class_cohort(folder):
    change(folder, dx="0")
    (found,) = faults(folder)
    assert "class 'malignant' has no sample" in found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pattern": "{id.__class__}.png"}, "write each column as {column}"),
        ({"pattern": "{id!r}.png"}, "write each column as {column}"),
        ({"pattern": "{id:>9}.png"}, "write each column as {column}"),
        ({"pattern": "{}.png"}, "write each column as {column}"),
        ({"pattern": "{id.png"}, "'pattern' is '{id.png'"),
        ({"images": "../images"}, "must not climb out"),
        ({"manifest": "/m.csv"}, "must be a relative path"),
        ({"folder": "x"}, "unknown key 'folder'"),
    ],
)
def test_settings_that_reach_too_far_are_refused(changes, expected):
    with pytest.raises(InputError) as caught:
        schema(**changes)
    assert expected in str(caught.value)


def test_no_images_at_all(folder):
    assert "/nowhere: no such folder or zip" in faults(folder, schema(images="nowhere"))[0]
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    assert "/broken.zip: not readable" in faults(folder, schema(images="broken.zip"))[0]


def test_an_unreadable_image_is_named(folder):
    cohort = read_cohort(schema(), folder)
    whole = (folder / "images" / "1.png").read_bytes()
    (folder / "images" / "1.png").write_bytes(whole[:60])
    with pytest.raises(InputError, match=r"images/1\.png: the image is truncated"):
        cohort.pixels("1", CONTRACT)
    (folder / "images" / "1.png").unlink()
    with pytest.raises(InputError, match=r"images/1\.png: not readable"):
        cohort.pixels("1", CONTRACT)


def test_a_damaged_member_of_a_zip_is_named(folder):
    path = folder / "images.zip"
    data = bytearray(path.read_bytes())
    at = data.index(b"0.png") + 20
    data[at : at + 10] = b"\0" * 10
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"images\.zip/0\.png: not readable"):
        read_cohort(schema(images="images.zip"), folder).pixels("0", CONTRACT)


@pytest.mark.parametrize("place", ["images", "images.zip"])
def test_huge_files_are_not_read(folder, place, monkeypatch):
    monkeypatch.setattr("training.image_store.LARGEST_FILE", 10)
    cohort = read_cohort(schema(images=place), folder)
    with pytest.raises(InputError, match="the file has 0 MiB"):
        cohort.pixels("1", CONTRACT)


def test_the_module_defines_one_format():
    assert images_module.Images.settings_type is images_module.ImagesSettings


def test_ham10000_as_it_is(data):
    cohort = read_cohort(CohortSchema.load(HAM10000), data / "ham10000")
    manifest = pd.read_csv(data / "ham10000" / "metadata.csv").set_index("image_id")
    assert len(cohort.table) == 10_015
    assert cohort.table["patient"].nunique() == 7_470
    np.testing.assert_array_equal(cohort.table["label"], manifest["malignant"])
    missing = cohort.table.isna().sum()
    assert missing[missing > 0].to_dict() == {"sex": 57, "age": 57, "localization": 234}
    ages = cohort.schema.attribute("age").values(cohort.table["age"], "ham10000")
    assert set(ages.categories) == {"<40", "40-<60", ">=60", "(missing)"}
    pixels = cohort.pixels("ISIC_0024306", InputContract(size=64))
    assert pixels.std() > 10
