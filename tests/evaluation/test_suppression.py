"""Suppression: no small group can be worked out from what is shown."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from evaluation.findings import GroupSize
from evaluation.groups import make_groups
from evaluation.suppression import hidden_groups

SMALLEST = 11


def cohort(table, depth=2):
    """Sizes of all groups of a table with one row a patient."""
    values = {name: pd.Categorical(table[name]) for name in table}
    return [
        GroupSize(
            group=group.name,
            attributes=group.attributes,
            values=group.values,
            patients=len(group.rows),
            images=len(group.rows),
            positives=0,
        )
        for group in make_groups(values, depth, len(table))
    ]


def ranges(table, sizes, hidden):
    """What somebody who sees all but the hidden counts knows of each, by linear programming.

    Their unknowns are the cells of all attributes crossed: every shown count is a sum of some.
    """
    cells = list(product(*(sorted(set(table[name])) for name in table)))
    names = list(table)

    def row(size):
        wanted = dict(zip(size.attributes, size.values, strict=True))
        return [
            float(all(wanted.get(n, v) == v for n, v in zip(names, cell, strict=True)))
            for cell in cells
        ]

    shown = [size for size in sizes if size.group not in hidden]
    equations = {"A_eq": [row(s) for s in shown], "b_eq": [s.patients for s in shown]}
    for size in sizes:
        if size.group in hidden:
            ends = [
                linprog(sign * np.array(row(size)), **equations).fun * sign for sign in (1, -1)
            ]
            yield size, *ends


def one_attribute(**counts):
    return pd.DataFrame({"a": [name for name, count in counts.items() for _ in range(count)]})


def hidden_of(table, depth=2):
    return list(hidden_groups(cohort(table, depth), SMALLEST))


def test_large_groups_are_all_shown():
    assert hidden_of(one_attribute(x=11, y=300)) == []


def test_a_single_small_group_takes_the_next_smallest_along():
    assert hidden_of(one_attribute(x=5, y=40, z=200)) == ["a: x", "a: y"]


def test_two_small_groups_that_are_few_together_take_a_third():
    assert hidden_of(one_attribute(w=2, x=5, y=40, z=200)) == ["a: w", "a: x", "a: y"]
    assert hidden_of(one_attribute(w=6, x=5, y=40, z=200)) == ["a: w", "a: x"]


def test_a_cohort_that_is_small_is_hidden_altogether():
    assert hidden_of(one_attribute(x=5, y=4)) == ["all", "a: x", "a: y"]


def test_empty_groups_are_shown():
    sizes = cohort(one_attribute(x=40, y=300))
    empty = sizes[1].model_copy(update={"group": "a: z", "values": ("z",), "patients": 0})
    assert hidden_groups([*sizes, empty], SMALLEST) == {}


def test_a_small_crossing_is_protected_through_both_of_its_margins():
    counts = {("x", "u"): 5, ("x", "v"): 60, ("y", "u"): 70, ("y", "v"): 80, ("z", "u"): 90}
    counts["z", "v"] = 95
    table = pd.DataFrame([cell for cell, count in counts.items() for _ in range(count)])
    table.columns = ["a", "b"]
    assert hidden_of(table) == ["a: x, b: u", "a: x, b: v", "a: y, b: u", "a: y, b: v"]


def test_reasons_tell_small_groups_from_those_hidden_for_their_sake():
    small, other = hidden_groups(cohort(one_attribute(x=5, y=40, z=200)), SMALLEST).values()
    assert small == "fewer than 11 patients: not shown"
    assert "by subtraction" in other


def test_a_group_that_is_small_for_one_target_is_hidden_for_all():
    first = cohort(one_attribute(x=30, y=40, z=200))
    second = [
        each.model_copy(update={"target": "edema"})
        for each in cohort(one_attribute(x=3, y=40, z=200))
    ]
    assert list(hidden_groups([*first, *second], SMALLEST)) == ["a: x", "a: y"]


def test_a_smallest_of_one_hides_nothing():
    assert hidden_groups(cohort(one_attribute(x=1, y=2)), 1) == {}


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_no_small_group_can_be_worked_out(seed, depth):
    """An attacker who solves all sums at once gets no small count exactly."""
    generator = np.random.default_rng(seed)
    size = 250
    table = pd.DataFrame(
        {
            "a": generator.choice(list("xyz"), size, p=[0.6, 0.35, 0.05]),
            "b": generator.choice(list("uvw"), size, p=[0.5, 0.3, 0.2]),
            "c": generator.choice(list("no"), size, p=[0.9, 0.1]),
        }
    )
    sizes = cohort(table, depth)
    hidden = hidden_groups(sizes, SMALLEST)
    assert {s.group for s in sizes if 0 < s.patients < SMALLEST} <= set(hidden)
    for group, low, high in ranges(table, sizes, hidden):
        if group.patients < SMALLEST:
            assert high - low > 0.5, group.group


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 20))
def test_what_is_hidden_of_one_attribute_is_never_a_small_number_together(counts, smallest):
    sizes = cohort(one_attribute(**{f"v{k}": count for k, count in enumerate(counts)}), 1)
    hidden = hidden_groups(sizes, smallest)
    inside = [size for size in sizes if size.attributes and size.group in hidden]
    assert all(size.patients > 0 for size in inside)
    if inside and "all" not in hidden:
        assert len(inside) > 1
        assert sum(size.patients for size in inside) >= smallest
