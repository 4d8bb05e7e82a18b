"""An audit of a model on a cohort: it scores images that it has not learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from evaluation.audit import Audit, audit
from evaluation.embeddings import Embeddings
from evaluation.predictions import Predictions
from evaluation.table import table_digest
from service.audit.audited_version import Version
from service.audit.audits import keep, outcome, telling
from service.audit.preparation import Prepared, prepare
from service.audit.requests import ModelAudit
from service.jobs.workflow import Found, Step, Workflow
from service.models.champion import BATCH
from training.cohort import Cohort
from training.predictor import Predictor

#: Told what is being done, how much of it, and of how much.
Tell = Callable[[str, int, int], None]


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
