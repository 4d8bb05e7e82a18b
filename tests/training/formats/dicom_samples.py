"""Small DICOM files of people who do not exist."""

from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

GREY = np.random.default_rng(0).integers(0, 4096, (16, 16), dtype=np.uint16)
NAME, ID = "Quillfeather^Ottoline", "PX77-secret"


def made(pixels=GREY, **elements):
    """A data set with an image ``[h, w]``, ``[frame, h, w]`` or ``[h, w, 3]``."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = elements.pop("SOPInstanceUID", generate_uid())
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.StudyInstanceUID = elements.pop("StudyInstanceUID", "1.2.3")
    header.SeriesInstanceUID = elements.pop("SeriesInstanceUID", "1.2.3.4")
    header.PatientName, header.PatientID = NAME, ID
    header.PatientSex, header.PatientAge, header.Modality = "F", "058Y", "DX"
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    header.SamplesPerPixel = 3 if colour else 1
    header.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        header.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        header.NumberOfFrames = len(pixels)
    header.Rows, header.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    header.BitsAllocated = 8 * pixels.dtype.itemsize
    header.BitsStored = 12 if pixels.dtype == np.uint16 else header.BitsAllocated
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for word, value in elements.items():
        if value is None:
            delattr(header, word)
        else:
            setattr(header, word, value)
    return header


def saved(header):
    data = BytesIO()
    header.save_as(data, enforce_file_format=True)
    return data.getvalue()


def dicom(pixels=GREY, **elements):
    return saved(made(pixels, **elements))
