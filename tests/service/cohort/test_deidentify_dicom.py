"""DICOM files lose what the standard's profile lists, and whatever else is not listed here."""

import struct
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from cohort_samples import NAME, SCHEMA, dicom
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as profile
from pydicom import DataElement, Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from evaluation.errors import InputError
from service.cohort.deidentify import cleaned
from service.cohort.deidentify_dicom import DESCRIBED, KEPT, METHODS, UIDS, WALKED
from service.cohort.identities import Identities
from training.cohort import CohortSchema
from training.imaging import InputContract, decode

IDENTITIES = Identities(b"s" * 32, CohortSchema.parse(SCHEMA, "test"))
OTHERS = Identities(b"s" * 32, CohortSchema.parse(SCHEMA | {"name": "others"}, "test"))

#: Elements of the profile's table that stay: "Retain Patient Characteristics".
CHARACTERISTICS = {"PatientSex", "PatientAge", "EthnicGroup"}

#: What may remain of names, dates, times and unique identifiers: kinds of files, and hashes.
ALLOWED = {"SOPClassUID", *UIDS}

#: Something that tells who it is, for each value representation.
BIRTHDAY, UID = "19600203", "1.2.826.0.1.3680043.9.7117"
TELLING = {
    "AE": "ERIKA", "AS": "061Y", "CS": "MUSTERMANN", "DA": BIRTHDAY, "DT": f"{BIRTHDAY}101112",
    "DS": "7117", "IS": "7117", "PN": NAME, "TM": "101112", "UI": UID, "UR": f"http://{NAME}",
    "AT": 0x00100010, "FD": 7117.0, "FL": 7117.0, "SL": 7117, "SS": 7117, "SV": 7117,
    "UL": 7117, "US": 7117, "UV": 7117,
} | dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), NAME) | dict.fromkeys(
    ("OB", "OD", "OF", "OL", "OV", "OW", "UN"), (NAME.encode() + bytes(8))[:24]
)  # fmt: skip


def clean(data, identities=IDENTITIES):
    return cleaned(data, identities, "image of row 1")


def elements(data: Dataset) -> Iterator[DataElement]:
    """Every element of a file, at any depth."""
    for element in data:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def somebody() -> Dataset:
    """An item of a sequence that tells who it is."""
    item = Dataset()
    for word in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "Rows"):
        tag = tag_for_keyword(word)
        item.add_new(tag, dictionary_VR(tag), TELLING[dictionary_VR(tag)])
    item.private_block(0x0009, NAME, create=True).add_new(1, "LO", NAME)
    return item


def everything() -> Dataset:
    """Every element that the standard knows, each of which tells who it is."""
    made = somebody()
    for number, (kinds, *_) in DicomDictionary.items():
        tag, kind = Tag(number), kinds.split(" or ")[0]
        if tag.group <= 4 or tag.group == 0xFFFE or not tag.element:
            continue
        if kind == "SQ":
            made.add_new(tag, "SQ", Sequence([somebody()]))
        elif kind in TELLING and tag != tag_for_keyword("SpecificCharacterSet"):
            made.add_new(tag, kind, TELLING[kind])
    return made


@pytest.fixture(scope="module")
def both():
    """A file with every element of the standard, and what is left of it."""
    header = dcmread(BytesIO(dicom()))
    held = {word for word in KEPT if word in header}
    for element in everything():
        if element.keyword not in held | {"BurnedInAnnotation", "RecognizableVisualFeatures"}:
            header[element.tag] = element
    header.PatientSex = "F"
    data = BytesIO()
    dcmwrite(data, header, enforce_file_format=True)
    return header, dcmread(BytesIO(clean(data.getvalue())))


def test_what_the_profile_lists_is_gone_emptied_or_replaced(both):
    before, after = both
    listed = {Tag(*tag) for tag in profile.ALL_TAGS if len(tag) == 2}
    known = {tag for tag in listed if tag in before}
    assert len(known) > 550
    for element in elements(after):
        if element.tag in listed and element.keyword not in CHARACTERISTICS:
            assert not element.value or element.keyword in {*UIDS, "PatientID"}, element
    for number, _, mask, _ in (tag for tag in profile.ALL_TAGS if len(tag) == 4):
        assert not [each for each in after if each.tag.group & mask == number], hex(number)


def test_what_stays_is_listed(both):
    _, after = both
    written = {
        "SpecificCharacterSet", "PatientID", "PatientIdentityRemoved",
        "LongitudinalTemporalInformationModified", "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "CodeValue", "CodingSchemeDesignator", "CodeMeaning",
    }  # fmt: skip
    for element in elements(after):
        known = {*KEPT, *WALKED, *UIDS, *CHARACTERISTICS, *written}
        assert element.keyword in known or not element.value, element
        assert not element.tag.is_private, element


def test_names_dates_and_identifiers_are_none_of_the_patient(both):
    _, after = both
    for element in elements(after):
        if element.VR in ("PN", "DA", "TM", "DT", "UI") and element.value:
            assert element.keyword in ALLOWED, element
            assert element.value != UID or element.keyword == "SOPClassUID", element


def test_nothing_of_it_is_in_the_bytes(both):
    before, _ = both
    data = BytesIO()
    # What is kept as it is, whatever it says, is left out here; pixels could say anything.
    for word in {*KEPT, *WALKED, "EthnicGroup"} - set(dcmread(BytesIO(dicom())).dir()):
        before.pop(word, None)
    dcmwrite(data, before, enforce_file_format=True)
    left = clean(data.getvalue())
    for told in (NAME, "ERIKA", "MUSTERMANN", BIRTHDAY, "101112"):
        assert told.encode() not in left


def test_a_name_under_the_number_of_something_else_goes():
    header = dcmread(BytesIO(dicom()))
    for word, kind in (("BodyPartExamined", "PN"), ("SliceThickness", "LO")):
        header[tag_for_keyword(word)] = DataElement(tag_for_keyword(word), kind, NAME)
    header.PatientSex, header.PatientAge = NAME[:9], "61"
    data = BytesIO()
    dcmwrite(data, header, enforce_file_format=True)
    left = dcmread(BytesIO(clean(data.getvalue())))
    assert not {"BodyPartExamined", "SliceThickness", "PatientAge"} & set(left.dir())
    assert left.PatientSex == ""


def test_groups_and_what_was_done_are_there():
    left = dcmread(BytesIO(clean(dicom(EthnicGroup="Sorb"))))
    assert (left.PatientSex, left.PatientAge, left.EthnicGroup) == ("F", "061Y", "Sorb")
    assert left.Modality == "CR"
    assert left.PatientIdentityRemoved == "YES"
    assert left.LongitudinalTemporalInformationModified == "REMOVED"
    assert list(left.DeidentificationMethod) == list(DESCRIBED)
    methods = left.DeidentificationMethodCodeSequence
    assert {each.CodeValue: each.CodeMeaning for each in methods} == METHODS
    assert {each.CodingSchemeDesignator for each in methods} == {"DCM"}
    assert left.PatientID == IDENTITIES.pseudonym("patient", f"{NAME}-7")
    assert left.PatientName == left.PatientBirthDate == ""


def test_identifiers_are_the_same_within_a_cohort_only():
    files = [dicom(SOPInstanceUID=f"1.2.3.{k}", SeriesInstanceUID="1.2.9") for k in range(2)]
    one, two = (dcmread(BytesIO(clean(data))) for data in files)
    other = dcmread(BytesIO(clean(files[0], OTHERS)))
    assert one.SeriesInstanceUID == two.SeriesInstanceUID != other.SeriesInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    for word in UIDS:
        if word in one:
            assert one[word].value.startswith("2.25.")
            assert one[word].value.is_valid
    assert one.PatientID == two.PatientID != other.PatientID


@pytest.mark.parametrize("word", ["BurnedInAnnotation", "RecognizableVisualFeatures"])
def test_pixels_that_name_somebody_are_refused(word):
    with pytest.raises(InputError, match=r"in(to)? its pixels"):
        clean(dicom(**{word: "YES"}))
    assert dcmread(BytesIO(clean(dicom(**{word: "NO"}))))[word].value == "NO"


def commented(frame: bytes) -> bytes:
    """A frame with a comment behind its first marker, or behind the one that has its size."""
    text = NAME.encode()
    if frame[:2] == b"\xff\xd8":
        return frame[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + frame[2:]
    at = 4 + struct.unpack_from(">H", frame, 4)[0]
    comment = b"\xff\x64" + struct.pack(">HH", len(text) + 4, 1) + text
    return frame[:at] + comment + frame[at:]


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "JPEGLSNearLossless_16.dcm",
        "JPEG2000.dcm",
        "MR_small_jp2klossless.dcm",
    ],
)
def test_comments_in_encoded_frames_go(name):
    header = dcmread(get_testdata_file(name, download=False))
    (frame,) = generate_frames(header.PixelData, number_of_frames=1)
    header.PixelData = encapsulate([commented(frame)])
    header["PixelData"].is_undefined_length = True
    data = BytesIO()
    dcmwrite(data, header, enforce_file_format=True)
    assert NAME.encode() in data.getvalue()
    left = clean(data.getvalue())
    assert NAME.encode() not in left
    contract = InputContract(size=32)
    shown = decode(data.getvalue(), contract, "a")
    np.testing.assert_array_equal(decode(left, contract, "b"), shown)


def test_how_several_frames_are_shown_is_kept():
    group, window, value = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 900, 500
    value.RescaleSlope, value.RescaleIntercept, value.RescaleType = 2, -100, "US"
    group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [window], [value]
    who = Dataset()
    who.PatientName, who.FrameAcquisitionDateTime = NAME, f"{BIRTHDAY}101112"
    group.FrameContentSequence, group.ReferencedImageSequence = [who], [who]
    group.PatientName = NAME
    data = dicom(
        SharedFunctionalGroupsSequence=[group], WindowCenter=None, WindowWidth=None,
        PerFrameFunctionalGroupsSequence=[who],
    )  # fmt: skip
    left = clean(data)
    contract = InputContract(size=32)
    np.testing.assert_array_equal(decode(left, contract, "a"), decode(data, contract, "b"))
    assert NAME.encode() not in left
    assert BIRTHDAY.encode() not in left
