"""Provenance: overlaps and duplicates are found, and nobody is named."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.provenance import Provenance, provenance


def table(**changes):
    columns = {
        "sample": ["a", "b", "c", "d", "e"],
        "patient": ["secret1", "secret2", "secret1", "secret3", "secret1"],
        "split": ["train", "train", "test", "test", "test"],
        "hash": ["00", "ff", "00", "fe", np.nan],
    }
    return pd.DataFrame(columns | changes)


def test_what_is_shared_is_counted():
    found = provenance(table(), "hash", 1)
    assert [(each.split, each.patients, each.images) for each in found.rows] == [
        ("train", 2, 2),
        ("test", 2, 3),
    ]
    (overlap,) = found.overlaps
    assert (overlap.patients, overlap.first_images, overlap.second_images) == (1, 1, 2)
    assert overlap.samples == ("c", "e")
    assert [each.pairs for each in found.duplicates] == [1, 0, 1, 1]
    assert found.unhashed == 1
    assert not found.sound


def test_patients_are_never_named():
    assert "secret" not in provenance(table(), "hash", 1).model_dump_json()


def test_a_clean_split_is_sound_and_says_what_was_looked_at():
    clean = table(patient=list("vwxyz"), hash=["00", "ff", "0f", "f0", "33"])
    found = provenance(clean, "hash", 1)
    assert found.sound
    assert "No patient is in both train and test." in found.sentences
    assert "No two images in different splits have the same hash." in found.sentences
    assert len(found.sentences) == 5


def test_without_hashes_the_report_says_so():
    found = provenance(table(), None, 0)
    assert found.duplicates == ()
    assert found.unhashed == 5
    assert found.sentences[-1] == (
        "Duplicate images were not looked for: no image hashes were given."
    )


def test_one_split_has_nothing_to_share():
    found = provenance(table(split="test"), "hash", 0)
    assert found.overlaps == ()
    assert found.sound
    assert found.duplicates[1].pairs == 0


def test_it_survives_json_and_the_order_of_rows():
    found = provenance(table(), "hash", 1)
    assert Provenance.model_validate_json(found.model_dump_json()) == found
    shuffled = table().iloc[[3, 1, 4, 0, 2]]
    assert provenance(shuffled, "hash", 1) == found


def test_every_fault_of_the_table_is_named():
    bad = table(patient=["p", None, "p", "p", "p"], sample=["a", "a", "c", "d", "e"])
    with pytest.raises(InputError) as caught:
        provenance(bad.drop(columns="split"), "hsh", -1)
    message = str(caught.value)
    for part in ("no column 'split'", "no column 'hsh'", "1 values are missing", "first 'a'"):
        assert part in message
    assert "distance of near duplicates is -1" in message
    with pytest.raises(InputError, match="without hashes"):
        provenance(table(), None, 4)
