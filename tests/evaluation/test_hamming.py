"""The search within a Hamming distance equals the comparison of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.hamming import HammingIndex


def loop(strings, distance):
    """The definition, pair by pair."""
    values = [int.from_bytes(bytes(row)) for row in strings]
    return {
        (i, j)
        for j in range(len(values))
        for i in range(j)
        if (values[i] ^ values[j]).bit_count() <= distance
    }


def found(strings, distance):
    blocks = list(HammingIndex(strings, distance).pairs())
    pairs = [tuple(sorted(pair)) for a, b in blocks for pair in zip(a, b, strict=True)]
    assert len(set(pairs)) == len(pairs), "a pair was given twice"
    return set(pairs)


@pytest.mark.parametrize("size", [1, 3, 8, 11, 64])
@pytest.mark.parametrize("distance", [1, 2, 5, 7])
def test_equals_the_comparison_of_all_pairs(size, distance):
    generator = np.random.default_rng(size)
    strings = generator.integers(0, 256, (60, size), dtype=np.uint8)
    strings[30:] = strings[:30]
    for row in strings[30:]:
        for bit in generator.integers(0, 8 * size, distance + 1):
            row[bit // 8] ^= np.uint8(1 << (bit % 8))
    strings = np.unique(strings, axis=0)
    assert found(strings, distance) == loop(strings, distance)


@given(st.sets(st.binary(min_size=2, max_size=2), max_size=30), st.integers(1, 15))
def test_nothing_is_missed_at_any_distance(values, distance):
    strings = np.array([list(value) for value in sorted(values)], np.uint8).reshape(-1, 2)
    assert found(strings, distance) == loop(strings, distance)


def test_the_number_of_comparisons_is_known_beforehand():
    strings = np.random.default_rng(0).integers(0, 256, (500, 8), dtype=np.uint8)
    index = HammingIndex(strings, 4)
    assert 0 < index.comparisons < 500 * 499 / 2
    alike = np.unpackbits(np.eye(64, dtype=np.uint8), axis=1)[:, :8]
    assert HammingIndex(alike, 1).comparisons > 0


@pytest.mark.parametrize("distance", [0, 16])
def test_a_distance_without_meaning_is_refused(distance):
    with pytest.raises(ValueError, match=r"must be in \[1, 16\)"):
        HammingIndex(np.zeros((2, 2), np.uint8), distance)
