"""Leaving samples out evenly."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import InputError
from evaluation.thinning import beyond, largest_sizes, surplus


def table(patients=60, images=4, seed=0):
    generator = np.random.default_rng(seed)
    n = patients * images
    return pd.DataFrame(
        {
            "patient": [f"p{i // images}" for i in range(n)],
            "label": generator.integers(0, 2, n),
            "value": generator.choice(list("ABC"), n),
        },
        index=[f"s{i}" for i in range(n)],
    )


def kept(frame, cell, sizes, seed=0):
    return frame.drop(beyond(frame, cell, sizes, np.random.default_rng(seed)))


@given(
    st.lists(st.integers(1, 200), min_size=2, max_size=4),
    st.lists(st.integers(1, 20), min_size=4, max_size=4),
)
def test_sizes_are_the_largest_with_the_shares_by_a_slow_loop(available, parts):
    parts = parts[: len(available)]
    shares = [Fraction(part, sum(parts)) for part in parts]
    # The largest total, in steps of a tenth of a sample, that no cell limits.
    total = 0
    while all((total + 1) * s <= 10 * a for s, a in zip(shares, available, strict=True)):
        total += 1
    names = [str(i) for i in range(len(parts))]
    found = largest_sizes(
        dict(zip(names, available, strict=True)),
        dict(zip(names, map(float, shares), strict=True)),
    )
    for name, share, there in zip(names, shares, available, strict=True):
        assert found[name] <= there
        assert abs(found[name] - total * share / 10) <= Fraction(6, 10)


@pytest.mark.parametrize("seed", range(5))
def test_cells_have_their_sizes_and_keep_their_mix(seed):
    frame = table(seed=seed)
    cell = pd.Series(np.where(frame["value"] == "A", "a", "other"), index=frame.index)
    rest = kept(frame, cell, {"a": 20, "other": 70}, seed)
    assert cell[rest.index].value_counts().to_dict() == {"other": 70, "a": 20}
    for name, size in (("a", 20), ("other", 70)):
        before = frame[cell == name].value_counts(["label", "value"])
        after = rest[cell[rest.index] == name].value_counts(["label", "value"])
        expected = before / before.sum() * size
        assert (abs(after.reindex(before.index, fill_value=0) - expected) < 1).all()


def test_images_are_left_out_before_patients_are():
    frame = table().assign(label=0, value="A")
    cell = pd.Series("all", index=frame.index)
    assert kept(frame, cell, {"all": 60})["patient"].nunique() == 60
    assert set(kept(frame, cell, {"all": 120})["patient"].value_counts()) == {2}


def test_every_sample_has_the_same_chance():
    frame = table(patients=5, images=2)
    cell = pd.Series("all", index=frame.index)
    times = sum(frame.index.isin(kept(frame, cell, {"all": 3}, s).index) for s in range(300))
    # Binomial with 300 draws of 0.3: four standard deviations are 32.
    assert (abs(times - 90) < 32).all()


def test_the_order_of_rows_does_not_matter():
    frame = table()
    cell = frame["value"]
    sizes = {"A": 5, "B": 0, "C": 30}
    shuffled = frame.sample(frac=1, random_state=0)
    assert set(kept(frame, cell, sizes).index) == set(kept(shuffled, cell, sizes).index)


def test_all_or_nothing_may_be_kept():
    frame = table()
    cell = pd.Series("all", index=frame.index)
    assert len(kept(frame, cell, {"all": len(frame)})) == len(frame)
    assert kept(frame, cell, {"all": 0}).empty


def test_a_cell_without_samples_is_named():
    frame = table()
    shares = {"A": 0.4, "D": 0.3, "E": 0.3}
    with pytest.raises(InputError, match="the test rows: leaves no sample of D") as caught:
        surplus(frame, frame["value"], shares, np.random.default_rng(0), "the test rows")
    assert len(caught.value.faults) == 2
