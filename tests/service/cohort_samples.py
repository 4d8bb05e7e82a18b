"""Small cohorts as hospitals would send them: images that tell who it is, and a table."""

import json
import time
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from PIL import Image, PngImagePlugin
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset

SCHEMA = {
    "name": "skin",
    "title": "Skin",
    "format": "images",
    "sample": "image_id",
    "patient": "patient_id",
    "source": {"manifest": "table.csv", "images": "images", "pattern": "{image_id}.png"},
    "label": {"column": "dx", "classes": {"benign": ["nv"], "malignant": ["mel"]}},
    "attributes": {"sex": {"categories": ["female", "male"]}},
}

#: Who it is, in the table and in the images.
NAME = "Erika-Mustermann"


def picture(seed: int, **more) -> bytes:
    """A PNG with a patient's name in its text."""
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24, 3), np.uint8)
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", NAME)
    data = BytesIO()
    Image.fromarray(pixels).save(data, "PNG", pnginfo=text, **more)
    return data.getvalue()


def dicom(**changes) -> bytes:
    """A radiograph with a patient's name in its header."""
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


def table(n: int = 12) -> str:
    """A manifest: half of the patients have two images."""
    lines = ["image_id,patient_id,dx,sex,address"]
    for k in range(n):
        label, sex = ("nv", "mel")[k % 2], ("female", "male", "")[k % 3]
        lines.append(f"img{k:03d},{NAME}-{k // 2},{label},{sex},Street {k}")
    return "\n".join(lines) + "\n"


def images(n: int = 12, order=None, **more) -> dict[str, bytes]:
    """The files of a cohort."""
    return {f"img{k:03d}.png": picture(k, **more) for k in (order or range(n))}


def zipped(files: dict[str, bytes], how=ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    data = BytesIO()
    with ZipFile(data, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def form(manifest=None, pictures=None, schema=None):
    """What a request with a cohort has as its files."""
    return [
        ("schema", ("skin.toml", toml(schema or SCHEMA))),
        ("manifest", ("table.csv", manifest or table())),
        ("images", ("images.zip", pictures or zipped(images()))),
    ]


def toml(values) -> str:
    """A TOML file of plain values."""

    def inline(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + "}"
        return json.dumps(value)

    return "\n".join(f"{name} = {inline(value)}" for name, value in values.items())


def ended(client, answer):
    """The job that a request was answered with, once it has ended."""
    assert answer.status_code == 202, answer.text
    while True:
        job = client.get(answer.headers["location"]).json()
        if job["state"] in ("succeeded", "failed", "cancelled"):
            return job
        time.sleep(0.05)
