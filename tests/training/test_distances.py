"""The share of validation rows that are farther away: a p value that keeps its promise."""

import numpy as np
import pytest
from scipy.stats import kstest

from training.distances import Distances


def normal(count, seed, shift=0.0):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, count)
    content = generator.standard_normal((count, 6)) * [1, 1, 1, 1, 5, 0.01] + shift
    return (content + 8.0 * label[:, None]).astype(np.float32), label


@pytest.fixture
def fitted():
    train, label = normal(2000, 0)
    return Distances.fitted(train, label, normal(1500, 1)[0])


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


def test_one_value_in_every_image_is_no_division_by_zero():
    same = np.ones((30, 3), np.float32)
    fitted = Distances.fitted(same, np.zeros(30, int), same)
    assert fitted.share(same).tolist() == [1.0] * 30
