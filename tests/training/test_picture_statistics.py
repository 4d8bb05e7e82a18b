"""What a picture is like at a glance, against figures worked out by hand."""

import numpy as np
import pytest

from training.picture_statistics import LEAST, picture_statistics


def test_they_are_mean_contrast_and_fineness_of_each_channel():
    left = np.array([[0, 255], [0, 255]], np.uint8)
    right = np.array([[0, 0], [255, 255]], np.uint8)
    found = picture_statistics(np.stack([left, right])[None])[0]
    half, one, none = np.log([0.5 + LEAST, 1 + LEAST, LEAST])
    assert found.tolist() == pytest.approx([0.5, 0.5, half, half, one, none], abs=1e-6)


def test_each_image_is_looked_at_for_itself():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 9, 7), np.uint8)
    alone = [picture_statistics(each[None])[0] for each in pixels]
    np.testing.assert_allclose(picture_statistics(pixels), alone, rtol=1e-5)


def test_volumes_have_them_too():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 6, 6, 6), np.uint8)
    assert picture_statistics(pixels).shape == (2, 3)
    assert np.isfinite(picture_statistics(pixels * 0)).all()
