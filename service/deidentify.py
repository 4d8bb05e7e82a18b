"""Takes out of tables and image files who it is, and leaves what models and audits need.

No header can prove that the pixels themselves name nobody: text that a device has burned in, or
a face. Files that say so of themselves are refused; others are for people to look at.
"""

import hashlib
import hmac
import re
import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evaluation.errors import Fault, InputError
from service.deidentify_tiff import without_metadata as plain_tiff
from training.cohort import Cohort, CohortSchema
from training.image_header import JPEG, PNG
from training.imaging import TIFF

if TYPE_CHECKING:
    from pydicom import Dataset

#: Chunks of a PNG that pixels and their colours depend on.
PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS iCCP gAMA cHRM sRGB sBIT bKGD hIST pHYs cICP".split()
)

#: Tag of EXIF that says how to turn an image.
ORIENTATION: Final = 0x0112

#: Elements of DICOM that are kept as they are: pixels, how they are shown, and groups.
DICOM_KEPT: Final = (
    "SOPClassUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "PixelAspectRatio",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "InstanceNumber",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "PresentationLUTShape",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "BodyPartExamined",
    "ViewPosition",
    "Laterality",
    "ImageLaterality",
    "PatientSex",
    "PatientAge",
    "EthnicGroup",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
)

#: Tables that values pass on their way to the screen: only their numbers are kept.
DICOM_TABLES: Final = ("ModalityLUTSequence", "VOILUTSequence")

#: Identifiers that are replaced by a number that follows from them and the secret.
DICOM_UIDS: Final = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
)

QUOTED: Final = re.compile(r"'[^']*'")


class Identities:
    """The pseudonyms of a data set. Who lacks the secret can neither make nor undo them."""

    def __init__(self, secret: bytes, schema: CohortSchema) -> None:
        """Use a secret for a data set. The same person has another pseudonym in another one."""
        self.secret, self.schema = secret, schema

    def pseudonym(self, kind: str, identifier: str) -> str:
        """32 hexadecimal digits of HMAC-SHA-256: the same for the same identifier."""
        text = "\0".join((kind, self.schema.name, identifier))
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()[:32]

    def uid(self, identifier: str) -> str:
        """A unique identifier of DICOM in place of another."""
        number = hmac.new(self.secret, f"uid\0{identifier}".encode(), hashlib.sha256).digest()
        return f"2.25.{int.from_bytes(number[:16])}"

    def hidden(self, cohort: Cohort) -> Cohort:
        """The cohort with hashed patients.

        Samples keep their names, unless one of them is made of its patient's: then all are
        hashed.
        """
        table = cohort.table.copy()
        pairs = zip(table.index, table["patient"], strict=True)
        telling = any(patient.casefold() in str(sample).casefold() for sample, patient in pairs)
        if telling:
            table.index = table.index.map(lambda name: self.pseudonym("sample", name))
            table.index.name = "sample"
        names = {name: self.pseudonym("patient", name) for name in table["patient"].unique()}
        table["patient"] = table["patient"].map(names)
        return replace(cohort, table=table)


def told(error: InputError, schema: CohortSchema, folder: Path) -> InputError:
    """The error without the folder, and without what could be a patient's name.

    Rows are told by number. Of values, those of the label and of attributes are repeated; a
    sample, a patient, and what a path is made of are not.
    """
    harmless = {schema.label.column} | {
        declared.column or name for name, declared in schema.attributes.items()
    }
    harmless -= {schema.sample, schema.patient}

    def plain(fault: Fault) -> Fault:
        where, found = (
            text.replace(f"{folder}/", "").replace(str(folder), "the folder")
            for text in (fault.where, fault.found)
        )
        if fault.row is not None and fault.column not in harmless:
            found = QUOTED.sub("(not shown)", found)
        return replace(fault, where=where, found=found)

    return InputError(*map(plain, error.faults))


def cleaned(data: bytes, identities: Identities, where: str) -> bytes:
    """An image file without what it says besides its pixels; those are not encoded again.

    Args:
        data: PNG, JPEG, TIFF or DICOM.
        identities: Pseudonyms for DICOM.
        where: Name of the file, for the message.

    Returns:
        The same bytes for the same file. How an image is turned, its colour profile, and what
        :data:`DICOM_KEPT` lists is still there.

    Raises:
        InputError: The file is damaged or of another kind, or says that its pixels name
            somebody.
    """
    try:
        if data[128:132] == b"DICM":
            return _dicom(data, identities, where)
        if data.startswith(PNG):
            return _png(data)
        if data.startswith(JPEG):
            return _jpeg(data)
        if data.startswith(TIFF):
            return plain_tiff(data)
    except (ValueError, IndexError, struct.error):
        raise InputError(Fault(where, "it is damaged", "Export it again.")) from None
    raise InputError(Fault(where, "it is no PNG, JPEG, TIFF or DICOM", "Export it again."))


def _png(data: bytes) -> bytes:
    parts, at, kind = [PNG], len(PNG), b""
    turn = _exif_orientation(data)
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise ValueError("truncated")
        if kind == b"IDAT" and turn:
            parts.append(_chunk(b"eXIf", turn))
            turn = b""
        if kind in PNG_KEPT:
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    from zlib import crc32

    sum_ = struct.pack(">I", crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + sum_


def _jpeg(data: bytes) -> bytes:
    parts, at = [data[:2]], 2
    if turn := _exif_orientation(data):
        exif = b"Exif\0\0" + turn
        parts.append(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise ValueError("no marker")
        if marker == 0xD9:
            return b"".join([*parts, b"\xff\xd9"])
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        segment = data[at:end]
        if end > len(data):
            raise ValueError("truncated")
        if marker == 0xE0 and segment[4:9] == b"JFIF\0":
            parts.append(b"\xff\xe0\0\x10" + segment[4:16] + b"\0\0")  # without its thumbnail
        elif (
            (marker == 0xE2 and segment[4:16] == b"ICC_PROFILE\0")
            or (marker == 0xEE and segment[4:9] == b"Adobe")
            or not (0xE0 <= marker <= 0xEF or marker == 0xFE)
        ):
            parts.append(segment)
        at = end
        if marker == 0xDA:
            begin = at
            while not (data[at] == 0xFF and data[at + 1] not in (0, *range(0xD0, 0xD8))):
                at = data.index(b"\xff", at + 1)
            parts.append(data[begin:at])


def _exif_orientation(data: bytes) -> bytes:
    """EXIF that says how an image is turned and nothing else; empty if it is upright."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as image:
            turn = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  whatever is wrong with the note, the pixels may be good
        return b""
    if turn not in range(2, 9):
        return b""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, turn, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def _dicom(data: bytes, identities: Identities, where: str) -> bytes:
    from pydicom import Dataset, dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    from training.dicom import BROKEN, damaged, opened

    header = opened(BytesIO(data), where)
    try:
        if str(header.get("BurnedInAnnotation", "")).strip().upper() == "YES":
            remedy = "Mask the text in the pixels, and say so in the header."
            found = "it says that text is burned into its pixels"
            raise InputError(Fault(where, found, remedy))
        kept = Dataset()
        for word in DICOM_KEPT:
            if word in header:
                kept[word] = header[word]
        for word in DICOM_TABLES:
            if word in header:
                setattr(kept, word, [_table(each) for each in header[word].value])
        for word in DICOM_UIDS:
            if header.get(word):
                setattr(kept, word, identities.uid(str(header[word].value)))
        kept.PatientID = identities.pseudonym("patient", str(header.get("PatientID", "")))
        kept.PatientIdentityRemoved = "YES"
        kept.DeidentificationMethodCodeSequence = [_method()]
        kept.file_meta = FileMetaDataset()
        kept.file_meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
        kept.file_meta.MediaStorageSOPClassUID = UID(
            str(header.get("SOPClassUID") or "1.2.840.10008.5")
        )
        kept.file_meta.MediaStorageSOPInstanceUID = UID(
            str(kept.get("SOPInstanceUID") or "2.25.1")
        )
        written = BytesIO()
        dcmwrite(written, kept, enforce_file_format=True)
        return written.getvalue()
    except BROKEN as error:
        raise damaged(error, where) from None


def _table(read: "Dataset") -> "Dataset":
    from pydicom import Dataset

    table = Dataset()
    for word in ("LUTDescriptor", "ModalityLUTType", "LUTData"):
        if word in read:
            table[word] = read[word]
    return table


def _method() -> "Dataset":
    """Code 113100 of DICOM PS3.16, CID 7050: basic application confidentiality profile."""
    from pydicom import Dataset

    method: Dataset = Dataset()
    method.CodeValue = "113100"
    method.CodingSchemeDesignator = "DCM"
    method.CodeMeaning = "Basic Application Confidentiality Profile"
    return method
