"""A run in the making: describes, trains and predicts."""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.audited_rows import AuditedRows
from evaluation.counterfactual_table import Counterfactuals
from evaluation.embeddings import Embeddings
from evaluation.files import atomic_path, write_text
from evaluation.groups import MISSING
from evaluation.predictions import Predictions
from evaluation.shift_strength import strength
from evaluation.table import file_digest
from evaluation.threshold import decided_from
from training.cohort import Cohort
from training.config import COMBINATION, RunConfig
from training.imaging import Pixels
from training.predictor import ModelContract, Prediction, Predictor

if TYPE_CHECKING:
    from training.history import History
    from training.method import Method

# Images that are predicted between two reports.
_BLOCK = 1024


@dataclass(frozen=True)
class Step:
    """What a run is doing.

    Attributes:
        name: In words.
        done: Units done.
        total: Units in all; None if not known.
    """

    name: str
    done: int
    total: int | None


OnStep = Callable[[Step], None]


@dataclass(frozen=True)
class Making:
    """Writes the files of a run, one kind a method.

    Attributes:
        work: Folder to write to.
        config: What to do, with every default filled in.
        cohort: The cohort of the config.
        split: Where each sample is placed, see :func:`training.run.split_of`.
        report: Told what is being done.
    """

    work: Path
    config: RunConfig
    cohort: Cohort
    split: pd.DataFrame
    report: OnStep

    def describe(self) -> None:
        """Which cohort, which split, how strong its shift, which contract and environment."""
        import torch

        cohort, config = self.cohort, self.config
        self.split.to_csv(self.work / "split.csv")
        counts = self.split.assign(label=cohort.table["label"]).groupby("split")
        described = {
            "name": cohort.schema.name,
            "fingerprint": cohort.fingerprint,
            "images": counts.size().to_dict(),
            "patients": counts["patient"].nunique().to_dict(),
            "classes": {
                name: (self.split["split"][cohort.table["label"] == k]).value_counts().to_dict()
                for k, name in enumerate(cohort.schema.classes)
            },
        }
        environment = {
            "evenscan": version("evenscan"),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "threads": torch.get_num_threads(),
            **{name: version(name) for name in ("torch", "numpy", "onnxruntime", "pandas")},
        }
        contract = ModelContract(
            input=config.contract,
            classes=cohort.schema.classes,
            method=config.method["name"],
            modality=cohort.schema.modality,
        )
        write_text(self.work / "cohort.json", json.dumps(described, indent=1) + "\n")
        write_text(self.work / "environment.json", json.dumps(environment, indent=1) + "\n")
        grouped = cohort.grouped()
        strengths = [
            json.loads(strength(grouped, self.split["split"], name).model_dump_json())
            for name in cohort.schema.attributes
        ]
        write_text(self.work / "shift.json", json.dumps(strengths, indent=1) + "\n")
        write_text(self.work / "contract.json", contract.model_dump_json(indent=1) + "\n")

    def train(self, pixels: Pixels) -> None:
        """Fit the method, from its checkpoint if there is one, and export it."""
        from training.checkpoint import write_weights
        from training.export import export_decoder, export_onnx

        method, history = self.fit(pixels)
        history.write(self.work / "history.csv")
        method.cpu()
        self.report(Step("exporting the model", 0, None))
        write_weights(self.work / "weights.safetensors", method)
        export_onnx(method, self.work / "model.onnx")
        export_decoder(method, self.work / "decoder.onnx")

    def fit(self, pixels: Pixels) -> tuple["Method", "History"]:
        """Fit the method, from its checkpoint if there is one."""
        import torch

        from training.fit import fit
        from training.history import Progress
        from training.method import make_method

        name = self.config.method["name"]

        def on_progress(progress: Progress) -> None:
            epoch = f"epoch {progress.epoch} of {progress.epochs}"
            self.report(
                Step(f"{name}, {progress.stage}, {epoch}", progress.step, progress.steps)
            )

        method = make_method(
            name,
            self.config.method_settings,
            self.config.contract,
            classes=len(self.cohort.schema.classes),
            seed=self.config.seed,
        )
        placed = self.split["split"].to_numpy()
        if torch.cuda.is_available():
            method.to("cuda")
        history = fit(
            method,
            pixels,
            self.cohort.table["label"].to_numpy(),
            train=np.flatnonzero(placed == "train"),
            validation=np.flatnonzero(placed == "validation"),
            seed=self.config.seed,
            groups=self._groups(method.reads),
            recipe=self.config.recipe,
            recipe_groups=self._groups(self.config.recipe.reads),
            checkpoint=self.work / "checkpoint.safetensors",
            fingerprint=self.cohort.fingerprint,
            on_progress=on_progress,
        )
        return method, history

    def predict(self, pixels: Pixels) -> tuple[Predictions, Embeddings]:
        """Predict validation and test rows with the very model file that will be served."""
        rows = np.flatnonzero(self.split["split"].isin(["validation", "test"]))
        predictor = Predictor(self.work)
        blocks = []
        for start in range(0, len(rows), _BLOCK):
            self.report(Step("predicting", start, len(rows)))
            blocks.append(predictor.predict(np.asarray(pixels[rows[start : start + _BLOCK]])))
        probability = np.concatenate([block.probability for block in blocks])
        table = self.cohort.table.assign(split=self.split["split"])
        if self.config.shift["attribute"]:
            table[COMBINATION.name] = self._combination()
        table = table.iloc[rows].assign(**self._scores(probability, rows))
        table = table.rename_axis("sample").reset_index()
        names = [attribute.name for attribute in self.config.audit.attributes]
        source = f"{self.config.method['name']} on {self.cohort.schema.name}"
        predictions = Predictions.from_table(table, names, source=source)
        path = self.work / "predictions.parquet"
        predictions.write(path)
        embeddings = _embeddings(table["sample"], blocks)
        with atomic_path(self.work / "embeddings.parquet") as partial:
            embeddings.to_parquet(partial, index=False)
        # The report names the hash of the file that lies beside it.
        predictions = replace(predictions, digest=file_digest(path))
        return predictions, Embeddings.from_table(embeddings, "embeddings.parquet")

    def exchange(self, pixels: Pixels, predictions: Predictions) -> Counterfactuals | None:
        """Exchange the styles of test images, if the method can draw any."""
        from training.classifier import OwnClassifier
        from training.counterfactual import Judge
        from training.exchange import Exchange

        predictor = Predictor(self.work)
        if not (predictor.has_decoder and predictor.has_style):
            return None
        audited = AuditedRows.of(predictions, self.config.audit)
        known = self.cohort.schema.attributes
        attributes = [each for each in audited.spec.attributes if each.name in known]
        threshold = decided_from(audited.thresholds).get("", float("nan"))
        if not attributes:
            return None
        exchange = Exchange(
            predictor,
            self.cohort,
            pixels,
            np.flatnonzero(self.split["split"] == "test"),
            attributes,
            self.config.audit.counterfactual,
            self.config.seed,
        )
        return exchange.write(
            self.work, [Judge(OwnClassifier(predictor), threshold)], self.report
        )

    def _scores(
        self, probability: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Columns of the predictions: one score for two classes, else one a class."""
        names = self.cohort.schema.classes
        if len(names) == 2:
            return {"score": probability[:, 1].astype(float)}
        label = self.cohort.table["label"].to_numpy()[rows]
        # Rows sum to 1 in float64 too.
        exact = probability.astype(float)
        exact /= exact.sum(axis=1, keepdims=True)
        scores = {f"score_{name}": exact[:, k] for k, name in enumerate(names)}
        return {"label": np.array(names)[label], **scores}

    def _groups(self, attributes: Sequence[str]) -> NDArray[np.int64]:
        """Group of each row in each attribute, ``[attribute, n]``, -1 where it is not known."""
        from training.pairs import UNKNOWN

        codes = np.empty((len(attributes), len(self.cohort.table)), np.int64)
        for row, name in enumerate(attributes):
            values = self.cohort.schema.attribute(name).values(
                self.cohort.table[name], f"cohort {self.cohort.schema.name}"
            )
            codes[row] = np.where(values == MISSING, UNKNOWN, values.codes)
        return codes

    def _combination(self) -> pd.Series:
        """``seen`` where a training sample has the same label and shifted attribute."""
        attribute = self.cohort.schema.attribute(self.config.shift["attribute"])
        where = f"cohort {self.cohort.schema.name}"
        values = attribute.values(self.cohort.table[attribute.name], where)
        label = self.cohort.table["label"]
        cell = pd.Series(list(zip(label, values, strict=True)), index=label.index)
        known = cell.isin(set(cell[self.split["split"] == "train"]))
        return known.map({True: "seen", False: "unseen"})


def _embeddings(sample: pd.Series, blocks: list[Prediction]) -> pd.DataFrame:
    """``sample``, ``content_0`` ... and, if the method has it, ``style_0`` ..."""
    columns = {"sample": sample.to_numpy()}
    for latent in ("content", "style"):
        parts = [getattr(block, latent) for block in blocks]
        if parts[0] is not None:
            values = np.concatenate(parts)
            columns |= {f"{latent}_{k}": values[:, k] for k in range(values.shape[1])}
    return pd.DataFrame(columns)
