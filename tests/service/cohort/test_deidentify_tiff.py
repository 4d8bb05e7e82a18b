"""TIFF files of strangers take no more memory and time than files of their size may."""

import struct
import tracemalloc

import numpy as np
import pytest
from cohort_samples import NAME

from service.cohort import deidentify_tiff
from service.cohort.deidentify_tiff import COPIES, STRIPS, VALUES, without_metadata

#: Tags of where strips lie and how long they are, and types of numbers.
OFFSETS, LENGTHS, SHORT, LONG = 273, 279, 3, 4


def page(entries, following=0):
    """A page of a classic TIFF: of each tag its type, its number of values, and their place."""
    packed = b"".join(struct.pack("<HHII", tag, *entries[tag]) for tag in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def tiff(entries, size):
    """A file of one page, with zeros behind it."""
    return (b"II*\0" + struct.pack("<I", 8) + page(entries)).ljust(size, b"\0")


def peak(work):
    """Most bytes that are taken at once; what it returns, or the error that it raises."""
    tracemalloc.start()
    try:
        made = work()
    except ValueError as error:
        made = error
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most, made


@pytest.mark.parametrize("tags", [(OFFSETS, LENGTHS, 258), (258, 259, 339)])
def test_tags_with_too_many_values(tags):
    size = 8 * 2**20
    data = tiff(dict.fromkeys(tags, (SHORT, size // 2 - 100, 100)), size)
    most, made = peak(lambda: without_metadata(data))
    assert "too many values" in str(made)
    assert most < 2 * size


def test_places_are_read_one_by_one():
    """Each strip is one byte behind the tables, where a name is; the rest of it goes."""
    strips = 100_000
    start = 200 + 8 * strips
    offsets = np.arange(start, start + strips, dtype="<u4").tobytes()
    lengths = np.ones(strips, "<u4").tobytes()
    entries = {OFFSETS: (LONG, strips, 200), LENGTHS: (LONG, strips, 200 + len(offsets))}
    data = tiff(entries, 200) + offsets + lengths + b"x" * strips + NAME.encode()
    most, made = peak(lambda: without_metadata(data))
    assert made == data[: -len(NAME)] + bytes(len(NAME))
    assert most < 4 * len(data)


def test_the_same_bytes_again_and_again():
    size = 2**20
    entries = {OFFSETS: (LONG, 1, 0), LENGTHS: (LONG, 1, size)}
    length = len(page(entries))
    following = [8 + length * (k + 1) for k in range(COPIES)] + [0]
    pages = b"".join(page(entries, place) for place in following)
    data = (b"II*\0" + struct.pack("<I", 8) + pages).ljust(size, b"\0")
    with pytest.raises(ValueError, match="again and again"):
        without_metadata(data)


def test_what_pages_share_may_be_copied():
    data = tiff({OFFSETS: (LONG, 1, 0), LENGTHS: (LONG, 1, 4096)}, 4096)
    assert without_metadata(data) == data


@pytest.mark.parametrize(
    "entries",
    [
        dict.fromkeys(range(40_000, 40_050), (SHORT, 1, 0)),
        {OFFSETS: (LONG, 50, 500), LENGTHS: (LONG, 50, 500)},
    ],
    ids=["entries", "strips"],
)
def test_too_many_parts(entries, monkeypatch):
    data = tiff(entries, 4096)
    without_metadata(data)
    monkeypatch.setattr(deidentify_tiff, "PARTS", 49)
    with pytest.raises(ValueError, match="too many parts"):
        without_metadata(data)


def test_the_largest_palette_and_long_profiles_stay():
    profile = VALUES + 1
    entries = {320: (SHORT, VALUES, 100), 34675: (7, profile, 100)}
    data = tiff(entries, 100) + b"x" * 2 * VALUES
    assert without_metadata(data) == data
    assert VALUES < STRIPS
