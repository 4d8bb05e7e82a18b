"""One run: a cohort, a shift, a method and a seed become a model with its audit."""

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.audit import Audit, audit
from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path, write_text
from evaluation.predictions import Predictions
from evaluation.report import write as write_report
from training.cache import cached_pixels
from training.cohort import Cohort, read_cohort
from training.config import COMBINATION, RunConfig
from training.imaging import Pixels
from training.predictor import ModelContract, Predictor


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
class Run:
    """A finished run.

    Attributes:
        directory: Where its files are.
        config: What it was made from, with every default filled in.
        audit: What its predictions showed.
    """

    directory: Path
    config: RunConfig
    audit: Audit


def run_id(config: RunConfig, cohort: Cohort) -> str:
    """Name of a run: the same for the same config, cohort and version of the program."""
    parts = [config.resolved().model_dump_json(), cohort.fingerprint, version("evenscan")]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{config.cohort.name}-{config.method['name']}-{digest[:12]}"


def load_run(directory: Path) -> Run:
    """Read a finished run.

    Raises:
        InputError: The directory holds none.
    """
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        found = Audit.from_json((directory / "audit.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        raise InputError(
            Fault(
                str(directory), f"there is no {name}", "Give the directory of a finished run."
            )
        ) from None
    return Run(directory, RunConfig.parse(config, str(directory / "config.json")), found)


def execute(
    config: RunConfig,
    directory: Path,
    on_step: OnStep | None = None,
    cohort: Cohort | None = None,
) -> Run:
    """Train, predict and audit.

    Work is done in a hidden folder beside ``directory``, which takes its name when all is
    there. Called again after an interruption it goes on from the last epoch; called after it
    has finished it returns what is there.

    Args:
        config: What to do.
        directory: Where the run shall be.
        on_step: Told what is being done.
        cohort: The cohort of the config, if it has been read already.

    Returns:
        The run. The same config on the same machine gives the same weights and the same audit.

    Raises:
        InputError: The config, the cohort or an image does not fit; nothing is left at
            ``directory`` then. Or another run is there.
    """
    config = config.resolved()
    if directory.exists():
        return _existing(config, directory)
    report = on_step or (lambda step: None)
    report(Step("reading the cohort", 0, None))
    cohort = cohort or read_cohort(config.cohort)
    work = directory.with_name(f".{directory.name}.unfinished")
    work.mkdir(parents=True, exist_ok=True)
    write_text(work / "config.json", config.model_dump_json(indent=1) + "\n")
    split = split_of(config, cohort)
    split.to_csv(work / "split.csv")
    _describe(work, config, cohort, split)
    pixels = _pixels(config, cohort, report)
    _train(work, config, cohort, pixels, split, report)
    predictions, embeddings = _predict(work, config, cohort, pixels, split, report)
    found = audit(
        predictions,
        config.audit,
        config.policy,
        embeddings,
        on_progress=lambda done, total: report(Step("audit", done, total)),
    )
    write_report(found, work)
    (work / "checkpoint.safetensors").unlink(missing_ok=True)
    os.replace(work, directory)
    return Run(directory, config, found)


def split_of(config: RunConfig, cohort: Cohort) -> pd.DataFrame:
    """Where the shift places each sample.

    Returns:
        Indexed by sample, with ``patient`` and ``split`` (train, validation, test or unused).

    Raises:
        InputError: The shift cannot be applied to the cohort.
    """
    table = cohort.table[["patient", "label"]].copy()
    for name in cohort.schema.attributes:
        attribute = cohort.schema.attribute(name)
        table[name] = attribute.values(
            cohort.table[name], f"cohort {cohort.schema.name}"
        ).astype(str)
    # Sorted, so that the order of a manifest's rows decides nothing.
    generator = np.random.default_rng([config.seed, _SPLIT_STREAM])
    placed = config.make_shift().split(table.sort_index(), generator)
    return table[["patient"]].assign(split=placed.reindex(table.index))


# Keeps the chance of the split apart from that of the training, whatever the seed.
_SPLIT_STREAM = 0x5917


def _existing(config: RunConfig, directory: Path) -> Run:
    run = load_run(directory)
    if run.config != config:
        found = "another run is there"
        raise InputError(
            Fault(str(directory), found, "Choose another directory, or delete it.")
        )
    return run


def _describe(work: Path, config: RunConfig, cohort: Cohort, split: pd.DataFrame) -> None:
    import torch

    counts = split.assign(label=cohort.table["label"]).groupby("split")
    described = {
        "name": cohort.schema.name,
        "fingerprint": cohort.fingerprint,
        "images": counts.size().to_dict(),
        "patients": counts["patient"].nunique().to_dict(),
        "positives": counts["label"].sum().to_dict(),
    }
    environment = {
        "evenscan": version("evenscan"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        **{name: version(name) for name in ("torch", "numpy", "onnxruntime", "pandas")},
    }
    contract = ModelContract(
        input=config.contract, classes=cohort.schema.classes, method=config.method["name"]
    )
    write_text(work / "cohort.json", json.dumps(described, indent=1) + "\n")
    write_text(work / "environment.json", json.dumps(environment, indent=1) + "\n")
    write_text(work / "contract.json", contract.model_dump_json(indent=1) + "\n")


def _pixels(config: RunConfig, cohort: Cohort, report: OnStep) -> Pixels:
    return cached_pixels(
        cohort,
        config.contract,
        cache_folder(),
        lambda done, total: report(Step("decoding images", done, total)),
    )


def cache_folder() -> Path:
    """Where decoded cohorts are kept: ``EVENSCAN_CACHE``, or ``.evenscan/cache``."""
    return Path(os.environ.get("EVENSCAN_CACHE") or ".evenscan/cache")


def _train(
    work: Path,
    config: RunConfig,
    cohort: Cohort,
    pixels: Pixels,
    split: pd.DataFrame,
    report: OnStep,
) -> None:
    from training.checkpoint import write_weights
    from training.export import export_onnx
    from training.fit import fit
    from training.history import Progress
    from training.method import make_method

    def on_progress(progress: Progress) -> None:
        epoch = f"epoch {progress.epoch} of {progress.epochs}"
        name = f"{config.method['name']}, {progress.stage}, {epoch}"
        report(Step(name, progress.step, progress.steps))

    method = make_method(
        config.method["name"],
        config.method_settings,
        config.contract,
        classes=len(cohort.schema.classes),
        seed=config.seed,
    )
    placed = split["split"].to_numpy()
    history = fit(
        method,
        pixels,
        cohort.table["label"].to_numpy(),
        train=np.flatnonzero(placed == "train"),
        validation=np.flatnonzero(placed == "validation"),
        seed=config.seed,
        checkpoint=work / "checkpoint.safetensors",
        fingerprint=cohort.fingerprint,
        on_progress=on_progress,
    )
    history.write(work / "history.csv")
    report(Step("exporting the model", 0, None))
    write_weights(work / "weights.safetensors", method)
    export_onnx(method, work / "model.onnx")


def _predict(
    work: Path,
    config: RunConfig,
    cohort: Cohort,
    pixels: Pixels,
    split: pd.DataFrame,
    report: OnStep,
) -> tuple[Predictions, pd.DataFrame]:
    """Predict validation and test rows with the very model file that will be served."""
    rows = np.flatnonzero(split["split"].isin(["validation", "test"]))
    predictor = Predictor(work)
    blocks = []
    for start in range(0, len(rows), _BLOCK):
        report(Step("predicting", start, len(rows)))
        blocks.append(predictor.predict(np.asarray(pixels[rows[start : start + _BLOCK]])))
    probability = np.concatenate([block.probability for block in blocks])
    table = cohort.table.iloc[rows].assign(split=split["split"].iloc[rows])
    table = table.assign(score=probability[:, 1].astype(float))
    names = [attribute.name for attribute in config.audit.attributes]
    if config.shift["attribute"]:
        table[COMBINATION.name] = _combination(config, cohort, split).iloc[rows]
    table = table.rename_axis("sample").reset_index()
    source = f"{config.method['name']} on {cohort.schema.name}"
    predictions = Predictions.from_table(table, names, source=source)
    predictions.write(work / "predictions.parquet")
    latents = {"content": np.concatenate([block.content for block in blocks])}
    if predictor.has_style:
        latents["style"] = np.concatenate([b.style for b in blocks if b.style is not None])
    embeddings = pd.DataFrame(
        {
            f"{latent}_{column}": values[:, column]
            for latent, values in latents.items()
            for column in range(values.shape[1])
        }
    )
    embeddings.insert(0, "sample", table["sample"].to_numpy())
    with atomic_path(work / "embeddings.parquet") as partial:
        embeddings.to_parquet(partial, index=False)
    return predictions, embeddings


_BLOCK = 1024


def _combination(config: RunConfig, cohort: Cohort, split: pd.DataFrame) -> pd.Series:
    """``seen`` where a training sample has the same label and shifted attribute."""
    attribute = cohort.schema.attribute(config.shift["attribute"])
    values = attribute.values(cohort.table[attribute.name], f"cohort {cohort.schema.name}")
    cell = pd.Series(list(zip(cohort.table["label"], values, strict=True)), index=split.index)
    known = cell.isin(set(cell[split["split"] == "train"]))
    return known.map({True: "seen", False: "unseen"})
