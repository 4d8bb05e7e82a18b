"""Strange images are far by their content or at a glance, and ordinary ones by neither."""

import numpy as np
import pytest

from evaluation.errors import InputError
from training.outliers import FEWEST, NAME, Outliers, write_outliers


def smooth(generator, count):
    """Images of a gentle slope each, ``[count, 3, 16, 16]``."""
    slopes = generator.normal(0, 3, (count, 3, 1, 1)) * np.arange(16)
    noise = generator.normal(0, 2, (count, 3, 16, 16))
    return np.clip(100 + slopes + noise, 0, 255).astype(np.uint8)


def drawn(count, seed, shift=0.0):
    """Content of a few numbers, which knows nothing of the pixels, and pixels."""
    generator = np.random.default_rng(seed)
    content = generator.standard_normal((count, 4)) + shift
    return content.astype(np.float32), smooth(generator, count)


@pytest.fixture(scope="module")
def fitted():
    return Outliers.fitted(drawn(1500, 0), np.arange(1500) % 2, drawn(800, 1))


def test_of_images_like_those_at_most_a_share_p_gets_p(fitted):
    shares = fitted.share(*drawn(3000, 2))
    for p in (0.01, 0.05, 0.1, 0.3):
        # Three standard deviations of the draw of 3,000 and of 800 images.
        assert (shares <= p).mean() <= p + 3 * np.sqrt(p * (1 - p) * (1 / 3000 + 1 / 800))
    assert (shares <= 0.1).mean() > 0.05  # and not far fewer
    assert 0 < shares.min() <= shares.max() <= 1


def test_grey_noise_whose_content_is_ordinary_is_far(fitted):
    content, pixels = drawn(200, 3)
    noise = np.random.default_rng(4).normal(128, 15, pixels.shape).astype(np.uint8)
    assert (fitted.share(content) <= 0.05).mean() < 0.15
    assert fitted.share(content, noise).max() < 0.01


def test_strange_content_of_an_ordinary_picture_is_far(fitted):
    content, pixels = drawn(200, 5, shift=6.0)
    assert fitted.share(content, pixels).max() < 0.01


def test_it_is_read_back_as_written(fitted, tmp_path):
    fitted.write(tmp_path)
    images = drawn(50, 6)
    assert Outliers.read(tmp_path).share(*images).tolist() == fitted.share(*images).tolist()


def test_a_file_of_an_earlier_version_compares_the_content(fitted, tmp_path):
    np.savez(tmp_path / NAME, **vars(fitted.content))
    content, pixels = drawn(50, 7)
    found = Outliers.read(tmp_path)
    assert found.picture is None
    assert found.share(content, pixels).tolist() == fitted.share(content).tolist()
    found.write(tmp_path)
    assert Outliers.read(tmp_path).picture is None


@pytest.mark.parametrize("missing", ["centres", "picture_centres", "all"])
def test_a_damaged_file(fitted, tmp_path, missing):
    fitted.write(tmp_path)
    if missing == "all":
        (tmp_path / NAME).write_bytes(b"PK\x03\x04 and no more")
    else:
        with np.load(tmp_path / NAME) as saved:
            arrays = {name: values for name, values in saved.items() if name != missing}
        np.savez(tmp_path / NAME, **arrays)
    with pytest.raises(InputError, match="damaged"):
        Outliers.read(tmp_path)


def test_too_few_validation_images_give_no_file(tmp_path):
    split = np.array(["train"] * 5 + ["validation"] * (FEWEST - 1))
    label = np.zeros(len(split), int)
    write_outliers(tmp_path, np.zeros((len(split), 1, 8, 8), np.uint8), label, split, 0)
    assert not list(tmp_path.iterdir())
