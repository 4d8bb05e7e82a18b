"""The share of validation images that are farther away: a p value that keeps its promise."""

import numpy as np
import pytest
from scipy.stats import kstest

from evaluation.errors import InputError
from training.outliers import FEWEST, Outliers, write_outliers


def normal(count, seed, shift=0.0):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, count)
    content = generator.standard_normal((count, 6)) * [1, 1, 1, 1, 5, 0.01] + shift
    return (content + 8.0 * label[:, None]).astype(np.float32), label


@pytest.fixture
def fitted():
    train, label = normal(2000, 0)
    return Outliers.fitted(train, label, normal(1500, 1)[0])


def test_of_images_like_those_a_share_p_gets_p(fitted):
    shares = fitted.share(normal(1500, 2)[0])
    assert kstest(shares, "uniform").pvalue > 0.01


def test_it_is_so_in_each_class(fitted):
    content, label = normal(3000, 3)
    for k in (0, 1):
        assert kstest(fitted.share(content[label == k]), "uniform").pvalue > 0.01


def test_others_are_far(fitted):
    assert fitted.share(normal(500, 4, shift=4.0)[0]).max() < 0.05


def test_what_lies_between_the_classes_is_far_too(fitted):
    between = np.full((1, 6), 4.0, np.float32)
    assert fitted.share(between)[0] < 0.01


def test_it_is_read_back_as_written(fitted, tmp_path):
    fitted.write(tmp_path)
    content = normal(50, 5)[0]
    same = Outliers.read(tmp_path).share(content)
    assert same.tolist() == fitted.share(content).tolist()


def test_a_damaged_file(tmp_path):
    (tmp_path / "outliers.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match="damaged"):
        Outliers.read(tmp_path)


def test_too_few_validation_images_give_no_file(tmp_path):
    split = np.array(["train"] * 5 + ["validation"] * (FEWEST - 1))
    label = np.zeros(len(split), int)
    write_outliers(tmp_path, np.zeros((len(split), 1, 8, 8), np.uint8), label, split, 0)
    assert not list(tmp_path.iterdir())


def test_one_value_in_every_image_is_no_division_by_zero():
    same = np.ones((30, 3), np.float32)
    fitted = Outliers.fitted(same, np.zeros(30, int), same)
    assert fitted.share(same).tolist() == [1.0] * 30
