"""Cohorts of several hospitals as one."""

import numpy as np
import pytest

from evaluation.errors import InputError
from training.cohort import CohortSchema, read_cohort
from training.imaging import InputContract
from training.joined import data_set_of, joined


def cohort(name, seed=0, **changes):
    schema = {
        "name": name,
        "format": "phantom",
        "sample": "image_id",
        "patient": "patient",
        "source": {"patients": 20, "images": 1, "seed": seed},
        "label": {
            "column": "lesion",
            "classes": {"absent": ["absent"], "present": ["present"]},
        },
        "attributes": {"sex": {"categories": ["female", "male"]}},
    }
    return read_cohort(CohortSchema.parse(schema | changes, "test"))


def test_samples_and_patients_of_two_never_meet():
    one, other = cohort("one"), cohort("two", seed=1)
    both = joined([other, one])
    assert len(both.table) == len(one.table) + len(other.table)
    patients = both.table["patient"].nunique()
    assert patients == one.table["patient"].nunique() + other.table["patient"].nunique()
    assert both.table.index.is_unique
    assert both.schema.name == "one-and-two"
    assert both.grouped()["data_set"].value_counts().to_dict() == {
        "one": len(one.table),
        "two": len(other.table),
    }
    assert data_set_of(both.schema, both.table["patient"].iloc[0]) == (
        "one",
        one.table["patient"].iloc[0],
    )
    assert data_set_of(one.schema, "p:1") == ("one", "p:1")
    assert joined([one, other]).fingerprint == both.fingerprint


def test_pixels_come_from_the_right_one():
    one, other = cohort("one"), cohort("two", seed=1)
    both, contract = joined([one, other]), InputContract(size=28)
    for each in (one, other):
        sample = each.table.index[3]
        np.testing.assert_array_equal(
            both.pixels(f"{each.schema.name}:{sample}", contract),
            each.pixels(sample, contract),
        )


def test_every_difference_is_told():
    label = {"column": "lesion", "classes": {"no": ["absent"], "yes": ["present"]}}
    other = cohort("two", label=label, attributes={})
    with pytest.raises(InputError) as error:
        joined([cohort("one"), other, cohort("one", seed=2)])
    said = str(error.value)
    assert "2 versions of the data set 'one'" in said
    assert "its classes are no, yes" in said
    assert "its attribute 'sex' is another one" in said
