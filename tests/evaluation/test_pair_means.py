"""Means over pairs of patients: against loops, and what a shared partner does to intervals."""

from itertools import product

import numpy as np
import pytest

from evaluation.bootstrap import patient_weights
from evaluation.pair_means import PatientPairs, Sampling

SAMPLING = Sampling(draws=300, seed=1, confidence=0.9, minimum_patients=2)


def made(rows=40, patients=12, seed=0):
    generator = np.random.default_rng(seed)
    patient = generator.integers(patients, size=rows)
    partner = (patient + generator.integers(1, patients, size=rows)) % patients
    return patient, partner, generator.normal(size=rows) / 10, generator.random(rows) < 0.7


def test_draws_are_means_over_resampled_patients():
    patient, partner, values, inside = made()
    (found,) = PatientPairs.of(patient, partner, SAMPLING).means(values[None], inside[None])
    assert found.point == pytest.approx(values[inside].mean())
    names = np.unique(patient)
    drawn = np.concatenate(list(patient_weights(names, 300, 1)))
    for weights, value in zip(drawn[:20], found.draws[:20], strict=True):
        times = dict(zip(names, weights, strict=True))
        total = sum(times[p] * v for p, v, i in zip(patient, values, inside, strict=True) if i)
        count = sum(times[p] for p, i in zip(patient, inside, strict=True) if i)
        assert value == pytest.approx(total / count)


def variances(patient, partner, influence):
    """Both sums over pairs of rows, one pair of rows at a time."""
    one = two = 0.0
    for i, j in product(range(len(patient)), repeat=2):
        both = influence[i] * influence[j]
        one += both * (patient[i] == patient[j])
        two += both * bool({patient[i], partner[i]} & {patient[j], partner[j]})
    return one, two


def test_widening_is_that_of_the_dyadic_variance():
    for seed in range(5):
        patient, partner, values, inside = made(seed=seed)
        pairs = PatientPairs.of(patient, partner, SAMPLING)
        (found,) = pairs.means(values[None], inside[None])
        one, two = variances(patient, partner, found.influence)
        low, high, _ = pairs.interval(found)
        plain = np.quantile(found.draws, [0.05, 0.95])
        assert (high - low) / np.ptp(plain) == pytest.approx(max(two / one, 1) ** 0.5)


def test_partners_that_occur_once_widen_nothing():
    rows = np.arange(30)
    values = np.random.default_rng(0).normal(size=30) / 10
    pairs = PatientPairs.of(rows, rows + 100, SAMPLING)
    (found,) = pairs.means(values[None], np.full((1, 30), True))
    assert pairs.interval(found)[:2] == pytest.approx(np.quantile(found.draws, [0.05, 0.95]))


def test_no_rows_are_undefined_and_no_variation_has_no_interval_but_for_shares():
    rows = np.arange(10)
    pairs = PatientPairs.of(rows, rows + 100, SAMPLING)
    nothing, zeros = pairs.means(np.zeros((2, 10)), np.array([[False] * 10, [True] * 10]))
    assert np.isnan(nothing.point)
    assert pairs.interval(nothing).reason == "undefined"
    assert np.isnan(pairs.interval(zeros).low)
    assert pairs.interval(zeros, share=True).high == pytest.approx(1 - 0.05 ** (1 / 10))
    assert pairs.interval(zeros - zeros, share=True, change=True).low < 0
