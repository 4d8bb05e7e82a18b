"""Cohorts of arrays in one file."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from training.cohort import CohortSchema, read_cohort
from training.imaging import InputContract

N = 6
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 16, 16), dtype=np.uint8)
LABEL = np.arange(N, dtype=np.uint8) % 2
STYLE = np.arange(N) % 3
GREY = InputContract(size=16, channels=1)


def schema(sample="index", patient="who", attributes=None, label="label", **source):
    return CohortSchema.parse(
        {
            "name": "tried",
            "format": "arrays",
            "sample": sample,
            "patient": patient,
            "source": {"file": "a.npz", "images": "image"} | source,
            "label": {"column": label, "classes": {"no": ["0"], "yes": ["1"]}},
            "attributes": attributes or {},
        },
        "tried.toml",
    )


def save(folder, images=IMAGES, *, packed=False, **arrays):
    (np.savez_compressed if packed else np.savez)(
        folder / "a.npz", image=images, label=LABEL, who=np.arange(N) // 2, **arrays
    )
    return folder


def fault(folder, declared):
    with pytest.raises(InputError) as caught:
        read_cohort(declared, folder)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_columns_and_pixels_come_from_the_file(tmp_path, packed):
    names = np.array(["plain", "striped", "zigzag"])
    save(tmp_path, packed=packed, style=STYLE, style_names=names)
    declared = schema(
        attributes={"style": {"categories": list(names)}}, names={"style": "style_names"}
    )
    cohort = read_cohort(declared, tmp_path)
    assert cohort.table.index.tolist() == [str(i) for i in range(N)]
    assert cohort.table["patient"].tolist() == list("001122")
    assert cohort.table["style"].tolist() == list(names[STYLE])
    for i in range(N):
        np.testing.assert_array_equal(cohort.pixels(str(i), GREY)[0], IMAGES[i])


@pytest.mark.parametrize(
    ("images", "channels", "dimensions"),
    [
        (np.stack([IMAGES, 255 - IMAGES], -1), 2, 2),
        (np.stack([IMAGES] * 3, 1), 3, 2),
        (IMAGES.astype(np.uint16) * 257, 1, 2),
        (IMAGES / 255, 1, 2),
        (np.stack([IMAGES] * 16, 1), 1, 3),
        (np.stack([np.stack([IMAGES] * 16, 1)] * 2, 1), 2, 3),
        (np.stack([np.stack([IMAGES] * 16, 1)] * 2, -1), 2, 3),
    ],
    ids=["nhwc", "nchw", "uint16", "float", "ndhw", "ncdhw", "ndhwc"],
)
def test_every_layout(tmp_path, images, channels, dimensions):
    cohort = read_cohort(schema(), save(tmp_path, images))
    contract = InputContract(size=16, channels=channels, dimensions=dimensions)
    pixels = cohort.pixels("3", contract)
    assert pixels.shape == contract.shape
    first = pixels[0] if dimensions == 2 else pixels[0, 5]
    np.testing.assert_array_equal(first, IMAGES[3])


def test_rows_of_a_manifest_may_name_their_images(tmp_path):
    save(tmp_path)
    columns = {"at": [4, 1, 0], "who": list("abc"), "label": [0, 1, 1], "name": list("xyz")}
    rows = pd.DataFrame(columns)
    rows.to_csv(tmp_path / "m.csv", index=False)
    cohort = read_cohort(schema("name", manifest="m.csv", index="at"), tmp_path)
    np.testing.assert_array_equal(cohort.pixels("x", GREY)[0], IMAGES[4])
    found = fault(tmp_path, schema("name", manifest="m.csv"))
    assert "it has 3 rows, and there are 6 images" in found
    rows.assign(at=[4, 6, "-1"]).to_csv(tmp_path / "m.csv", index=False)
    found = fault(tmp_path, schema("name", manifest="m.csv", index="at"))
    assert "row 2, column at: '6' is no image" in found
    assert "row 3, column at: '-1' is no image" in found


def test_floats_out_of_range_are_refused_with_the_first(tmp_path):
    images = IMAGES / 255
    images[2, 3, 4], images[5, 0, 0] = 1.5, -7
    found = fault(save(tmp_path, images), schema())
    assert "image 2: its numbers run from" in found
    assert "first 1.5 at [3, 4]" in found
    assert "run from -7 to 1.5" in found
    images[2, 3, 4] = np.nan
    assert "1 of its numbers are not finite" in fault(save(tmp_path, images), schema())


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (IMAGES.astype(np.int64), "its numbers are int64"),
        (IMAGES[0], "which is not that of images"),
        (np.array([{}] * N), "which is not that of images"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, images, found):
    assert found in fault(save(tmp_path, images), schema())


def test_objects_are_never_unpickled(tmp_path):
    save(tmp_path, notes=np.array([{}] * N))
    assert "array 'notes' holds Python objects" in fault(tmp_path, schema())


def test_names_that_are_not_there(tmp_path):
    save(tmp_path, style=STYLE, two=np.array(["a", "b"]))
    assert "no array is called 'imag'. Did you mean 'image'?" in fault(
        tmp_path, schema(images="imag")
    )
    found = fault(tmp_path, schema(names={"style": "two"}))
    assert "row 3, column style: '2' is no place of a name" in found
    assert "no column 'stile' (setting 'names')" in fault(
        tmp_path, schema(names={"stile": "two"})
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_damaged_files_are_refused(tmp_path, share):
    data = save(tmp_path).joinpath("a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: int(share * len(data))])
    assert "a.npz: not readable as .npz" in fault(tmp_path, schema())
    (tmp_path / "a.npz").unlink()
    assert "a.npz: no such file" in fault(tmp_path, schema())


def test_another_image_makes_another_fingerprint(tmp_path):
    before = read_cohort(schema(), save(tmp_path)).fingerprint
    changed = IMAGES.copy()
    changed[0, 0, 0] += 1
    assert read_cohort(schema(), save(tmp_path, changed)).fingerprint != before


def test_styled_mnist_as_it_is(data):
    declared = CohortSchema.parse(
        {
            "name": "styled",
            "format": "arrays",
            "sample": "index",
            "patient": "mnist_index",
            "source": {
                "file": "styled_mnist.npz",
                "images": "image",
                "names": {"style": "style_names"},
            },
            "label": {"column": "label", "classes": {str(i): [str(i)] for i in range(10)}},
            "attributes": {"style": {}},
        },
        "styled.toml",
    )
    cohort = read_cohort(declared, data)
    assert len(cohort.table) == 24_000
    assert cohort.table["style"].nunique() == 6
    with np.load(data / "styled_mnist.npz") as file:
        stored = file["image"][77]
    pixels = cohort.pixels("77", InputContract(size=28, channels=1))
    np.testing.assert_array_equal(pixels[0], stored)


@pytest.mark.parametrize(
    ("folder", "file", "sample", "label", "classes"),
    [
        ("nih_cxr1000", "images_64.npz", "image_id", "abnormal", ("0", "1")),
        ("oasis1_slices", "images_128.npz", "index", "dementia", ("0", "1")),
    ],
)
def test_arrays_with_a_manifest_as_they_are(data, folder, file, sample, label, classes):
    declared = CohortSchema.parse(
        {
            "name": "real",
            "format": "arrays",
            "sample": sample,
            "patient": "patient_id",
            "source": {"file": file, "manifest": "metadata.csv", "index": "row"},
            "label": {"column": label, "classes": {value: [value] for value in classes}},
            "attributes": {"sex": {"categories": ["female", "male"]}, "age": {"bins": [60]}},
        },
        "real.toml",
    )
    cohort = read_cohort(declared, data / folder)
    assert cohort.pixels(cohort.table.index[-1], InputContract(size=32)).std() > 5
