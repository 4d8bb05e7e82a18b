"""What the numbers of an audit rest on: patients and images on both sides of a split."""

from itertools import combinations

import pandas as pd

from evaluation.duplicates import Duplicates, duplicates
from evaluation.errors import Fault, InputError
from evaluation.settings import Settings

_ORDER = ("train", "validation", "test")
_EXAMPLES = 5


class SplitSize(Settings):
    """How much a split holds.

    Attributes:
        split: Its name.
        patients: Number of patients.
        images: Number of samples.
    """

    split: str
    patients: int
    images: int


class Overlap(Settings):
    """Patients that are in two splits. Who they are is never told.

    Attributes:
        first: One split.
        second: The other.
        patients: Number of patients with samples in both.
        first_images: Samples of these patients in the first split.
        second_images: Samples of these patients in the second.
        samples: Some of their samples in the second split, in order.
        sentence: The same in words.
    """

    first: str
    second: str
    patients: int
    first_images: int
    second_images: int
    samples: tuple[str, ...] = ()
    sentence: str


class Provenance(Settings):
    """What the numbers of an audit rest on.

    Attributes:
        rows: Size of every split that occurs.
        overlaps: Shared patients of every two splits, also where there are none.
        duplicates: Images that are there twice; empty if there are no hashes.
        unhashed: Samples without a hash; all of them if there are no hashes.
        sentences: The findings in words, for the report.
    """

    rows: tuple[SplitSize, ...]
    overlaps: tuple[Overlap, ...]
    duplicates: tuple[Duplicates, ...]
    unhashed: int
    sentences: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether no patient and no image was found in two splits."""
        crossing = (found.pairs for found in self.duplicates if found.across == "splits")
        return not any(found.patients for found in self.overlaps) and not any(crossing)


def provenance(
    table: pd.DataFrame, hash_column: str | None, near_distance: int, where: str = "predictions"
) -> Provenance:
    """Look for patients and images that are on both sides of a split.

    Args:
        table: One row a sample: ``sample`` (unique), ``patient`` and ``split``, all str, and
            the hashes if there are any. Any row order gives the same findings.
        hash_column: Column of image hashes, str; NaN where unknown. None: duplicates are not
            looked for, and the sentences say so.
        near_distance: Hashes that differ in at most so many bits are near duplicates; 0: only
            equal hashes are sought. See :func:`evaluation.duplicates.duplicates`.
        where: Name of the table, for messages.

    Raises:
        InputError: A column is missing, samples repeat, the distance is negative, or the hashes
            cannot be used.

    Examples:
        >>> table = pd.DataFrame(
        ...     {"sample": ["a", "b"], "patient": ["p", "p"], "split": ["train", "test"]}
        ... )
        >>> provenance(table, None, 0).overlaps[0].sentence
        '1 patient is in both train and test, with 1 and 1 images: results are optimistic.'
    """
    _check(table, hash_column, near_distance, where)
    names = set(table["split"])
    splits = [*filter(names.__contains__, _ORDER), *sorted(names.difference(_ORDER))]
    rows = tuple(_size(table, split) for split in splits)
    overlaps = tuple(_overlap(table, *pair) for pair in combinations(splits, 2))
    copies: tuple[Duplicates, ...] = ()
    unhashed = len(table)
    if hash_column is None:
        told = ["Duplicate images were not looked for: no image hashes were given."]
    else:
        copies = duplicates(table, hash_column, near_distance, where)
        unhashed = int(table[hash_column].isna().sum())
        told = [_said(found) for found in copies]
        if unhashed:
            count = "1 image has" if unhashed == 1 else f"{unhashed:,} images have"
            told.append(f"{count} no hash and took no part in the search for duplicates.")
    return Provenance(
        rows=rows,
        overlaps=overlaps,
        duplicates=copies,
        unhashed=unhashed,
        sentences=(*(found.sentence for found in overlaps), *told),
    )


def _check(table: pd.DataFrame, hash_column: str | None, near: int, where: str) -> None:
    needed = ["sample", "patient", "split", *([hash_column] if hash_column else [])]
    absent = [name for name in needed if name not in table]
    faults = [Fault(where, f"there is no column '{name}'", "Add it.") for name in absent]
    for name in {"sample", "patient", "split"}.intersection(table):
        if missing := int(table[name].isna().sum()):
            found = f"{missing} values are missing"
            faults.append(Fault(where, found, "Every sample needs one.", column=name))
    if "sample" in table and (repeated := table["sample"].duplicated()).any():
        first = table["sample"][repeated].iloc[0]
        found = f"{int(repeated.sum())} samples repeat, first '{first}'"
        faults.append(Fault(where, found, "Every row needs an id of its own.", column="sample"))
    if near < 0:
        found = f"the distance of near duplicates is {near}"
        faults.append(Fault(where, found, "Give a number of bits, 0 or more."))
    if near > 0 and hash_column is None:
        found = "near duplicates are asked for without hashes"
        faults.append(Fault(where, found, "Name the column of the hashes."))
    if faults:
        raise InputError(*faults)


def _size(table: pd.DataFrame, split: str) -> SplitSize:
    patient = table["patient"][table["split"] == split]
    return SplitSize(split=split, patients=patient.nunique(), images=len(patient))


def _overlap(table: pd.DataFrame, first: str, second: str) -> Overlap:
    inside, outside = (table[table["split"] == split] for split in (first, second))
    shared = set(inside["patient"]) & set(outside["patient"])
    ours, theirs = (part["sample"][part["patient"].isin(shared)] for part in (inside, outside))
    if shared:
        count = "1 patient is" if len(shared) == 1 else f"{len(shared):,} patients are"
        sentence = (
            f"{count} in both {first} and {second}, with {len(ours):,} and {len(theirs):,} "
            "images: results are optimistic."
        )
    else:
        sentence = f"No patient is in both {first} and {second}."
    return Overlap(
        first=first,
        second=second,
        patients=len(shared),
        first_images=len(ours),
        second_images=len(theirs),
        samples=tuple(sorted(map(str, theirs))[:_EXAMPLES]),
        sentence=sentence,
    )


def _said(found: Duplicates) -> str:
    """A finding in words."""
    about = "the same hash" if found.kind == "exact" else f"hashes within {found.distance} bits"
    side = "in different splits" if found.across == "splits" else "of different patients"
    if not found.pairs:
        return f"No two images {side} have {about}."
    means = (
        "the model may be tested on images that it was fitted to."
        if found.across == "splits"
        else "an image was filed twice, or a patient id is wrong."
    )
    if found.kind == "near":
        means += " Or the images only look alike: view the examples."
    count = "1 pair" if found.pairs == 1 else f"{found.pairs:,} pairs"
    return f"{count} of images {side} ({found.images:,} images) have {about}: {means}"
