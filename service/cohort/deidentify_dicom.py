"""Takes out of DICOM files who it is, and leaves what pixels and groups need.

After the Basic Application Level Confidentiality Profile (PS3.15, annex E) with the option to
retain patient characteristics. The profile lists what has to go; here is listed what stays, so
that whatever a later edition, a vendor or a clerk adds goes too: private elements, overlays,
curves and sequences among it.
"""

from io import BytesIO
from typing import TYPE_CHECKING, Final

from evaluation.errors import Fault, InputError
from service.cohort.codestream_comments import without_comments
from service.cohort.identities import Identities

if TYPE_CHECKING:
    from pydicom import Dataset

#: Elements that are kept as they are, at any depth: pixels, and how they are shown.
KEPT: Final = (
    "SOPClassUID", "Modality", "InstanceNumber",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio",
    "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "SmallestImagePixelValue", "LargestImagePixelValue",
    "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "LUTDescriptor", "ModalityLUTType", "LUTData",
    "WindowCenter", "WindowWidth", "VOILUTFunction",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "PresentationLUTShape",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    "BurnedInAnnotation", "RecognizableVisualFeatures",
    "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality",
    "PixelData", "FloatPixelData", "DoubleFloatPixelData",
)  # fmt: skip

#: Sequences that are walked for such elements; nothing else of them is kept.
WALKED: Final = (
    "ModalityLUTSequence", "VOILUTSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "PixelMeasuresSequence", "PixelValueTransformationSequence", "FrameVOILUTSequence",
    "PlanePositionSequence", "PlaneOrientationSequence",
)  # fmt: skip

#: Identifiers that are replaced by a number that follows from them and the secret.
UIDS: Final = (
    "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
)  # fmt: skip

#: Elements that every image has to have, and that are empty.
EMPTIED: Final = (
    "PatientName", "PatientBirthDate", "ReferringPhysicianName", "AccessionNumber",
    "StudyID", "StudyDate", "StudyTime",
)  # fmt: skip

#: Methods that are said to have been used (PS3.16, CID 7050).
METHODS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113108": "Retain Patient Characteristics Option",
}

#: The same in words, since more goes than these have to take out.
DESCRIBED: Final = (
    "Kept: pixels, how they are shown, and which part of the body",
    "Kept of the patient: sex, age, ethnic group",
)

#: Value representations that hold no text. Some devices write one in the place of another.
NUMBERS: Final = frozenset(
    ("DS", "FD", "FL", "IS", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "US")
)


def without_identity(data: bytes, identities: Identities, where: str) -> bytes:
    """The file without who it is; its pixels are not encoded again.

    Args:
        data: A DICOM file.
        identities: Pseudonyms of its data set.
        where: Name of the file, for the message.

    Returns:
        :data:`KEPT` and what :data:`WALKED` has of it, sex, age and ethnic group of the
        patient, hashes for :data:`UIDS` and the patient's number, and that it was done.

    Raises:
        InputError: The file is damaged, or says that its pixels name somebody.
    """
    from pydicom import dcmwrite

    from training.dicom import BROKEN, damaged, opened

    header = opened(BytesIO(data), where)
    try:
        _check_pixels(header, where)
        kept = _kept(header)
        _clean_frames(header, kept)
        _keep_characteristics(header, kept)
        _hide(header, kept, identities)
        _say_how(kept)
        _add_meta(header, kept)
        written = BytesIO()
        dcmwrite(written, kept, enforce_file_format=True)
        return written.getvalue()
    except BROKEN as error:
        raise damaged(error, where) from None


def _check_pixels(header: "Dataset", where: str) -> None:
    """Refuse a file that says that its pixels name somebody."""
    for word, found, remedy in (
        (
            "BurnedInAnnotation",
            "it says that text is burned into its pixels",
            "Mask the text in the pixels, and say so in the header.",
        ),
        (
            "RecognizableVisualFeatures",
            "it says that a face can be recognised in its pixels",
            "Take the face out of the pixels, and say so in the header.",
        ),
    ):
        if str(header.get(word, "")).strip().upper() == "YES":
            raise InputError(Fault(where, found, remedy))


def _kept(read: "Dataset") -> "Dataset":
    from pydicom import Dataset

    kept: Dataset = Dataset()
    for word in KEPT:
        if word in read and _is_of_its_kind(read, word):
            kept[word] = read[word]
    for word in WALKED:
        if read.get(word):
            setattr(kept, word, [_kept(item) for item in read[word].value])
    return kept


def _clean_frames(read: "Dataset", kept: "Dataset") -> None:
    """Take out of encoded frames what a device has noted in them."""
    from pydicom import uid
    from pydicom.encaps import encapsulate, generate_frames

    known = (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes)
    if read.file_meta.TransferSyntaxUID in (*known, *uid.JPEG2000TransferSyntaxes):
        number = max(1, int(read.get("NumberOfFrames") or 1))
        frames = generate_frames(read.PixelData, number_of_frames=number)
        kept.PixelData = encapsulate([without_comments(frame) for frame in frames])
        kept["PixelData"].is_undefined_length = True


def _is_of_its_kind(read: "Dataset", word: str) -> bool:
    """Whether an element is what the standard says it is, and not a name under its number."""
    from pydicom.datadict import dictionary_VR

    own = set(dictionary_VR(word).split(" or "))
    found = read[word].VR
    return found in own or (found in NUMBERS and own <= NUMBERS)


def _keep_characteristics(read: "Dataset", kept: "Dataset") -> None:
    """Keep what groups are made of, where it is what it should be."""
    from training.dicom_table import age_in_years

    sex = str(read.get("PatientSex", "")).strip().upper()
    kept.PatientSex = sex if sex in ("M", "F", "O") else ""
    age = str(read.get("PatientAge", "")).strip().upper()
    if age_in_years(age):
        kept.PatientAge = age
    if "EthnicGroup" in read and _is_of_its_kind(read, "EthnicGroup"):
        kept["EthnicGroup"] = read["EthnicGroup"]


def _hide(read: "Dataset", kept: "Dataset", identities: Identities) -> None:
    kept.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, whatever the texts were in
    for word in UIDS:
        if read.get(word):
            setattr(kept, word, identities.uid(str(read[word].value)))
    for word in EMPTIED:
        setattr(kept, word, None)
    kept.PatientID = identities.pseudonym("patient", str(read.get("PatientID", "")))


def _say_how(kept: "Dataset") -> None:
    from pydicom import Dataset

    kept.PatientIdentityRemoved = "YES"
    kept.LongitudinalTemporalInformationModified = "REMOVED"
    kept.DeidentificationMethod = list(DESCRIBED)
    methods = []
    for code, meaning in METHODS.items():
        method = Dataset()
        method.CodeValue, method.CodingSchemeDesignator = code, "DCM"
        method.CodeMeaning = meaning
        methods.append(method)
    kept.DeidentificationMethodCodeSequence = methods


def _add_meta(read: "Dataset", kept: "Dataset") -> None:
    """What begins a file: how it is encoded, and of what class and number it is."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = read.file_meta.TransferSyntaxUID
    if not UID(str(kept.get("SOPClassUID", ""))).is_valid:
        kept.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")  # any image, such as a photograph
    meta.MediaStorageSOPClassUID = kept.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(str(kept.get("SOPInstanceUID") or "2.25.1"))
    kept.file_meta = meta
