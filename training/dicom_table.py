"""Makes columns of a manifest from the header of a DICOM file, and hashes who it is."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue

from training.dicom_display import number

#: Elements that say who it is; of them only hashes are known.
HASHED = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")

#: Elements that a cohort may name as they are. Names, dates, addresses and free text are not
#: among them.
PLAIN = (
    "EthnicGroup", "SmokingStatus", "PregnancyStatus", "PatientSize", "PatientWeight",
    "Modality", "Manufacturer", "ManufacturerModelName", "SoftwareVersions",
    "InstitutionName", "StationName", "BodyPartExamined", "ViewPosition", "Laterality",
    "ImageLaterality", "PatientPosition", "PatientOrientation", "ConversionType",
    "PhotometricInterpretation", "PresentationIntentType", "BurnedInAnnotation",
    "DetectorType", "Grid", "KVP", "ExposureTime", "XRayTubeCurrent", "Exposure",
    "DistanceSourceToDetector", "SliceThickness", "ConvolutionKernel", "ContrastBolusAgent",
    "MagneticFieldStrength", "RepetitionTime", "EchoTime", "ScanningSequence",
    "Rows", "Columns", "BitsStored", "NumberOfFrames", "SamplesPerPixel",
)  # fmt: skip

#: Of a year, by the last letter of an age (PS3.5 6.2, value representation AS).
YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def columns_from(header: Dataset, hashed: Callable[[str], str]) -> dict[str, str]:
    """The columns that one header gives, empty where it says nothing.

    Args:
        header: The elements of a file.
        hashed: Makes the hash of an identifier.

    Returns:
        Keyword to text. PatientAge is in years, empty if it is not of the form of the standard;
        PatientSex is M, F, O or empty.
    """
    columns = {word: _text(header.get(word)) for word in PLAIN}
    columns |= {word: hashed(_text(header.get(word))) for word in HASHED}
    sex = _text(header.get("PatientSex")).upper()
    columns["PatientSex"] = sex if sex in ("M", "F", "O") else ""
    columns["PatientAge"] = age_in_years(_text(header.get("PatientAge")))
    columns["ViewPosition"] = columns["ViewPosition"].upper()
    return columns


def hasher(salt: str) -> Callable[[str], str]:
    """What makes 16 hexadecimal digits of an identifier.

    >>> hasher("")("A12") == hasher("")("A12") != hasher("pepper")("A12")
    True
    >>> hasher("")("")
    ''
    """
    return lambda text: sha256((salt + text).encode()).hexdigest()[:16] if text else ""


def age_in_years(text: str) -> str:
    """An age of a header in years, with up to four digits after the point.

    >>> age_in_years("058Y"), age_in_years("006M"), age_in_years("58")
    ('58', '0.5', '')
    """
    found = re.fullmatch(r"(\d{1,3})([YMWD])", text.strip().upper())
    return f"{round(int(found[1]) * YEARS[found[2]], 4):g}" if found else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value)).strip()
    if isinstance(value, float):
        return f"{number(value, 0.0):g}"
    return str(value).strip()
