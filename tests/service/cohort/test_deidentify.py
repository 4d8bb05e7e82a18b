"""Image files lose who it is, and no pixel."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from cohort_samples import NAME, SCHEMA, dicom, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.errors import InputError
from service.cohort.deidentify import cleaned
from service.cohort.identities import Identities
from training.cohort import CohortSchema
from training.imaging import InputContract, decode

IDENTITIES = Identities(b"s" * 32, CohortSchema.parse(SCHEMA, "test"))
CONTRACT = InputContract(size=32)


def clean(data):
    return cleaned(data, IDENTITIES, "image of row 1")


def jpeg(turn=6, **more):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = turn, NAME
    data = BytesIO()
    image = Image.open(BytesIO(picture(3)))
    image.save(data, "JPEG", exif=exif, comment=NAME, icc_profile=b"colour" * 9, **more)
    return data.getvalue()


def tiff(**more):
    data = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    extra = [(65000, "s", 0, NAME, True), (315, "s", 0, NAME, True)]
    tifffile.imwrite(
        data,
        pixels,
        description=NAME,
        extratags=extra,
        photometric="rgb",
        metadata=None,
        **more,
    )
    return data.getvalue()


#: EXIF of an image that lies on its side.
TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + bytes(4)

FILES = {
    "png": picture(1),
    "turned png": picture(1, exif=TURNED),
    "jpeg": jpeg(),
    "progressive jpeg": jpeg(turn=1, progressive=True),
    "jpeg with restarts": jpeg(restart_marker_blocks=1),
    "tiff": tiff(),
    "tiled tiff": tiff(tile=(16, 16), compression="zlib"),
    "big tiff": tiff(bigtiff=True),
    "dicom": dicom(),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_pixels_stay_and_the_rest_goes(kind):
    data = FILES[kind]
    plain = clean(data)
    assert NAME.encode() not in plain
    np.testing.assert_array_equal(decode(plain, CONTRACT, "a"), decode(data, CONTRACT, "b"))
    assert clean(data) == plain
    if kind != "dicom":
        assert clean(plain) == plain


def test_what_hangs_on_behind_an_image_goes():
    assert clean(picture(1) + NAME.encode()) == clean(picture(1))
    assert clean(jpeg() + NAME.encode()) == clean(jpeg())


def test_colour_profiles_stay():
    assert b"colour" * 9 in clean(jpeg())


def test_pseudonyms_depend_on_the_secret_and_the_data_set():
    other = Identities(b"t" * 32, IDENTITIES.schema)
    elsewhere = Identities(b"s" * 32, CohortSchema.parse(SCHEMA | {"name": "b"}, "test"))
    names = {each.pseudonym("patient", NAME) for each in (IDENTITIES, other, elsewhere)}
    assert len(names) == 3


# pydicom warns of odd headers before it reads or refuses them.
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_are_cleaned_or_refused(kind, data):
    file = bytearray(FILES[kind][: data.draw(st.integers(4, len(FILES[kind])))])
    for _ in range(data.draw(st.integers(0, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    said = ""
    try:
        clean(bytes(file))
    except InputError as error:
        said = str(error)
    assert NAME not in said
