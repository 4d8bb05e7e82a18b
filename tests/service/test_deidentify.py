"""Image files lose who it is, and no pixel."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from cohort_samples import NAME, SCHEMA, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset

from evaluation.errors import InputError
from service.deidentify import Identities, cleaned
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


def dicom(**changes):
    rows = np.random.default_rng(0).integers(0, 4095, (16, 12), np.uint16)
    header = Dataset()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    header.SOPInstanceUID, header.StudyInstanceUID = "1.2.3.4", "1.2.3"
    header.PatientName, header.PatientID = NAME, f"{NAME}-7"
    header.PatientSex, header.PatientAge, header.PatientBirthDate = "F", "061Y", "19600101"
    header.InstitutionName, header.Modality = "Hospital", "CR"
    header.Rows, header.Columns, header.SamplesPerPixel = 16, 12, 1
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation, header.PhotometricInterpretation = 0, "MONOCHROME2"
    header.WindowCenter, header.WindowWidth = 2000, 3000
    header.PixelData = rows.tobytes()
    header.add_new(0x00091001, "LO", NAME)
    for name, value in changes.items():
        setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    data = BytesIO()
    dcmwrite(data, header, enforce_file_format=True)
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


def test_dicom_keeps_what_groups_need():
    header = dcmread(BytesIO(clean(dicom())))
    assert (header.PatientSex, header.PatientAge, header.Modality) == ("F", "061Y", "CR")
    assert header.PatientIdentityRemoved == "YES"
    assert header.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert header.PatientID == IDENTITIES.pseudonym("patient", f"{NAME}-7")
    assert header.SOPInstanceUID.startswith("2.25.")
    assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
    for word in ("PatientName", "PatientBirthDate", "InstitutionName"):
        assert word not in header
    assert not any(element.tag.is_private for element in header)


def test_burned_in_names_are_refused():
    with pytest.raises(InputError, match="burned into its pixels"):
        clean(dicom(BurnedInAnnotation="YES"))


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
