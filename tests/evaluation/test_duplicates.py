"""Duplicate images: equal to the definition, whatever the order of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.duplicates import duplicates
from evaluation.errors import InputError


def table(hashes, patients, splits):
    return pd.DataFrame(
        {
            "sample": [f"s{i:03}" for i in range(len(hashes))],
            "patient": list(patients),
            "split": list(splits),
            "hash": list(hashes),
        }
    ).astype({"sample": "str", "patient": "str", "split": "str"})


def loop(frame, line, near):
    """The definition: every two samples on two sides of the line."""
    rows = [row for row in frame.itertuples() if not pd.isna(row.hash)]
    pairs = []
    for j, second in enumerate(rows):
        for first in rows[:j]:
            if getattr(first, line) == getattr(second, line):
                continue
            apart = (int(first.hash, 16) ^ int(second.hash, 16)).bit_count()
            if apart == 0 if near == 0 else 0 < apart <= near:
                pairs.append((first.sample, second.sample))
    return len(pairs), len({sample for pair in pairs for sample in pair}), pairs


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0000", "0001", "0003", "f000", "ffff", "fffe", None]),
            st.sampled_from("abc"),
            st.sampled_from(["train", "validation", "test"]),
        ),
        max_size=14,
    ),
    st.integers(1, 6),
    st.randoms(),
)
def test_equals_the_definition_in_any_order(rows, near, random):
    frame = table(*zip(*rows, strict=True)) if rows else table([], [], [])
    order = list(range(len(frame)))
    random.shuffle(order)
    found = duplicates(frame, "hash", near)
    assert found == duplicates(frame.iloc[order], "hash", near)
    for each, (kind, across) in zip(
        found,
        [("exact", "splits"), ("exact", "patients"), ("near", "splits"), ("near", "patients")],
        strict=True,
    ):
        assert (each.kind, each.across) == (kind, across)
        line = {"splits": "split", "patients": "patient"}[across]
        pairs, images, all_pairs = loop(frame, line, 0 if kind == "exact" else near)
        assert (each.pairs, each.images) == (pairs, images)
        assert bool(each.examples) == bool(pairs)
        assert {tuple(sorted(pair)) for pair in each.examples} <= set(all_pairs)


def test_any_text_is_a_hash_if_only_equal_ones_are_sought():
    frame = table(["md5:x", "md5:x", "MD5:X"], "abc", ["train", "test", "test"])
    splits, patients = duplicates(frame, "hash", 0)
    assert (splits.pairs, splits.images) == (1, 2)
    assert patients.examples == (("s000", "s001"),)


def test_case_of_hexadecimal_digits_does_not_matter():
    found = duplicates(table(["ab", "AB"], "ab", ["train", "test"]), "hash", 1)
    assert found[0].pairs == 1


def test_one_image_many_times_needs_no_list_of_pairs():
    """A blank image in 40,000 rows makes 400 million pairs across the splits."""
    frame = table(["00"] * 40_000, range(40_000), ["train", "test"] * 20_000)
    splits, patients = duplicates(frame, "hash", 0)
    assert splits.pairs == 20_000**2
    assert patients.pairs == 40_000 * 39_999 // 2
    assert splits.images == patients.images == 40_000


def test_no_hash_at_all_is_no_duplicate():
    frame = table([np.nan, np.nan], "ab", ["train", "test"])
    assert all(found.pairs == found.images == 0 for found in duplicates(frame, "hash", 3))


@pytest.mark.parametrize(
    ("hashes", "near", "faults"),
    [
        (["00", "0g", "000"], 1, ["row 2, column hash: hash is '0g'", "row 3"]),
        (["00", " "], 0, ["row 2, column hash: hash is ' '. Leave unknown"]),
        (["000", "111"], 1, ["here of 4 digits", "row 2"]),
        (["00" * 65, "11" * 65], 1, ["130 digits"]),
        (["00", "11"], 8, ["takes all hashes of 8 bits for alike"]),
    ],
)
def test_malformed_hashes_are_named(hashes, near, faults):
    with pytest.raises(InputError) as caught:
        duplicates(table(hashes, hashes, ["test"] * len(hashes)), "hash", near)
    for fault in faults:
        assert fault in str(caught.value)


def test_very_many_malformed_hashes_are_counted():
    frame = table(["00"] * 200 + ["x"] * 100, range(300), ["test"] * 300)
    with pytest.raises(InputError, match="80 further rows"):
        duplicates(frame, "hash", 1)


def test_hashes_that_are_too_alike_are_refused(monkeypatch):
    monkeypatch.setattr("evaluation.duplicates.MOST_COMPARISONS", 3)
    with pytest.raises(InputError, match="too alike"):
        duplicates(table(["00", "01", "02", "03"], "abcd", ["test"] * 4), "hash", 2)
