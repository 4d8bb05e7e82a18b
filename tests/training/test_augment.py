"""Augmentation: known effects, other implementations, and whose numbers an image gets."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai import transforms
from scipy import ndimage

from evaluation.errors import InputError
from training.augment import Augmenter, image_keys, uniform
from training.augmentation import Augmentation
from training.recipe import Recipe

EVERYTHING = {
    "flip": {"axes": ["height", "width"]},
    "rotation": {"degrees": 30},
    "zoom": {"lowest": 0.7, "highest": 1.4},
    "blur": {},
    "contrast": {},
    "brightness": {},
    "noise": {},
    "erasing": {},
}


def augmenter(dimensions=2, **settings):
    return Augmenter(Augmentation.parse(settings, "augmentation"), dimensions)


def random_images(n=6, channels=3, size=12, dimensions=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(n, channels, *[size] * dimensions, generator=generator)
    # Away from black and white, so that nothing is clipped.
    image = image * 0.4 + 0.3
    return image.contiguous(memory_format=torch.channels_last) if dimensions == 2 else image


def keys_of(n=6, seed=5):
    return image_keys(seed, np.arange(n), np.zeros(n, np.int64))


def always(**settings):
    return {"probability": 1.0, **settings}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_an_image_does_not_depend_on_its_batch(dimensions):
    vary, n = augmenter(dimensions, **EVERYTHING), 9
    image, keys = random_images(n, dimensions=dimensions), keys_of(n)
    together = vary(image.clone(), keys)
    for row in range(n):
        alone = vary(image[row : row + 1].clone(), keys[row : row + 1])[0]
        torch.testing.assert_close(alone, together[row], atol=1e-6, rtol=0)
    order = np.random.default_rng(0).permutation(n)
    reordered = vary(image[order].clone(), keys[order])
    torch.testing.assert_close(reordered, together[order], atol=1e-6, rtol=0)


def test_it_varies_and_keeps_shape_range_and_layout():
    image = random_images(32)
    varied = augmenter(**EVERYTHING)(image.clone(), keys_of(32))
    assert varied.shape == image.shape
    assert varied.is_contiguous(memory_format=torch.channels_last)
    assert (varied >= 0).all()
    assert (varied <= 1).all()
    assert (varied != image).flatten(1).any(dim=1).float().mean() > 0.9


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_black_and_white_stay_within_range(name, extreme):
    image = torch.full((8, 1, 8, 8), extreme)
    varied = augmenter(**{name: always()})(image, keys_of(8))
    assert varied.isfinite().all()
    assert ((varied >= 0) & (varied <= 1)).all()


def test_one_variation_does_not_change_the_draws_of_another():
    image, keys = random_images(16), keys_of(16)
    one = augmenter(flip={})(image.clone(), keys)
    both = augmenter(flip={}, brightness=always(reach=1e-6))(image.clone(), keys)
    torch.testing.assert_close(one, both, atol=1e-5, rtol=0)


def test_the_probability_is_the_share_of_images():
    image = torch.zeros(4000, 1, 2, 2)
    image[:, :, :, 0] = 1
    flipped = augmenter(flip={"probability": 0.3})(image, keys_of(4000))
    share = flipped[:, 0, 0, 1].mean().item()
    assert share == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 4000) ** 0.5)


@pytest.mark.parametrize(("axis", "place"), [("depth", 0), ("height", 1), ("width", 2)])
def test_flip_equals_that_of_monai(axis, place):
    image = random_images(2, dimensions=3)
    flipped = augmenter(3, flip=always(axes=[axis]))(image.clone(), keys_of(2))
    expected = [transforms.Flip(spatial_axis=place)(one).as_tensor() for one in image]
    assert flipped.equal(torch.stack(expected))


def angle_of(keys, degrees):
    return (2 * uniform(keys, 4, 3)[:, 2] - 1) * np.radians(degrees)


def test_rotation_equals_that_of_monai():
    image, keys = random_images(4), keys_of(4)
    turned = augmenter(rotation=always(degrees=90))(image.clone(), keys)
    for row, angle in enumerate(angle_of(keys, 90)):
        # MONAI counts angles from rows to columns.
        rotate = transforms.Rotate(
            float(-angle), padding_mode="border", align_corners=False, keep_size=True
        )
        expected = rotate(image[row]).as_tensor()
        torch.testing.assert_close(turned[row], expected, atol=1e-4, rtol=0)


def test_rotation_and_zoom_interpolate_once_at_the_right_place():
    """As the affine map of scipy, which reads the output's voxel o at c + A (o - c) + t."""
    size, n = 12, 5
    image, keys = random_images(n, size=size), keys_of(n)
    settings = {"rotation": always(degrees=30), "zoom": always(lowest=0.6, highest=1.8)}
    varied = augmenter(**settings)(image.clone(), keys)
    draws, centre = uniform(keys, 4, 10), (size - 1) / 2
    for row, angle in enumerate(angle_of(keys, 30)):
        factor = 0.6 + 1.2 * draws[row, 5]
        shift = (2 * draws[row, 6:8] - 1) * abs(1 - 1 / factor) * size / 2
        cosine, sine = np.cos(angle), np.sin(angle)
        # Rows come before columns here.
        matrix = np.array([[cosine, sine], [-sine, cosine]]) / factor
        offset = centre - matrix @ [centre, centre] + shift[::-1]
        for channel in range(3):
            expected = ndimage.affine_transform(
                image[row, channel].numpy(), matrix, offset, order=1, mode="nearest"
            )
            np.testing.assert_allclose(varied[row, channel], expected, atol=1e-4)


@given(factor=st.floats(0.3, 3), seed=st.integers(0, 2**32))
def test_a_zoomed_window_never_leaves_the_image_nor_a_shrunken_image_the_frame(factor, seed):
    size = 32
    ramp = torch.linspace(0, 1, size).expand(1, 1, size, size).clone()
    settings = {"zoom": always(lowest=factor, highest=factor)}
    row = augmenter(**settings)(ramp, keys_of(1, seed))[0, 0, 0]
    seen = (row[1:] - row[:-1] > 1e-6).float().mean()  # the border repeats a value
    if factor > 1:
        assert seen > 0.9
    else:
        assert row[0] < 0.06
        assert row[-1] > 0.94


@pytest.mark.parametrize("dimensions", [2, 3])
def test_blur_equals_that_of_scipy(dimensions):
    image, keys = random_images(3, dimensions=dimensions), keys_of(3)
    blurred = augmenter(dimensions, blur=always(sigma=1.5))(image.clone(), keys)
    for row, sigma in enumerate(1.5 * uniform(keys, 5, 2)[:, 1]):
        for channel in range(3):
            expected = ndimage.gaussian_filter(
                image[row, channel].double().numpy(), sigma, mode="nearest", radius=5
            )
            np.testing.assert_allclose(blurred[row, channel], expected, atol=1e-5)


def test_blur_equals_that_of_monai_far_from_the_edge():
    image, keys = random_images(1, size=24), keys_of(1)
    sigma = float(uniform(keys, 5, 2)[0, 1])
    blurred = augmenter(blur=always(sigma=1.0))(image.clone(), keys)
    expected = transforms.GaussianSmooth(sigma, approx="sampled")(image[0]).as_tensor()
    inner = (slice(None), slice(6, -6), slice(6, -6))
    torch.testing.assert_close(blurred[0][inner], expected[inner], atol=1e-3, rtol=0)


def test_contrast_scales_about_the_mean():
    image, keys = random_images(4), keys_of(4)
    varied = augmenter(contrast=always(lowest=0.5, highest=1.2))(image.clone(), keys)
    for row, u in enumerate(uniform(keys, 6, 2)[:, 1]):
        mean = image[row].mean()
        expected = mean + (0.5 + 0.7 * u) * (image[row] - mean)
        torch.testing.assert_close(varied[row], expected.float())


def test_brightness_equals_the_shift_of_monai():
    image, keys = random_images(4), keys_of(4)
    varied = augmenter(brightness=always(reach=0.2))(image.clone(), keys)
    for row, u in enumerate(uniform(keys, 7, 2)[:, 1]):
        shift = transforms.ShiftIntensity(0.2 * (2 * u - 1))
        torch.testing.assert_close(varied[row], shift(image[row]).as_tensor().float())


def test_noise_has_the_drawn_deviation_and_differs_between_images():
    image, keys = torch.full((4, 1, 100, 100), 0.5), keys_of(4)
    noise = augmenter(noise=always(deviation=0.1))(image.clone(), keys) - image
    for row, u in enumerate(uniform(keys, 8, 2)[:, 1]):
        assert noise[row].std().item() == pytest.approx(0.1 * u, rel=0.05)
        assert abs(noise[row].mean().item()) < 0.005
    standard = noise.flatten(1) / noise.flatten(1).std(dim=1, keepdim=True)
    off_diagonal = (standard @ standard.T / standard.shape[1]).fill_diagonal_(0)
    assert off_diagonal.abs().max() < 0.05


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_cube_of_the_drawn_side_is_filled_with_the_mean(dimensions):
    size, n = 10, 20
    image = random_images(n, size=size, dimensions=dimensions)
    vary = augmenter(dimensions, erasing=always(lowest=0.2, highest=0.5))
    varied = vary(image.clone(), keys_of(n))
    for before, after in zip(image, varied, strict=True):
        mean = before.mean(dim=tuple(range(1, dimensions + 1)))
        erased = (after != before).any(dim=0).numpy()
        sides = {len(set(places)) for places in np.nonzero(erased)}
        assert len(sides) == 1
        assert 2 <= sides.pop() <= 5
        for channel in range(3):
            torch.testing.assert_close(after[channel][erased].unique(), mean[channel, None])
        assert after[:, ~erased].equal(before[:, ~erased])


def test_numbers_are_uniform_and_independent():
    keys = image_keys(1, np.arange(20_000), np.zeros(20_000, np.int64))
    draws = np.concatenate([uniform(keys, stream, 4) for stream in (0, 1)], axis=1)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.stack([np.histogram(column, 20, (0, 1))[0] for column in draws.T])
    statistic = ((counts - 1000) ** 2 / 1000).sum(axis=1)
    assert statistic.max() < 43.8  # chi square, 19 degrees of freedom, p = 0.001
    correlation = np.corrcoef(draws.T) - np.eye(8)
    assert np.abs(correlation).max() < 0.03
    successive = np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]
    assert abs(successive) < 0.03


def test_keys_tell_seeds_rows_and_repeats_apart():
    rows, none = np.arange(100), np.zeros(100, np.int64)
    keys = [
        image_keys(seed, rows, none + repeat)
        for seed, repeat in product((0, 1, 2**63 - 1), (0, 1))
    ]
    assert len(np.unique(np.concatenate(keys))) == 600


def test_images_have_no_depth():
    recipe = Recipe.parse({"augmentation": {"flip": {"axes": ["depth"]}}}, "recipe")
    assert recipe.faults(3) == []
    (fault,) = recipe.faults(2)
    assert str(fault).startswith("recipe.augmentation.flip, column axes: images have no depth")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flip": {"axes": []}}, "flip.axes"),
        ({"zoom": {"lowest": 1.3, "highest": 1.2}}, "1.3 and 1.2"),
        ({"erasing": {"highest": 1.2}}, "erasing.highest"),
        ({"rotation": {"degrees": 270}}, "rotation.degrees"),
        ({"noise": {"probability": 0}}, "noise.probability"),
        ({"flipp": {}}, "'flip'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Augmentation.parse(settings, "augmentation")


def test_monai_is_imported_only_if_it_is_used():
    code = (
        "import sys, training.fit\n"
        "from training.augment import Augmenter\n"
        "from training.augmentation import Augmentation\n"
        "Augmenter(Augmentation(flip={}, noise={}), 2)\n"
        "assert not [name for name in sys.modules if name.startswith('monai')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
