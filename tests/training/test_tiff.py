"""TIFF files through the one reader of pixels."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.errors import InputError
from training.imaging import InputContract, decode

GREY = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
DEEP = np.random.default_rng(1).integers(0, 256, (16, 16, 16), dtype=np.uint8)
PAIR = np.stack([GREY, 255 - GREY])


def tiff(array, **options):
    data = BytesIO()
    tifffile.imwrite(data, array, **options)
    return data.getvalue()


def read(data, **contract):
    return decode(data, InputContract(**{"size": 16, "channels": 1} | contract), "a.tif")


@pytest.mark.parametrize(
    "array",
    [GREY, GREY.astype(np.uint16) * 257, (GREY / 255).astype(np.float32), GREY / 255],
    ids=["uint8", "uint16", "float32", "float64"],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_grey_of_every_depth(array, compression, byteorder):
    data = tiff(array, compression=compression, byteorder=byteorder)
    np.testing.assert_array_equal(read(data)[0], GREY)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("factor", [1, 257])
def test_white_may_be_zero(photometric, factor):
    array = GREY.astype(np.uint16 if factor > 1 else np.uint8) * np.uint16(factor)
    data = tiff(array.astype(np.uint16 if factor > 1 else np.uint8), photometric=photometric)
    expected = GREY if photometric == "minisblack" else 255 - GREY
    np.testing.assert_array_equal(read(data)[0], expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_of_every_depth(dtype):
    colours = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    data = tiff((colours.astype(float) * scale).astype(dtype), photometric="rgb")
    pixels = read(data, channels=3)
    np.testing.assert_array_equal(pixels, colours.transpose(2, 0, 1))
    luma = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(read(data)[0], luma)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "group4"])
def test_what_pillow_decompresses(compression):
    image = Image.fromarray(GREY).convert("1" if compression == "group4" else "L")
    data = BytesIO()
    image.save(data, "TIFF", compression=compression)
    np.testing.assert_array_equal(read(data.getvalue())[0], np.asarray(image.convert("L")))


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (PAIR, {"planarconfig": "separate", "photometric": "minisblack"}),
        (PAIR.transpose(1, 2, 0), {"planarconfig": "contig", "photometric": "minisblack"}),
        (PAIR, {"imagej": True, "metadata": {"axes": "CYX"}}),
    ],
    ids=["planes", "interleaved", "pages"],
)
def test_channels_however_they_are_stored(array, options):
    np.testing.assert_array_equal(read(tiff(array, **options), channels=2), PAIR)


def test_pages_are_depth_or_the_first_is_taken():
    data = tiff(DEEP, photometric="minisblack")
    np.testing.assert_array_equal(read(data, dimensions=3)[0], DEEP)
    np.testing.assert_array_equal(read(data)[0], DEEP[0])
    two = tiff(np.stack([DEEP, 255 - DEEP], 1), imagej=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(
        read(two, dimensions=3, channels=2), np.stack([DEEP, 255 - DEEP])
    )
    np.testing.assert_array_equal(read(two, channels=2), np.stack([DEEP[0], 255 - DEEP[0]]))


def not_a_number():
    array = np.full((8, 8), 0.5, np.float32)
    array[1, 2] = np.nan
    return array


@pytest.mark.parametrize(
    ("array", "contract", "found"),
    [
        (np.float32([[0, 300], [-2, 1]]), {}, r"run from -2 to 300, first 300 at \[0, 0, 1\]"),
        (not_a_number(), {}, r"1 of its numbers are not finite, first nan at \[0, 1, 2\]"),
        (GREY.astype(np.int32), {}, "its numbers are int32"),
        (GREY, {"channels": 2}, "number of its channels is 1, and the model takes 2"),
        (GREY, {"dimensions": 3}, "it has one page, and the model takes volumes"),
    ],
)
def test_what_does_not_fit_is_named(array, contract, found):
    pattern = found.replace(r"\[0, ", r"\[(0, )?")
    with pytest.raises(InputError, match=r"a\.tif: .*" + pattern):
        read(tiff(array, photometric="minisblack"), **contract)


@pytest.mark.parametrize("planes", ["separate", "contig"])
def test_more_channels_than_a_colour_has_are_counted(planes):
    stored = np.stack([GREY] * 5, axis=0 if planes == "separate" else -1)
    data = tiff(stored, photometric="minisblack", planarconfig=planes)
    with pytest.raises(InputError, match="the number of its channels is 5"):
        read(data)


def test_pages_of_different_sizes_are_no_volume():
    data = BytesIO()
    first, second = Image.fromarray(GREY), Image.fromarray(GREY[:5])
    first.save(data, "TIFF", save_all=True, append_images=[second])
    with pytest.raises(InputError, match="its pages differ in size or kind"):
        read(data.getvalue(), dimensions=3)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("array", [GREY, DEEP[:, :, :3].astype(np.uint16)], ids=["8", "16"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused(array, compression, share):
    data = tiff(array, compression=compression)
    with pytest.raises(InputError, match=r"a\.tif: the image is (truncated|damaged)"):
        read(data[: int(share * len(data))], channels=3)


def test_huge_files_are_refused_from_the_header():
    data = tiff(np.zeros((16, 24, 3), np.uint16), photometric="rgb")
    size = {n.to_bytes(4, "little"): (90_000).to_bytes(4, "little") for n in (16, 24)}
    for small, large in size.items():
        data = data.replace(small, large)
    with pytest.raises(InputError, match="At most 64 million pixels"):
        read(data)


def test_a_strip_that_grows_beyond_its_size_is_refused():
    bomb = tiff(np.zeros((4000, 4000, 3), np.uint16), photometric="rgb", compression="zlib",
                rowsperstrip=4000)  # fmt: skip
    for whole in ((4000).to_bytes(2, "little"), (4000).to_bytes(4, "little")):
        bomb = bomb.replace(whole, (40).to_bytes(len(whole), "little"))
    with pytest.raises(InputError, match="more pixels than its header says"):
        read(bomb)


def test_a_compression_without_decoder_is_named(monkeypatch):
    data = BytesIO()
    pages = [Image.fromarray(page) for page in DEEP]
    options = {"save_all": True, "append_images": pages[1:], "compression": "tiff_lzw"}
    pages[0].save(data, "TIFF", **options)
    monkeypatch.setattr("training.tiff.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"compression is LZW.*needs the package imagecodecs"):
        read(data.getvalue(), dimensions=3)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100)
@given(st.data())
def test_any_bytes_give_pixels_or_an_input_error(data):
    content = bytearray(tiff(GREY[:6, :6].astype(np.uint16), photometric="minisblack"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = read(bytes(content), size=8)
    except InputError:
        return
    assert pixels.shape == (1, 8, 8)
