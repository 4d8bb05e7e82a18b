"""Resampling of volumes, and channels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluation.errors import InputError
from training.fitting import fitted
from training.imaging import InputContract
from training.volume import cubed, triangle

EQUAL = (1.0, 1.0, 1.0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("source", "start", "length", "n"), [(40, 0, 40, 16), (30, 5.3, 17, 33), (7, 0, 7, 20)]
)
def test_the_filter_is_that_of_pillow(source, start, length, n):
    row = noise(1, source)
    box = (start, 0, start + length, 1)
    expected = np.asarray(Image.fromarray(row).resize((n, 1), Image.Resampling.BILINEAR, box))
    actual = np.rint(triangle(source, start, length, n) @ row[0])
    assert abs(actual - expected[0]).max() <= 1


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 1), st.floats(0, 1))
def test_weights_are_shares(source, n, share, place):
    length = share * source
    weights = triangle(source, place * (source - length), length, n)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert (weights >= 0).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_cube_of_the_right_size_is_left_as_it_is(fit):
    volume = noise(2, 12, 12, 12)
    np.testing.assert_array_equal(cubed(volume, 12, fit, EQUAL), volume)


def test_each_axis_is_resized_as_an_image_is():
    volume = np.repeat(noise(1, 1, 30, 40), 20, axis=1)
    cube = cubed(volume, 16, "stretch", EQUAL)
    image = Image.fromarray(volume[0, 0]).resize((16, 16), Image.Resampling.BILINEAR)
    assert abs(cube[0, 8].astype(int) - np.asarray(image)).max() <= 1


def test_shrinking_averages():
    board = (np.indices((32, 32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8)[np.newaxis]
    cube = cubed(board, 16, "stretch", EQUAL)
    assert abs(cube[0, 2:-2, 2:-2, 2:-2].astype(int) - 127).max() <= 1


def test_spacing_gives_the_proportions():
    """Slices twice as far apart: half as many of them make the same depth."""
    volume = np.full((1, 8, 16, 16), 200, np.uint8)
    assert (cubed(volume, 16, "pad", (2.0, 1.0, 1.0)) == 200).all()
    padded = cubed(volume, 16, "pad", EQUAL)
    assert (padded[:, 4:12] == 200).all()
    assert (padded[:, :4] == 0).all()
    ends = np.zeros((1, 4, 8, 16), np.uint8)
    ends[..., :4] = 255
    assert (cubed(ends, 8, "crop", (2.0, 1.0, 1.0)) == 0).all()


def test_an_image_keeps_the_proportions_of_its_spacing():
    tall = np.full((1, 8, 16), 200, np.uint8)
    contract = InputContract(size=16, channels=1, fit="pad")
    assert (fitted(tall, contract, "a", (2.0, 1.0)) == 200).all()
    assert (fitted(tall, contract, "a")[:, :4] == 0).all()


def test_grey_and_colour_become_each_other_in_volumes_too():
    grey = noise(1, 8, 8, 8)
    colour = fitted(grey, InputContract(size=8, dimensions=3), "a")
    np.testing.assert_array_equal(colour, np.repeat(grey, 3, axis=0))
    back = fitted(colour, InputContract(size=8, dimensions=3, channels=1), "a")
    np.testing.assert_array_equal(back, grey)


@pytest.mark.parametrize(("channels", "wanted"), [(2, 1), (2, 3), (1, 2), (3, 4), (4, 3)])
def test_other_channels_are_refused(channels, wanted):
    contract = InputContract(size=8, channels=wanted)
    found = f"a: the number of its channels is {channels}, and the model takes {wanted}"
    with pytest.raises(InputError, match=found):
        fitted(noise(channels, 8, 8), contract, "a")


def test_nothing_is_refused():
    with pytest.raises(InputError, match="it has no pixels"):
        fitted(np.zeros((1, 0, 8), np.uint8), InputContract(size=8), "a")
    with pytest.raises(InputError, match="it is a volume, and the model takes an image"):
        fitted(noise(1, 8, 8, 8), InputContract(size=8), "a")
