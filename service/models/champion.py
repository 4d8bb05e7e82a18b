"""A challenger beside the champion: both on patients that neither has learnt from."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from evaluation.audit import Audit, audit
from evaluation.compare import Champion
from evaluation.embeddings import Embeddings
from evaluation.errors import Fault, InputError
from evaluation.predictions import COLUMNS, Predictions
from evaluation.threshold import Threshold
from training.cohort import Cohort
from training.predictor import Predictor
from training.run import Run, load_run, read_split

#: Images that are scored at once.
BATCH: Final = 64

#: Splits whose patients a model has learnt from, or was chosen on.
SEEN: Final = ("train", "validation")


def beside(name: str, champion: Path, run: Run, cohort: Cohort) -> tuple[Audit, Predictions]:
    """Audit a run with the champion's scores of the same rows.

    Args:
        name: What the report calls the champion.
        champion: Its run directory.
        run: Of the challenger.
        cohort: Of the challenger.

    Returns:
        The audit, and the rows it was made of.

    Raises:
        InputError: The champion has learnt from every test patient, or decides between other
            classes.
    """
    rows = unseen(read_predictions(run), champion)
    theirs = score(Predictor(champion), cohort, rows.only("test"))
    frozen = tuple(
        each
        if each.rule == "highest score"
        else Threshold(target=each.target, value=each.value, rule="fixed")
        for each in load_run(champion).audit.thresholds
    )
    embeddings = Embeddings.read(run.directory / "embeddings.parquet")
    named = Champion(name, theirs, frozen)
    return audit(rows, run.audit.spec, run.config.policy, embeddings, named), rows


def read_predictions(run: Run) -> Predictions:
    """The predictions of a finished run, with the attributes of its audit."""
    attributes = [attribute.name for attribute in run.audit.spec.attributes]
    return Predictions.read(run.directory / "predictions.parquet", attributes)


def unseen(predictions: Predictions, champion: Path) -> Predictions:
    """The predictions without test rows of patients that the champion has learnt from.

    Args:
        predictions: Of the challenger, whose own test patients are in no other split.
        champion: Run directory of the champion.

    Raises:
        InputError: No test row is left.
    """
    split = read_split(champion)
    known = set(split["patient"][split["split"].isin(SEEN)])
    table = predictions.table
    keep = (table["split"] != "test") | ~table["patient"].isin(known)
    if not (keep & (table["split"] == "test")).any():
        found = "the champion has learnt from every test patient"
        remedy = "Retrain on a cohort with new patients, or with the champion's split."
        raise InputError(Fault("test rows", found, remedy))
    attributes = [name for name in table.columns if name not in COLUMNS]
    return Predictions.from_table(table[keep], attributes, source=predictions.source)


def score(predictor: Predictor, cohort: Cohort, rows: Predictions) -> Predictions:
    """The same rows with another model's scores.

    Raises:
        InputError: The model decides between other classes than the cohort has.
    """
    if predictor.classes != cohort.schema.classes:
        found = f"the champion decides between {', '.join(predictor.classes)}"
        remedy = f"The cohort has {', '.join(cohort.schema.classes)}; they cannot be compared."
        raise InputError(Fault("champion", found, remedy))
    samples = rows.table["sample"].tolist()
    scores = []
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        pixels = np.stack([cohort.pixels(sample, predictor.contract) for sample in batch])
        scores.append(predictor.predict(pixels).probability)
    probability = np.concatenate(scores).astype(float)
    if len(predictor.classes) == 2:
        columns = {"score": probability[:, 1]}
    else:
        probability /= probability.sum(axis=1, keepdims=True)  # in float64 too
        named = enumerate(predictor.classes)
        columns = {f"score_{name}": probability[:, index] for index, name in named}
    table = rows.table.assign(**columns)
    return replace(rows, table=table, source=f"champion on {rows.source}")
