"""Whether models can be audited on a cohort, and on which of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.audited_rows import AuditedRows
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from service.audit.audited_version import Version
from service.audit.audits import pdf_faults, read_policy
from service.audit.frozen_spec import frozen_spec
from service.audit.requests import CohortAudit
from service.cohort.cohorts import Cohorts
from service.jobs.workflow import Workplace
from training.cohort import Cohort


@dataclass(frozen=True)
class Prepared:
    """An audit of models on a cohort that can be done.

    Attributes:
        cohort: What is audited on.
        rows: The samples, with a score that says nothing yet.
        spec: Of the audit.
        policy: What must hold.
        notes: What a reader must know.
        biased: Whether a model has learnt from some of the patients.
    """

    cohort: Cohort
    rows: Predictions
    spec: AuditSpec
    policy: Policy | None
    notes: tuple[str, ...]
    biased: bool


def prepare(
    place: Workplace, asked: CohortAudit, cohort: str, versions: Sequence[Version]
) -> Prepared:
    """Check that models can be audited on a cohort, before an image is scored.

    Args:
        place: Of the worker.
        asked: What is asked for.
        cohort: Id of the cohort.
        versions: The audited model first.

    Raises:
        InputError: They cannot; every fault is there.
    """
    faults = pdf_faults(asked.pdf)
    data = Cohorts(place.database, place.store, place.settings).read(cohort)
    for version in versions:
        if version.predictor.classes != data.schema.classes:
            found = f"{version.name} decides between {', '.join(version.predictor.classes)}"
            remedy = f"The cohort has {', '.join(data.schema.classes)}."
            faults.append(Fault(f"cohort {cohort}", found, remedy))
    policy = spec = None
    try:
        policy = read_policy(asked.policy_name if asked.policy is None else asked.policy)
    except InputError as error:
        faults += error.faults
    try:
        spec = frozen_spec(versions[0].run.audit, asked.audit, data.schema)
    except InputError as error:
        faults += error.faults
    patients = data.table["patient"]
    learnt = patients.isin(set().union(*(version.seen for version in versions)))
    if asked.rows == "unseen" and learnt.all():
        found = "every patient of the cohort was learnt from"
        remedy = 'Bring new patients, or say "rows": "all".'
        faults.append(Fault(f"cohort {cohort}", found, remedy))
    if faults or spec is None:
        raise InputError(*faults)
    keep_all = asked.rows == "all"
    table = data.table if keep_all else data.table[~learnt]
    source = f"{versions[0].name} on {cohort}"
    rows = _rows(table, data.schema.classes, spec, source)
    AuditedRows.of(rows, spec)  # refuses what cannot be audited
    biased = keep_all and bool(learnt.any())
    notes = [_biased(patients[learnt].nunique(), patients.nunique())] if biased else []
    notes += [_strange(each) for each in versions if not _known(each, patients)]
    return Prepared(data, rows, spec, policy, tuple(notes), biased)


def _biased(learnt: int, patients: int) -> str:
    return (
        f"NOT AN INDEPENDENT TEST: {learnt:,} of the {patients:,} patients were learnt from, "
        "so every number here is better than the model is. There is no PASS on such rows."
    )


def _strange(version: Version) -> str:
    return (
        f"No patient of the cohort is one of those that {version.name} was trained or tested "
        "with. If it was trained elsewhere, where patients are called otherwise, it may have "
        "learnt from them."
    )


def _known(version: Version, patients: pd.Series) -> bool:
    return bool(patients.isin(set(version.split["patient"])).any())


def _rows(
    table: pd.DataFrame, classes: Sequence[str], spec: AuditSpec, source: str
) -> Predictions:
    """The table of predictions, all scores alike."""
    table = table.assign(split="test").rename_axis("sample").reset_index()
    if len(classes) == 2:
        table["score"] = 0.5
    else:
        table = table.assign(**{f"score_{name}": 1 / len(classes) for name in classes})
        table["label"] = np.array(classes)[table["label"]]
    return Predictions.from_table(table, [each.name for each in spec.attributes], source=source)
