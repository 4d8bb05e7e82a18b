"""An audit of a model on a cohort: it scores images that it has not learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from evaluation.audit import Audit, audit
from evaluation.audited_rows import AuditedRows
from evaluation.embeddings import Embeddings
from evaluation.errors import Fault, InputError, unknown_name
from evaluation.groups import Attribute
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.table import table_digest
from evaluation.threshold import Threshold
from service.audit_requests import CohortAudit, ModelAudit
from service.audits import keep, outcome, pdf_faults, read_policy, telling
from service.champion import BATCH, SEEN
from service.cohorts import Cohorts
from service.tables import ModelVersion
from service.workflow import Found, Step, Workflow, Workplace
from training.cohort import Cohort, CohortSchema
from training.config import COMBINATION
from training.predictor import Predictor
from training.run import Run, load_run, read_split

#: Told what is being done, how much of it, and of how much.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Version:
    """A model version, read.

    Attributes:
        row: Of the registry.
        run: Its run directory.
        split: Of its patients.
        predictor: Its model.
    """

    row: ModelVersion
    run: Run
    split: pd.DataFrame
    predictor: Predictor

    @classmethod
    def read(cls, place: Workplace, name: int | str) -> "Version":
        """Read a version.

        Raises:
            InputError: There is none, or it was deleted.
        """
        row = place.registry.get(str(name))
        folder = place.registry.directory(row)
        return cls(row, load_run(folder), read_split(folder), Predictor(folder))

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"version {self.row.id}"

    @property
    def seen(self) -> set[str]:
        """Patients that it has learnt from or was chosen on."""
        return set(self.split["patient"][self.split["split"].isin(SEEN)])

    @property
    def frozen(self) -> tuple[Threshold, ...]:
        """The thresholds of its own audit, as given ones."""
        return frozen(self.run.audit)


def frozen(made: Audit) -> tuple[Threshold, ...]:
    """The thresholds of an audit for another one: they are given, and never chosen again."""
    return tuple(
        each.model_copy(update={"rule": "fixed"})
        if each.rule not in ("highest score", "decisions")
        else each
        for each in made.thresholds
    )


def frozen_spec(
    made: Audit, overrides: dict[str, Any], schema: CohortSchema | None = None
) -> AuditSpec:
    """The settings of an audit for another one: its own, its threshold, and what overrides it.

    Args:
        made: The earlier audit.
        overrides: Keys of :class:`AuditSpec`; attributes may be names.
        schema: Of the cohort that is audited, which declares its attributes. None: it is the
            same table.

    Raises:
        InputError: They do not fit, or would choose another threshold; every fault is there.
    """
    faults = [
        Fault("audit", "the threshold is frozen", "Leave it out.", column=name)
        for name in ("threshold", "threshold_rows")
        if name in overrides
    ]
    known = {each.name: each for each in made.spec.attributes if each != COMBINATION}
    asked = overrides.get("attributes", list(known))
    values = _over(made.spec.model_dump(mode="json"), overrides) | {"attributes": []}
    limits = {each.target: each.value for each in frozen(made) if each.rule == "fixed"}
    values["threshold"] = limits.get("", limits or None)
    stated = {each.chosen_on for each in made.thresholds} - {"not stated"}
    values["threshold_rows"] = min(stated) if limits and stated else None
    attributes = []
    for each in asked if isinstance(asked, list | tuple) else [asked]:
        try:
            attributes.append(_attribute(each, known, schema))
        except InputError as error:
            faults += error.faults
    try:
        spec = AuditSpec.parse(values | {"attributes": attributes}, "audit")
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(*faults)
    return spec


def _over(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Tables within are overridden key by key."""
    return values | {
        name: values[name] | value
        if isinstance(value, dict) and isinstance(values.get(name), dict)
        else value
        for name, value in overrides.items()
    }


def _attribute(
    given: object, known: dict[str, Attribute], schema: CohortSchema | None
) -> dict[str, Any]:
    """An attribute of the request, as the earlier audit or the cohort describes it."""
    described = given if isinstance(given, dict) else {"name": given}
    name = str(described.get("name", ""))
    if schema is not None and name not in schema.attributes:
        raise unknown_name("attribute", name, schema.attributes, f"cohort {schema.name}")
    if len(described) > 1:
        return described
    if name in known:
        return known[name].model_dump(mode="json")
    if schema is None:
        raise unknown_name("attribute", name, known, "audit")
    return schema.attribute(name).model_dump(mode="json")


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


def score(
    predictor: Predictor, cohort: Cohort, rows: Predictions, source: str, tell: Tell
) -> tuple[Predictions, Embeddings]:
    """The same rows with a model's scores, and its embeddings of them.

    Raises:
        InputError: An image cannot be read.
    """
    samples = rows.table["sample"].tolist()
    blocks = []
    for start in range(0, len(samples), BATCH):
        tell("predicting", start, len(samples))
        batch = samples[start : start + BATCH]
        pixels = np.stack([cohort.pixels(each, predictor.contract) for each in batch])
        blocks.append(predictor.predict(pixels))
    probability = np.concatenate([block.probability for block in blocks]).astype(float)
    if len(predictor.classes) == 2:
        columns = {"score": probability[:, 1]}
    else:
        probability /= probability.sum(axis=1, keepdims=True)  # in float64 too
        columns = {
            f"score_{name}": probability[:, k] for k, name in enumerate(predictor.classes)
        }
    scored = replace(rows, table=rows.table.assign(**columns), source=source)
    codes = {
        f"{latent}_{place}": column
        for latent in predictor.code_widths
        for place, column in enumerate(np.concatenate([getattr(b, latent) for b in blocks]).T)
    }
    table = pd.DataFrame({"sample": samples, **codes})
    scored = replace(scored, digest=table_digest(scored.table))
    return scored, Embeddings.from_table(table, f"embeddings of {source}")


def labelled(made: Audit, prepared: Prepared) -> Audit:
    """The audit with its notes, the loudest first, and without a PASS that it cannot give."""
    held = prepared.biased and made.verdict == "PASS"
    changed: dict[str, Any] = {"notes": (*prepared.notes, *made.notes)}
    return made.model_copy(update=changed | ({"verdict": "INSUFFICIENT"} if held else {}))


class AuditingModel(Workflow):
    """An audit of a model version on a cohort, its threshold frozen."""

    def check(self) -> None:
        """Read the version and the cohort.

        Raises:
            InputError: They do not fit each other or the request; every fault is there.
        """
        self._prepared()

    def steps(self) -> Sequence[Step]:
        """Score and audit. Scores are quickly made again, so nothing is kept between."""
        return [Step("audit", self.audit)]

    def audit(self, found: Found) -> Found:
        """Score, audit, and keep the report."""
        asked, version, prepared = self._prepared()
        tell = telling(self)
        rows, embeddings = score(
            version.predictor, prepared.cohort, prepared.rows, prepared.rows.source, tell
        )
        about = version.run.audit.about
        made = labelled(
            audit(rows, prepared.spec, prepared.policy, embeddings, None, about, tell), prepared
        )
        place, job = self.task.place, self.task.id
        keep(place, job, made, rows, model=version.row.id, pdf=asked.pdf)
        return outcome(job, made) | {"model": version.row.id, "cohort": asked.cohort}

    def _prepared(self) -> tuple[ModelAudit, Version, Prepared]:
        asked = ModelAudit.parse(self.task.request, "body")
        version = Version.read(self.task.place, asked.model)
        return asked, version, prepare(self.task.place, asked, asked.cohort, [version])
