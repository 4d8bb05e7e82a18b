"""Cohorts of NIfTI and Analyze volumes."""

import gzip

import nibabel
import numpy as np
import pytest

from evaluation.errors import InputError
from training.cohort import CohortSchema, read_cohort
from training.imaging import InputContract

#: A voxel value that tells where it lies: right, anterior and superior each add their part.
X, Y, Z = np.meshgrid(np.arange(6), np.arange(8), np.arange(8), indexing="ij")
PLACES = (1 + X + 10 * Y + 100 * Z).astype(np.float32)
WINDOW = {"window": [0, 1000]}


def schema(pattern="{id}.nii", **source):
    return CohortSchema.parse(
        {
            "name": "brains",
            "format": "nifti",
            "sample": "id",
            "patient": "id",
            "source": {"manifest": "m.csv", "images": ".", "pattern": pattern} | source,
            "label": {"column": "dx", "classes": {"no": ["0"], "yes": ["1"]}},
        },
        "brains.toml",
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m.csv").write_text("id,dx\na,0\nb,1\n")
    for name in "ab":
        save(tmp_path / f"{name}.nii")
    return tmp_path


def save(path, values=PLACES, affine=None, kind=nibabel.Nifti1Image):
    kind(values, np.eye(4) if affine is None else affine).to_filename(path)


def read(folder, contract, pattern="{id}.nii", **source):
    return read_cohort(schema(pattern, **source), folder).pixels("a", contract)


def flat(size=8, **options):
    return InputContract(size=size, channels=1, fit="pad", **options)


def shown(values):
    return np.rint(values * 0.255).astype(int)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr", ".img"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_every_kind_of_file(folder, suffix, kind):
    if suffix in (".hdr", ".img"):
        kind = nibabel.Nifti1Pair
    for name in "ab":
        save(folder / f"{name}{suffix}", kind=kind)
    cube = read(folder, flat(dimensions=3), f"{{id}}{suffix}", **WINDOW)
    inner = PLACES.transpose(2, 1, 0)[:, ::-1]
    assert abs(cube[0, :, :, 1:7].astype(int) - shown(inner)).max() <= 1


def test_analyze_pairs(folder):
    """Without an orientation the first voxel along width is the patient's right."""
    for name in "ab":
        save(folder / f"{name}.hdr", np.int16(PLACES), np.diag([-1, 1, 1, 1.0]),
             nibabel.AnalyzeImage)  # fmt: skip
    cube = read(folder, flat(dimensions=3), "{id}.hdr", **WINDOW)
    inner = PLACES[::-1].transpose(2, 1, 0)[:, ::-1]
    assert abs(cube[0, :, :, 1:7].astype(int) - shown(inner)).max() <= 1
    (folder / "b.img").unlink()
    with pytest.raises(InputError, match=r"row 2, column id: no image 'b\.img'"):
        read_cohort(schema("{id}.hdr"), folder)


@pytest.mark.parametrize("turned", ["LPS", "SAR", "PIR"])
def test_orientation_does_not_matter(folder, turned):
    expected = read(folder, flat(dimensions=3), **WINDOW)
    image = nibabel.Nifti1Image(PLACES, np.eye(4))
    target = nibabel.orientations.axcodes2ornt(turned)
    image.as_reoriented(target).to_filename(folder / "a.nii")
    np.testing.assert_array_equal(read(folder, flat(dimensions=3), **WINDOW), expected)


@pytest.mark.parametrize(
    ("plane", "expected"),
    [
        ("axial", PLACES[:, :, 4].T[::-1]),
        ("coronal", PLACES[:, 4, :].T[::-1]),
        ("sagittal", PLACES[3, :, :].T[::-1, ::-1]),
    ],
)
def test_slices_stand_upright(folder, plane, expected):
    contract = InputContract(size=8, channels=1, fit="pad")
    pixels = read(folder, contract, slice=plane, **WINDOW)[0]
    height, width = expected.shape
    top, left = (8 - height) // 2, (8 - width) // 2
    inner = pixels[top : top + height, left : left + width]
    assert abs(inner.astype(int) - shown(expected)).max() <= 1


def test_another_slice(folder):
    first = read(folder, flat(), index=0, **WINDOW)
    assert first.max() < read(folder, flat(), index=7, **WINDOW).max()
    with pytest.raises(InputError, match="it has 8 axial slices, and slice 8 is asked for"):
        read(folder, flat(), index=8)


def test_spacing_gives_the_proportions(folder):
    save(folder / "a.nii", np.full((8, 8, 4), 5.0, np.float32), np.diag([1, 1, 2, 1.0]))
    assert (read(folder, flat(dimensions=3)) == 255).all()


def test_percentiles_are_of_what_is_not_zero(folder):
    values = np.zeros((8, 8, 8), np.float32)
    values[2:6] = np.linspace(1, 100, 256).reshape(4, 8, 8)
    save(folder / "a.nii", values)
    cube = read(folder, flat(dimensions=3), percentiles=[0, 100])[0]
    assert (cube[:, :, :2] == 0).all()
    assert cube.max() == 255
    median = np.median(cube[:, :, 2:6])
    assert abs(median - 127.5) <= 1


def test_what_is_not_finite_is_black(folder):
    values = PLACES.copy()
    values[0] = np.nan
    save(folder / "a.nii", values)
    cube = read(folder, flat(dimensions=3), **WINDOW)
    assert (cube[0, :, :, 1] == 0).all()
    save(folder / "a.nii", np.full((8, 8, 8), np.nan, np.float32))
    with pytest.raises(InputError, match=r"a\.nii: every voxel is 0 or not finite"):
        read(folder, flat(dimensions=3))


def test_a_fourth_axis_is_that_of_channels(folder):
    save(folder / "a.nii", np.stack([PLACES, PLACES[::-1]], -1))
    contract = InputContract(size=8, channels=2, dimensions=3, fit="pad")
    cube = read(folder, contract, **WINDOW)
    np.testing.assert_array_equal(cube[0, :, :, 1:7], cube[1, :, :, 6:0:-1])
    with pytest.raises(InputError, match=r"its shape is \(6, 8, 8, 2\), and the model takes 1"):
        read(folder, flat(dimensions=3))


def test_complex_voxels_are_refused(folder):
    save(folder / "a.nii", PLACES.astype(np.complex64))
    with pytest.raises(InputError, match=r"a\.nii: its voxels are not real numbers"):
        read(folder, flat())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_files_are_refused(folder, packed, share):
    data = (folder / "a.nii").read_bytes()
    data = gzip.compress(data) if packed else data
    (folder / "a.nii").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"a\.nii: (.* truncated|.* damaged|it is not a)"):
        read(folder, flat())


def test_huge_volumes_are_refused_from_the_header(folder):
    data = bytearray((folder / "a.nii").read_bytes())
    data[42:48] = np.array([3000] * 3, "<i2").tobytes()
    (folder / "a.nii").write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(InputError, match=r"27,000,000,000 voxels\. At most 200 million"):
        read(folder, flat())
    (folder / "a.nii").write_bytes(b"something else")
    with pytest.raises(InputError, match="it is not a NIfTI volume"):
        read(folder, flat())


def test_settings(folder):
    one, two = (read_cohort(schema(slice=s), folder).fingerprint for s in ("axial", "coronal"))
    assert one != two
    for wrong in ({"window": [5, 1]}, {"percentiles": [50, 5]}, {"slice": "oblique"}):
        with pytest.raises(InputError, match=r"brains, source"):
            schema(**wrong)
