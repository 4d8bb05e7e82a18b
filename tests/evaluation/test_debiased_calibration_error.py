"""What debiasing promises; the definition itself is held in the test of every metric."""

import numpy as np
import pytest

from evaluation.bootstrap import patient_weights
from evaluation.metric import METRICS

DEBIASED = METRICS.get("debiased_calibration_error")


def plug_in(label, score):
    """The same error without the correction."""
    total = 0.0
    bins = np.minimum((score * 10).astype(int), 9)
    for k in range(10):
        if (bins == k).any():
            total += (bins == k).mean() * (label - score)[bins == k].mean() ** 2
    return np.sqrt(total)


def made(n: int, error: float, generator: np.random.Generator):
    """Labels that are rarer than the score says by ``error``."""
    score = generator.uniform(0.3, 1, n)
    return (generator.random(n) < score - error).astype(float), score


def test_the_square_is_unbiased_in_small_groups():
    generator = np.random.default_rng(0)
    groups = [made(150, 0.25, generator) for _ in range(2000)]
    squares = np.array([DEBIASED(*group) ** 2 for group in groups])
    assert (squares > 0).all()  # nothing was clipped
    noise = squares.std() / np.sqrt(len(squares))
    assert squares.mean() == pytest.approx(0.25**2, abs=3 * noise)
    assert np.mean([plug_in(*group) ** 2 for group in groups]) > 0.25**2 + 20 * noise


def test_a_small_calibrated_group_does_not_look_worse_than_a_large_one():
    generator = np.random.default_rng(1)
    small, large = ([made(n, 0.0, generator) for _ in range(300)] for n in (50, 2000))
    assert np.median([plug_in(*group) for group in small]) > 0.15
    assert np.median([plug_in(*group) for group in large]) < 0.03
    for groups in (small, large):  # half of the time chance explains more than all
        assert np.mean([DEBIASED(*group) == 0 for group in groups]) == pytest.approx(
            0.55, abs=0.1
        )


def test_resamples_centre_on_the_estimate():
    label, score = made(150, 0.25, np.random.default_rng(2))
    (weights,) = patient_weights(np.arange(150), 4000, seed=0)
    draws = DEBIASED(label, score, weights) ** 2
    assert draws.mean() == pytest.approx(DEBIASED(label, score) ** 2, abs=0.003)
    # Copies in place of weights would bring the bias back: a copy agrees with its original.
    copies = np.mean(
        [
            DEBIASED(np.repeat(label, times), np.repeat(score, times)) ** 2
            for times in weights[:300].astype(int)
        ]
    )
    assert copies > DEBIASED(label, score) ** 2 + 0.003


def test_a_bin_of_one_sample_is_left_out_and_nan_if_all_are():
    assert np.isnan(DEBIASED([0, 1], [0.15, 0.85]))
    assert np.isnan(DEBIASED([1], [0.3]))
    label, score = [1, 1, 0], [0.25, 0.25, 0.9]
    assert DEBIASED(label, score) == DEBIASED(label[:2], score[:2]) == 0.75


def test_a_heavy_sample_alone_in_its_bin_is_no_pair():
    weight = [[0.1, 1e9 / 3], [0.1, 0.1]]
    assert np.isnan(DEBIASED([0, 1], [0.15, 0.85], weight)).all()
