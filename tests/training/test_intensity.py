"""Numbers of any kind as 0 to 255."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import InputError
from training.intensity import eight_bit, windowed


@pytest.mark.parametrize("dtype", [">u2", "<u2", np.uint16])
def test_sixteen_bits_keep_their_full_range(dtype):
    values = np.array([0, 257, 65535], dtype)
    assert eight_bit(values, "a").tolist() == [0, 1, 255]


def test_types_without_a_range_are_refused():
    for dtype in (np.int16, np.int64, np.uint32, np.complex64):
        with pytest.raises(InputError, match="a: its numbers are"):
            eight_bit(np.zeros(2, dtype), "a")


@given(st.integers(-40_000, 70_000), st.integers(1, 70_000), st.booleans())
def test_a_table_gives_what_each_number_gives(low, width, signed):
    """Many whole numbers go through a table, few do not."""
    dtype = np.int16 if signed else np.uint16
    few = np.linspace(np.iinfo(dtype).min, np.iinfo(dtype).max, 300).astype(dtype)
    many = np.tile(few, 300)
    expected = np.tile(windowed(few, low, low + width), 300)
    np.testing.assert_array_equal(windowed(many, low, low + width), expected)


def test_what_is_not_a_number_is_black():
    assert windowed(np.array([np.nan, -np.inf, np.inf]), 0, 1).tolist() == [0, 0, 255]


def test_no_width_is_a_threshold():
    assert windowed(np.array([0, 1, 2]), 1, 1).tolist() == [0, 0, 255]
