"""Drawing the rows of an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import InputError
from training.sampling import Sampling, cells, repeats

#: Cells of 10, 20 and 70 rows; row positions are not 0 ... n - 1.
CELL = np.repeat([0, 1, 2], [10, 20, 70])
ROWS = np.arange(100) * 3 + 5


def draw(name, seed=0):
    return Sampling(name=name).draw(ROWS, CELL, seed)


def cell_of(drawn):
    return CELL[(drawn - 5) // 3]


def test_uniform_takes_each_row_once():
    assert sorted(draw("uniform")) == ROWS.tolist()


def test_balanced_takes_as_many_of_each_cell_as_the_smallest_has():
    drawn = draw("balanced")
    assert np.bincount(cell_of(drawn)).tolist() == [10, 10, 10]
    assert len(set(drawn)) == 30


def test_balanced_draws_others_in_each_epoch_and_all_in_the_long_run():
    seen = [set(draw("balanced", seed)) for seed in range(60)]
    assert seen[0] != seen[1]
    assert set.union(*seen) == set(ROWS)


def test_reweighted_draws_as_many_rows_as_there_are_and_cells_alike():
    drawn = np.concatenate([draw("reweighted", seed) for seed in range(300)])
    assert len(drawn) == 300 * len(ROWS)
    share = np.bincount(cell_of(drawn)) / len(drawn)
    np.testing.assert_allclose(share, 1 / 3, atol=4 * (2 / 9 / len(drawn)) ** 0.5)
    # A row of the smallest cell comes 100 / (3 x 10) times an epoch.
    smallest = np.bincount(drawn)[ROWS[:10]].mean() / 300
    assert smallest == pytest.approx(100 / 30, rel=0.05)


@pytest.mark.parametrize("name", ["uniform", "balanced", "reweighted"])
def test_the_seed_decides(name):
    assert np.array_equal(draw(name), draw(name))
    assert not np.array_equal(draw(name), draw(name, 1))


@pytest.mark.parametrize("name", ["balanced", "reweighted"])
def test_the_order_does_not_follow_the_cells(name):
    drawn = cell_of(draw(name))
    assert (np.diff(drawn) != 0).mean() > 0.4


def test_one_cell_is_drawn_whole():
    rows = np.arange(5)
    drawn = Sampling(name="balanced").draw(rows, np.zeros(5, np.int64), 0)
    assert sorted(drawn) == rows.tolist()


def test_cells_cross_the_label_with_every_attribute_and_keep_the_unknown_apart():
    label = np.array([0, 0, 0, 1, 1, 0])
    groups = np.array([[0, 0, -1, 0, 0, 0], [1, 2, 1, 1, 1, 1]])
    cell = cells(label, groups)
    pairs = {tuple(column): number for column, number in zip(zip(label, *groups), cell)}  # noqa: B905
    assert len(set(cell)) == len(pairs) == 4
    assert cell[0] == cell[5]
    assert sorted(set(cell)) == [0, 1, 2, 3]


def test_without_attributes_the_cells_are_the_labels():
    label = np.array([0, 2, 0])
    assert cells(label, np.empty((0, 3), np.int64)).tolist() == [0, 1, 0]


@given(st.lists(st.integers(0, 5)))
def test_repeats_are_what_counting_gives(values):
    seen, expected = [], []
    for value in values:
        expected.append(seen.count(value))
        seen.append(value)
    assert repeats(np.array(values, np.int64)).tolist() == expected


def test_attributes_that_nothing_reads_are_refused():
    with pytest.raises(InputError, match="uniform sampling reads no attribute"):
        Sampling.parse({"attributes": ["sex"]}, "sampling")
