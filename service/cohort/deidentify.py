"""Takes out of image files who it is, and leaves what models and audits need.

No header can prove that the pixels themselves name nobody: text that a device has burned in, or
a face. Files that say so of themselves are refused; others are for people to look at.
"""

import struct

from evaluation.errors import Fault, InputError
from service.cohort.deidentify_dicom import without_identity as plain_dicom
from service.cohort.deidentify_jpeg import without_metadata as plain_jpeg
from service.cohort.deidentify_png import without_metadata as plain_png
from service.cohort.deidentify_tiff import without_metadata as plain_tiff
from service.cohort.identities import Identities
from training.image_header import JPEG, PNG
from training.imaging import TIFF


def cleaned(data: bytes, identities: Identities, where: str) -> bytes:
    """An image file without what it says besides its pixels; those are not encoded again.

    Args:
        data: PNG, JPEG, TIFF or DICOM.
        identities: Pseudonyms for DICOM.
        where: Name of the file, for the message.

    Returns:
        The same bytes for the same file. How an image is turned, its colour profile, and what
        :data:`service.cohort.deidentify_dicom.KEPT` lists is still there.

    Raises:
        InputError: The file is damaged or of another kind, or says that its pixels name
            somebody.
    """
    try:
        if data[128:132] == b"DICM":
            return plain_dicom(data, identities, where)
        if data.startswith(PNG):
            return plain_png(data)
        if data.startswith(JPEG):
            return plain_jpeg(data)
        if data.startswith(TIFF):
            return plain_tiff(data)
    except (ValueError, IndexError, struct.error):
        raise InputError(Fault(where, "it is damaged", "Export it again.")) from None
    raise InputError(Fault(where, "it is no PNG, JPEG, TIFF or DICOM", "Export it again."))
