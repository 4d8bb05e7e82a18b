"""Several cohorts as one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256

import pandas as pd

from evaluation.errors import Fault, InputError
from training.cohort import AttributeSchema, Cohort, CohortSchema
from training.imaging import InputContract, Pixels

#: Attribute of a joined cohort: the data set that a sample is of. Where an image comes from is
#: the most usual shortcut, so groups are made of it.
DATA_SET = "data_set"

#: Stands between a data set and what it calls a sample or a patient.
BETWEEN = ":"


def joined(cohorts: Sequence[Cohort]) -> Cohort:
    """Cohorts of the same classes and attributes, one below the other.

    Samples and patients begin with the name of their data set, so that those of two never
    meet: ``ham10000:ISIC_0027419``. Which data set that is becomes the attribute ``data_set``.
    The joined cohort is called after all of them, sorted, so their order does not matter.

    Args:
        cohorts: Two or more, of different data sets.

    Raises:
        InputError: Two are versions of one data set; or classes or attributes differ; or one
            has an attribute ``data_set``. All faults at once.
    """
    cohorts = sorted(cohorts, key=lambda cohort: cohort.schema.name)
    if faults := _faults(cohorts):
        raise InputError(*faults)
    names = [cohort.schema.name for cohort in cohorts]
    loaders = {cohort.schema.name: cohort.load for cohort in cohorts}
    table = pd.concat([_prefixed(cohort) for cohort in cohorts])

    def load(image: str, contract: InputContract) -> Pixels:
        name, _, rest = image.partition(BETWEEN)
        return loaders[name](rest, contract)

    first = cohorts[0].schema
    attributes = first.attributes | {DATA_SET: AttributeSchema(categories=tuple(names))}
    schema = first.model_copy(
        update={
            "name": "-and-".join(names)[:80],
            "title": "; ".join(cohort.schema.title or cohort.schema.name for cohort in cohorts),
            "licence": _lines(cohort.schema.licence for cohort in cohorts),
            "citation": _lines(cohort.schema.citation for cohort in cohorts),
            "url": "",
            "attributes": attributes,
        }
    )
    parts = "\n".join(cohort.fingerprint for cohort in cohorts)
    unused = tuple(each for cohort in cohorts for each in cohort.unused)
    return Cohort(schema, table, load, sha256(parts.encode()).hexdigest(), unused)


def data_set_of(cohort: CohortSchema, patient: str) -> tuple[str, str]:
    """The data set of a patient, and what it calls them.

    Args:
        cohort: Schema of a cohort, joined or not.
        patient: As the cohort calls them.
    """
    if DATA_SET not in cohort.attributes:
        return cohort.name, patient
    name, _, own = patient.partition(BETWEEN)
    return name, own


def _prefixed(cohort: Cohort) -> pd.DataFrame:
    begin = cohort.schema.name + BETWEEN
    table = cohort.table.copy()
    for column in ("patient", "image"):
        table[column] = begin + table[column]
    table[DATA_SET] = cohort.schema.name
    return table.set_index(begin + table.index).rename_axis("sample")


def _faults(cohorts: Sequence[Cohort]) -> list[Fault]:
    faults = []
    first = cohorts[0].schema
    for name, count in Counter(cohort.schema.name for cohort in cohorts).items():
        if count > 1:
            found = f"there are {count} versions of the data set '{name}'"
            faults.append(Fault("cohorts", found, "Name one of them."))
    for cohort in cohorts:
        schema, where = cohort.schema, f"cohort {cohort.schema.name}"
        if schema.classes != first.classes:
            found = f"its classes are {', '.join(schema.classes)}"
            remedy = f"Those of {first.name} are {', '.join(first.classes)}."
            faults.append(Fault(where, found, remedy))
        if DATA_SET in schema.attributes:
            found = f"it has an attribute '{DATA_SET}'"
            faults.append(Fault(where, found, "Give the attribute another name."))
        for name in sorted({*schema.attributes, *first.attributes}):
            if not _alike(schema, first, name):
                found = f"its attribute '{name}' is another one than that of {first.name}"
                remedy = "Declare the same categories, or bins and unit, in each."
                faults.append(Fault(where, found, remedy))
    return faults


def _alike(one: CohortSchema, other: CohortSchema, name: str) -> bool:
    both = (one.attributes.get(name), other.attributes.get(name))
    declared = [each and (each.categories, each.bins, each.unit) for each in both]
    return declared[0] == declared[1]


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(filter(None, texts)))
