"""The one reader of pixels."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from evaluation.errors import InputError
from training.imaging import LARGEST_IMAGE, InputContract, decode, prepare

RED, GREEN = (255, 0, 0), (0, 255, 0)


def encoded(image, kind="PNG", **options):
    data = BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def noise(height, width, channels=3, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def png_header(width, height):
    """A PNG that promises pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + check + b"\0\0\0\0IDAT"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (7, 300), (16, 16), (1, 1)])
def test_shape_and_type(shape, fit, channels):
    contract = InputContract(size=16, channels=channels, fit=fit)
    pixels = decode(encoded(Image.fromarray(noise(*shape))), contract, "a.png")
    assert pixels.shape == (channels, 16, 16)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]


def test_an_image_of_the_right_size_is_left_as_it_is():
    array = noise(16, 16)
    pixels = decode(encoded(Image.fromarray(array)), InputContract(size=16), "a.png")
    np.testing.assert_array_equal(pixels, array.transpose(2, 0, 1))


def test_shrinking_by_two_averages():
    """The triangle filter of a halved checkerboard is its mean: nothing aliases."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = prepare(Image.fromarray(board), InputContract(size=32, channels=1))
    assert abs(pixels[0, 2:-2, 2:-2].astype(int) - 127).max() <= 1


def test_crop_keeps_the_centre_and_stretch_keeps_everything():
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, :16], wide[:, 16:32], wide[:, 32:] = RED, GREEN, RED
    image = Image.fromarray(wide)
    assert (prepare(image, InputContract(size=16))[:, 8, 8] == GREEN).all()
    assert (prepare(image, InputContract(size=16))[:, 8, 0] == GREEN).all()
    stretched = prepare(image, InputContract(size=48, fit="stretch"))
    np.testing.assert_array_equal(stretched[:, 0, [0, 24, 47]].T, [RED, GREEN, RED])


def test_pad_adds_black_bars():
    image = Image.new("RGB", (32, 16), GREEN)
    pixels = prepare(image, InputContract(size=32, fit="pad"))
    assert (pixels[:, :8] == 0).all()
    assert (pixels[:, 24:] == 0).all()
    assert (pixels[1, 8:24] == 255).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("L", (8, 8), 77), (77, 77, 77)),
        (Image.new("LA", (8, 8), (200, 0)), (0, 0, 0)),
        (Image.new("LA", (8, 8), (200, 255)), (200, 200, 200)),
        (Image.new("P", (8, 8), 0), (0, 0, 0)),
        (Image.new("RGB", (8, 8), (10, 20, 30)), (10, 20, 30)),
        (Image.new("RGBA", (8, 8), (200, 100, 50, 255)), (200, 100, 50)),
        (Image.new("RGBA", (8, 8), (200, 100, 50, 0)), (0, 0, 0)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), (255, 0, 0)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else str(value),
)
def test_every_mode_becomes_the_colour_that_is_seen(image, expected):
    pixels = prepare(image, InputContract(size=8))
    np.testing.assert_array_equal(pixels[:, 4, 4], expected)


def test_sixteen_bit_grey_keeps_its_full_range():
    values = np.full((8, 8), 0, np.uint16)
    values[:4] = 65535
    values[4:] = 257 * 100
    data = encoded(Image.fromarray(values))
    pixels = decode(data, InputContract(size=8, channels=1), "xray.png")
    assert set(np.unique(pixels)) == {100, 255}
    np.testing.assert_array_equal(decode(data, InputContract(size=8), "xray.png")[0], pixels[0])


def test_grey_is_luma():
    pixels = prepare(Image.new("RGB", (8, 8), GREEN), InputContract(size=8, channels=1))
    assert pixels[0, 0, 0] == round(0.587 * 255)


def test_floats_are_shares_of_full_brightness_or_refused():
    half = prepare(Image.new("F", (8, 8), 0.5), InputContract(size=8), "slice")
    assert (half == 128).all()
    with pytest.raises(
        InputError, match=r"slice: its numbers run from 3 to 3, first 3 at \[0, 0"
    ):
        prepare(Image.new("F", (8, 8), 3), InputContract(size=8), "slice")


def test_thirty_two_bit_numbers_are_refused():
    with pytest.raises(InputError, match="slice: its numbers are int32, which have no known"):
        prepare(Image.new("I", (8, 8)), InputContract(size=8), "slice")


@pytest.mark.parametrize(("mode", "channels"), [("LA", 2), ("RGBA", 4), ("CMYK", 4)])
def test_channels_that_are_no_colours_are_taken_as_stored(mode, channels):
    stored = noise(8, 8, channels)
    image = Image.frombytes(mode, (8, 8), stored.tobytes())
    pixels = prepare(image, InputContract(size=8, channels=channels))
    np.testing.assert_array_equal(pixels, stored.transpose(2, 0, 1))


@pytest.mark.parametrize(("mode", "found"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_other_channels_than_the_model_takes_are_named(mode, found):
    data = encoded(Image.new(mode, (8, 8)))
    with pytest.raises(InputError, match=f"channels is {found}, and the model takes 2"):
        decode(data, InputContract(size=8, channels=2), "a.png")


def test_an_image_is_no_volume():
    contract = InputContract(size=8, dimensions=3)
    with pytest.raises(
        InputError, match=r"a\.png: it is an image, and the model takes a volume"
    ):
        decode(encoded(Image.new("RGB", (8, 8))), contract, "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_orientation_of_exif_is_applied(orientation, kind):
    """The standard's table: where the first stored row and column belong."""
    place = {
        1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0),
    }[orientation]  # fmt: skip
    stored = np.zeros((32, 32), np.uint8)
    stored[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(stored), kind, exif=exif)
    pixels = decode(data, InputContract(size=32, channels=1), "a")[0]
    corners = pixels[[4, 4, -4, -4], [4, -4, 4, -4]].reshape(2, 2)
    assert np.unravel_index(corners.argmax(), (2, 2)) == place


def test_a_large_jpeg_is_close_to_the_full_decode():
    """Reduced decoding saves time, not quality."""
    x, y = np.meshgrid(np.linspace(0, 255, 800), np.linspace(0, 255, 600))
    smooth = np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)
    image = Image.fromarray(smooth)
    contract = InputContract(size=64)
    fast = decode(encoded(image, "JPEG", quality=95), contract, "a.jpg").astype(int)
    assert abs(fast - prepare(image, contract)).max() <= 4


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "the file is empty"),
        (b"GIF89a....", "found a GIF"),
        (b"II*\0........", "the image is damaged"),
        (b"RIFF....WEBPVP8 ", "found a WebP"),
        (b"\0" * 128 + b"DICM", "the file is truncated"),
        (b"%PDF-1.7", "found a PDF"),
        (b"<!doctype html>", "found a text file"),
        (b"sample,label\n1,0\n", "it is not an image"),
        (b"\x89PNG\r\n\x1a\n", "truncated or damaged in its header"),
    ],
)
def test_what_is_not_an_image_is_named(data, found):
    with pytest.raises(InputError, match=f"upload: .*{found}"):
        decode(data, InputContract(size=8), "upload")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_images_are_refused(kind, share):
    data = encoded(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(InputError, match=r"a\.x: the image is truncated"):
        decode(data[: int(share * len(data))], InputContract(size=8), "a.x")


def test_truncated_images_are_refused_though_another_library_allows_them(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(Image.fromarray(noise(64, 64)), "PNG")
    with pytest.raises(InputError, match="the image is truncated"):
        decode(data[: len(data) // 2], InputContract(size=8), "a.x")


@pytest.mark.parametrize("side", [8001, 9500, 12_000, 100_000])
def test_too_many_pixels_are_refused_from_the_header(side):
    assert side**2 > LARGEST_IMAGE
    with pytest.raises(InputError, match=r"bomb: .*At most 64 million pixels"):
        decode(png_header(side, side), InputContract(size=8), "bomb")


@pytest.mark.parametrize(
    "values", [{"size": 4}, {"size": 64, "channels": 5}, {"size": 64, "fit": "x"}]
)
def test_impossible_contracts_are_refused(values):
    with pytest.raises(InputError, match=r"contract\.json"):
        InputContract.parse(values, "contract.json")


# a damaged EXIF block only costs the orientation; Pillow says so in a warning
@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_give_pixels_or_an_input_error(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "none"]))
    content = bytearray(data.draw(st.binary(max_size=200)))
    if kind != "none":
        exif = Image.Exif()
        exif[0x0112] = 6
        content = bytearray(encoded(Image.fromarray(noise(12, 20)), kind, exif=exif))
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=4))
    try:
        pixels = decode(bytes(content), InputContract(size=8), "a")
    except InputError:
        return
    assert pixels.shape == (3, 8, 8)
