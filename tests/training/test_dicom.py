"""DICOM files through the one reader of pixels."""

import sys
from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from evaluation.errors import InputError
from tests.training.formats.dicom_samples import GREY, ID, NAME, dicom, made, saved
from training.codestream import codestream_size
from training.imaging import InputContract, decode
from training.intensity import windowed

LARGE = np.random.default_rng(3).integers(0, 4096, (64, 64), dtype=np.uint16)
WHOLE = windowed(GREY, int(GREY.min()), int(GREY.max()))


def read(data, **contract):
    return decode(data, InputContract(**{"size": 16, "channels": 1} | contract), "a.dcm")


def fault(data, **contract):
    with pytest.raises(InputError) as caught:
        read(data, **contract)
    assert not any(word in str(caught.value) for word in (ID, *NAME.split("^")))
    return str(caught.value)


def test_without_a_window_the_range_of_the_image_is_shown():
    np.testing.assert_array_equal(read(dicom())[0], WHOLE)
    assert (read(dicom(np.full((16, 16), 7, np.uint16))) == 0).all()


def test_eight_bits_stay_as_they_are():
    pixels = (GREY >> 4).astype(np.uint8)
    np.testing.assert_array_equal(read(dicom(pixels))[0], pixels)


def test_monochrome1_is_inverted():
    inverted = read(dicom(PhotometricInterpretation="MONOCHROME1"))[0]
    np.testing.assert_array_equal(inverted, 255 - WHOLE)


def test_the_first_window_is_applied_to_values_of_the_modality():
    """The formula of the standard, PS3.3 C.11.2.1.2.1, pixel by pixel."""
    stored = GREY.astype(np.int16)
    shown = read(
        dicom(stored, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=[40, 9],
              WindowWidth=[400, 9])
    )[0]  # fmt: skip
    for y, x in np.ndindex(16, 16):
        value = 2.0 * stored[y, x] - 1000
        share = (value - (40 - 0.5)) / (400 - 1) + 0.5
        assert abs(shown[y, x] - 255 * min(max(share, 0), 1)) <= 0.51


@pytest.mark.parametrize(
    ("form", "expected"), [("LINEAR_EXACT", [64, 128, 191]), ("SIGMOID", [69, 128, 186])]
)
def test_other_forms_of_a_window(form, expected):
    values = np.repeat(np.array([50, 100, 150], np.uint16), 3).reshape(3, 3).repeat(3, 1)
    data = dicom(values, WindowCenter=100, WindowWidth=200, VOILUTFunction=form)
    shown = read(data, size=9, fit="stretch")[0][[1, 4, 7], 4]
    assert abs(shown.astype(int) - expected).max() <= 1


def test_a_look_up_table_comes_before_a_window():
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.LUTData = (4095 - np.arange(4096)).tolist()
    header = made(WindowCenter=1, WindowWidth=2)
    header.VOILUTSequence = Sequence([table])
    header.VOILUTSequence[0]["LUTDescriptor"].VR = "US"
    header.VOILUTSequence[0]["LUTData"].VR = "US"
    np.testing.assert_array_equal(read(saved(header))[0], windowed(4095 - GREY, 0, 4095))


def test_an_enhanced_file_keeps_its_window_in_a_functional_group():
    window = Dataset()
    window.WindowCenter, window.WindowWidth = 2048, 4096
    group = Dataset()
    group.FrameVOILUTSequence = Sequence([window])
    shown = read(dicom(SharedFunctionalGroupsSequence=Sequence([group])))[0]
    np.testing.assert_array_equal(shown, windowed(GREY, 0, 4095))


def test_padding_is_black_and_does_not_count():
    stored = np.clip(GREY, 100, 3000)
    stored[:4] = 4095
    plain = read(dicom(stored, PixelPaddingValue=4095))[0]
    assert (plain[:4] == 0).all()
    np.testing.assert_array_equal(plain[4:], windowed(stored[4:], 100, int(stored[4:].max())))
    light = dicom(stored, PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1")
    assert (read(light)[0, :4] == 0).all()


def test_pixels_that_are_not_square_keep_their_proportions():
    data = dicom(np.full((8, 16), 255, np.uint8), PixelSpacing=[2, 1])
    assert (read(data, fit="pad") == 255).all()


def test_frames_are_depth_or_the_first_is_taken():
    frames = np.random.default_rng(1).integers(0, 256, (16, 16, 16), dtype=np.uint8)
    np.testing.assert_array_equal(read(dicom(frames), dimensions=3)[0], frames)
    np.testing.assert_array_equal(read(dicom(frames))[0], frames[0])
    assert "number of its channels is 1, and the model takes 2" in fault(dicom(), channels=2)


def test_colour():
    colours = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(dicom(colours), channels=3), colours.transpose(2, 0, 1))
    luma = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(read(dicom(colours))[0], luma)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_syntaxes(syntax):
    header = made()
    if syntax == ExplicitVRBigEndian:
        header.PixelData = GREY.byteswap().tobytes()
    header.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read(saved(header))[0], WHOLE)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_without_loss(syntax):
    header = made(LARGE)
    header.compress(syntax)
    expected = windowed(LARGE, int(LARGE.min()), int(LARGE.max()))
    np.testing.assert_array_equal(read(saved(header), size=64)[0], expected)


#: A file that comes with pydicom for each kind of compression, and one that holds the same.
BUNDLED = {
    "SC_rgb_dcmtk_+eb+cr.dcm": "1.2.840.10008.1.2.4.50",
    "examples_ybr_color.dcm": "1.2.840.10008.1.2.4.50",
    "SC_rgb_jpeg_gdcm.dcm": "1.2.840.10008.1.2.4.70",
    "MR_small_jpeg_ls_lossless.dcm": "1.2.840.10008.1.2.4.80",
    "JPEGLSNearLossless_16.dcm": "1.2.840.10008.1.2.4.81",
    "MR_small_jp2klossless.dcm": "1.2.840.10008.1.2.4.90",
    "JPEG2000.dcm": "1.2.840.10008.1.2.4.91",
    "MR_small_RLE.dcm": "1.2.840.10008.1.2.5",
    "image_dfl.dcm": "1.2.840.10008.1.2.1.99",
    "SC_ybr_full_422_uncompressed.dcm": "1.2.840.10008.1.2.1",
    "examples_palette.dcm": "1.2.840.10008.1.2.1",
}


def bundled(name):
    path = get_testdata_file(name, download=False)
    assert path is not None
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("name", BUNDLED)
def test_files_of_others(name):
    data = bundled(name)
    path = get_testdata_file(name, download=False)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == BUNDLED[name]
    assert read(data, size=64).std() > 1


@pytest.mark.parametrize("kind", ["RLE", "jp2klossless", "jpeg_ls_lossless", "implicit"])
def test_the_same_image_in_another_syntax(kind):
    expected = read(bundled("MR_small.dcm"), size=64)
    np.testing.assert_array_equal(read(bundled(f"MR_small_{kind}.dcm"), size=64), expected)


@pytest.mark.parametrize(
    "syntax",
    ["50", "51", "57", "70", "80", "81", "90", "91", "201", "202", "203"],
)
def test_every_syntax_has_a_decoder(syntax):
    assert get_decoder(f"1.2.840.10008.1.2.4.{syntax}").is_available


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"PixelData": None}, "the DICOM file has no pixels"),
        ({"Rows": None}, "the DICOM file has no pixels"),
        ({"Rows": 0}, "the DICOM file has no pixels"),
        ({"SamplesPerPixel": None}, "it lacks SamplesPerPixel"),
        ({"Rows": 60_000, "Columns": 60_000}, "At most 64 million pixels"),
        ({"Rows": 32}, "the file is truncated"),
        ({"BitsAllocated": 13}, "the file is damaged"),
    ],
)
def test_what_is_wrong_is_named(elements, found):
    assert found in fault(dicom(**elements))


def test_too_many_frames_are_refused_before_they_are_decoded():
    assert "51,200,000,000 voxels" in fault(dicom(NumberOfFrames=200_000_000), dimensions=3)


def test_one_slice_is_no_volume():
    assert "it has one slice, and the model takes volumes" in fault(dicom(), dimensions=3)


# pydicom warns of the missing end before we refuse the file
@pytest.mark.filterwarnings("ignore:End of file reached:UserWarning")
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_truncated_files_are_refused(share, syntax):
    header = made(LARGE)
    if syntax:
        header.compress(syntax)
    data = saved(header)
    text = fault(data[: int(share * len(data))])
    assert any(word in text for word in ("truncated", "damaged", "it lacks"))


def test_a_frame_that_is_larger_than_the_header_says_is_not_decoded():
    header = made(LARGE)
    header.compress(JPEG2000Lossless)
    header.Rows = header.Columns = 4
    assert "a frame has 64 x 64 pixels, more than its header says" in fault(saved(header))


def test_a_deflated_file_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("training.dicom.LARGEST_INFLATED", 200)
    header = made()
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert "more than 0 MiB inflated" in fault(saved(header))


@pytest.mark.parametrize(
    ("syntax", "found"),
    [
        ("1.2.840.10008.1.2.4.90", "Install pylibjpeg and pylibjpeg-openjpeg."),
        ("1.2.840.10008.1.2.4.70", "Install python-gdcm."),
        ("1.2.840.10008.1.2.4.80", "Install pyjpegls."),
        (
            "1.2.840.10008.1.2.4.100",
            "no decoder is installed. Export it uncompressed",
        ),
    ],
)
def test_a_syntax_without_decoder_is_named(syntax, found, monkeypatch):
    header = made(LARGE)
    header.compress(JPEG2000Lossless)
    header.file_meta.TransferSyntaxUID = syntax
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
    text = fault(saved(header))
    assert syntax in text
    assert found in text


def test_a_depth_that_no_decoder_knows_is_named():
    text = fault(bundled("JPGExtended.dcm"))
    assert "its transfer syntax is JPEG Extended" in text
    assert "with 12 bits, for which no decoder is installed. Export it uncompressed." in text


def test_a_missing_package_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "training.dicom", None)
    assert "Install evenscan[training]" in fault(dicom())


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_the_size_of_a_codestream(kind):
    data = BytesIO()
    options = {"no_jp2": True} if kind == "JPEG2000" else {}
    Image.new("L", (40, 24)).save(data, kind, **options)
    assert codestream_size(data.getvalue()) == (24, 40)
    assert codestream_size(b"RLE or whatever") is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150)
@given(st.data())
def test_any_bytes_give_pixels_or_an_input_error(data):
    content = bytearray(dicom(GREY[:8, :8].copy(), SOPInstanceUID="1.2.3.5"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = read(bytes(content), size=8)
    except InputError:
        return
    assert pixels.shape == (1, 8, 8)
