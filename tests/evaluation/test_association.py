"""Association of two variables, and tables that have a stated one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logit
from scipy.stats import contingency
from sklearn.metrics import matthews_corrcoef, mutual_info_score

from evaluation.association import (
    cramers_v,
    mutual_information,
    nearest_counts,
    nearest_table,
    phi,
)

counts = st.lists(st.integers(0, 40), min_size=4, max_size=4).map(
    lambda cells: np.array(cells).reshape(2, 2)
)
strengths = st.floats(-0.99, 0.99)


def samples(table):
    """Row and column of every sample."""
    table = np.asarray(table)
    cells = [cell for cell in np.ndindex(table.shape) for _ in range(table[cell])]
    return np.array(cells).reshape(-1, 2).T


def table_of_margins(p, q, correlation):
    rest = correlation * np.sqrt(p * (1 - p) * q * (1 - q))
    shares = np.outer([p, 1 - p], [q, 1 - q]) + np.array([[rest, -rest], [-rest, rest]])
    return shares


@given(counts)
def test_phi_is_the_pearson_correlation(table):
    if 0 in table.sum(0) or 0 in table.sum(1):
        assert np.isnan(phi(table))
    else:
        row, column = samples(table)
        assert phi(table) == pytest.approx(np.corrcoef(row, column)[0, 1])
        assert phi(table) == pytest.approx(matthews_corrcoef(row, column))


def test_phi_of_many_tables_is_one_call():
    tables = np.random.default_rng(0).integers(1, 9, (3, 5, 2, 2))
    expected = [[phi(table) for table in some] for some in tables]
    np.testing.assert_allclose(phi(tables), expected)


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (4, 3)])
def test_cramers_v_and_information_agree_with_others(shape):
    table = np.random.default_rng(1).integers(1, 30, shape)
    assert cramers_v(table) == pytest.approx(contingency.association(table, method="cramer"))
    bits = mutual_info_score(*samples(table)) / np.log(2)
    assert mutual_information(table) == pytest.approx(bits)


def test_cramers_v_of_two_by_two_is_phi_without_sign():
    table = np.array([[3, 20], [11, 6]])
    assert cramers_v(table) == pytest.approx(abs(phi(table)))


@pytest.mark.parametrize("function", [cramers_v, mutual_information])
def test_association_is_zero_one_or_undefined(function):
    assert function(np.outer([2, 3], [4, 5])) == pytest.approx(0, abs=1e-7)
    assert function(np.eye(2)) == pytest.approx(1)
    assert np.isnan(function(np.array([[3, 4], [0, 0]])))
    assert np.isnan(function(np.zeros((2, 2))))
    assert np.isnan(function(np.zeros((0, 3))))
    # An empty category is not there.
    assert function(np.array([[3, 0, 4], [5, 0, 1]])) == function(np.array([[3, 4], [5, 1]]))


@given(counts, strengths)
def test_a_nearest_table_has_the_correlation_and_no_cell_that_has_no_sample(table, strength):
    shares = nearest_table(table, strength)
    if shares is None:
        assert (table == 0).any()
    else:
        assert shares.sum() == pytest.approx(1)
        assert (shares >= 0).all()
        assert (shares[table == 0] == 0).all()
        # The share of a margin this near to 0 or 1 has no digits left for a correlation.
        if min(*shares.sum(0), *shares.sum(1)) > 1e-6:
            assert phi(shares) == pytest.approx(strength, abs=1e-5)


@given(counts, strengths)
def test_a_table_of_full_cells_has_one_and_margins_that_allow_it_stay(table, strength):
    table = table + 1
    shares = nearest_table(table, strength)
    margins = table.sum(1)[0] / table.sum(), table.sum(0)[0] / table.sum()
    asked = table_of_margins(*margins, strength)
    if (asked > 1e-9).all():
        np.testing.assert_allclose(shares, asked)


@pytest.mark.parametrize(("p", "q", "strength"), [(10, 50, 0.8), (80, 30, 0.6), (10, 30, -0.9)])
def test_margins_that_do_not_allow_it_move_as_little_as_a_search_finds(p, q, strength):
    table = np.round(table_of_margins(p / 100, q / 100, 0.0) * 10_000).astype(int)
    shares = nearest_table(table, strength)
    there = np.array([logit(p / 100), logit(q / 100)])

    def lowest(moved):
        return table_of_margins(*(1 / (1 + np.exp(-moved))), strength).min()

    found = minimize(
        lambda moved: ((moved - there) ** 2).sum(),
        there * 0.1,
        constraints={"type": "ineq", "fun": lowest},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    moved = logit([shares.sum(1)[0], shares.sum(0)[0]])
    np.testing.assert_allclose(moved, found.x, atol=1e-3)
    assert (shares == 0).sum() == 1


@pytest.mark.parametrize(
    ("table", "strength", "possible"),
    [
        ([[5, 0], [0, 5]], 0.5, False),  # nothing but 1 can be had
        ([[5, 0], [5, 5]], 0.5, True),
        ([[5, 5], [0, 5]], 0.5, True),
        ([[5, 0], [5, 5]], 0.0, False),
        ([[5, 0], [5, 5]], -0.5, False),
        ([[0, 5], [5, 5]], -0.5, True),
        ([[0, 5], [5, 5]], 0.5, False),
        ([[5, 5], [0, 0]], 0.5, False),
        ([[0, 0], [0, 0]], 0.5, False),
    ],
)
def test_an_empty_cell_allows_one_sign(table, strength, possible):
    assert (nearest_table(np.array(table), strength) is not None) == possible


def test_counts_are_the_nearest_of_all_tried_by_a_slow_loop():
    available, strength = np.array([[30, 41], [52, 17]]), 0.3
    shares = nearest_table(available, strength)
    ideal = (available / shares).min() * shares

    def badness(cells):
        error = abs(phi(np.reshape(cells, (2, 2))) - strength)
        return round(error, 4), round(np.abs(np.array(cells) - ideal.ravel()).sum(), 9)

    tried = {
        cells
        for size in np.linspace(1, 0.95, 41)
        for cells in itertools.product(
            *(
                range(max(round(size * cell) - 2, 0), min(round(size * cell) + 2, limit) + 1)
                for cell, limit in zip(ideal.ravel(), available.ravel(), strict=True)
            )
        )
    }
    found = nearest_counts(available, shares, strength)
    assert badness(found.ravel()) == min(map(badness, tried))


@given(counts, strengths)
def test_counts_never_exceed_what_there_is(table, strength):
    shares = nearest_table(table, strength)
    if shares is not None:
        found = nearest_counts(table, shares, strength)
        assert (found >= 0).all()
        assert (found <= table).all()


def test_counts_of_a_table_that_fits_are_all_that_there_is():
    table = np.array([[30, 10], [10, 30]])
    np.testing.assert_array_equal(nearest_counts(table, table / 80, 0.5), table)


def test_counts_without_a_needed_cell_are_zero():
    assert nearest_counts(np.array([[5, 0], [5, 5]]), np.full((2, 2), 0.25), 0.0).sum() == 0


@pytest.mark.parametrize(("kept", "error"), [(100, 1e-3), (1000, 5e-5)])
def test_the_error_is_as_small_as_is_said(kept, error):
    generator = np.random.default_rng(0)
    errors = []
    while len(errors) < 60:
        p, q = generator.uniform(0.05, 0.95, 2)
        cells = generator.multinomial(kept * 4, np.outer([p, 1 - p], [q, 1 - q]).ravel())
        available, strength = cells.reshape(2, 2), generator.uniform(-0.95, 0.95)
        shares = nearest_table(available, strength)
        if shares is not None:
            found = nearest_counts(available, shares, strength)
            if kept <= found.sum() <= 2 * kept:
                errors.append(abs(phi(found) - strength))
    assert np.quantile(errors, 0.95) <= error
