"""Hostile images: refused with 422, in bounded time and memory."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from service_samples import is_problem, png


def chunk(kind, data):
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )


def png_of(width, height, packed):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg_of(width, height):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(
        file, "JPEG"
    )
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff_of(width, height):
    entries = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, 1),
    ]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


def dicom_of(rows, columns, pixels, syntax=ExplicitVRLittleEndian):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.Rows, data.Columns, data.SamplesPerPixel = rows, columns, 1
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PhotometricInterpretation, data.PatientName = "MONOCHROME2", "Roe^Jane"
    data.PixelData = pixels
    data["PixelData"].VR = "OB"
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def deflated_bomb():
    whole = dicom_of(100, 100, bytes(10_000), DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(700)) + packer.flush()
    head = whole[: 144 + struct.unpack_from("<I", whole, 140)[0]]
    return head + bomb


HOSTILE = {
    "a PNG of 65,535 pixels a side": png_of(65535, 65535, zlib.compress(bytes(1000))),
    "a PNG bomb": png_of(8000, 8000, zlib.compress(bytes(10**7), 9)),
    "a PNG with a negative size": png_of(2**31 + 1, 1, b""),
    "a JPEG of 65,535 pixels a side": jpeg_of(65535, 65535),
    "a truncated JPEG": jpeg_of(400, 400)[:300],
    "a TIFF that claims 10^9 pixels": tiff_of(10**9, 1),
    "a TIFF that claims 10^18 pixels": tiff_of(10**9, 10**9),
    "a DICOM with a false length": dicom_of(65535, 65535, bytes(100)),
    "a DICOM that ends early": dicom_of(100, 100, bytes(10_000))[:-5000],
    "a deflated DICOM bomb": deflated_bomb(),
    "a PNG in name only": b"\x89PNG\r\n\x1a\n" + b"<script>" * 20,
    "a zip": b"PK\x03\x04" + bytes(100),
    "a polyglot of TIFF and DICOM": b"II*\0" + bytes(124) + b"DICM" + bytes(60),
    "a truncated PNG": png()[:-400],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_and_named(served, name):
    parts = [("images", ("good.png", png())), ("images", ("bad.dcm", HOSTILE[name]))]
    [fault] = is_problem(served.client.post("/v1/predictions", files=parts), 422)["errors"]
    assert fault["where"] == "image 2"
    assert "Roe" not in fault["found"]


def test_a_polyglot_is_what_its_pixels_are(served):
    both = png() + b"PK\x03\x04<script>%PDF"
    response = served.client.post("/v1/predictions", files={"images": ("a.png", both)})
    assert response.status_code == 200


BOUNDED = """
import resource, sys, time, pickle
from service.inference.decoding import Decoding
from service.inference.batcher import Batcher
from training.imaging import InputContract
import training.dicom, training.tiff
from evaluation.errors import InputError
files = pickle.load(sys.stdin.buffer)
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
decoding, batcher = Decoding(), Batcher(lambda pixels: {}, 10**6)
places = []
for name, data in list(files.items()) * 3:
    place = batcher.reserve(1)
    decoding.start([(name, data)], InputContract(size=28), batcher, place)
    places.append(place)
began = time.monotonic()
assert all(isinstance(each.answer.exception(60), InputError) for each in places)
# Not ru_maxrss, which begins with what the process was forked from.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1000, time.monotonic() - began)
"""


def test_all_at_once_stay_in_bounded_memory_and_time():
    import pickle

    done = subprocess.run(
        [sys.executable, "-c", BOUNDED],
        input=pickle.dumps(HOSTILE),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    megabytes, seconds = map(float, done.stdout.split())
    assert megabytes < 1200
    assert seconds < 30
