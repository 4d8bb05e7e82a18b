"""One run: a cohort, a shift, a method and a seed become a model with its audit."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.audit import Audit, audit
from evaluation.errors import Fault, InputError
from evaluation.files import write_text
from evaluation.report import write as write_report
from evaluation.shift import check_split
from training.cache import cache_folder, cached_pixels
from training.cohort import Cohort, read_cohort
from training.config import RunConfig
from training.held_out import keep_out
from training.making import Making, OnStep, Step
from training.outliers import write_outliers

_FINISHED = "Give the directory of a finished run."


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


def run_id(config: RunConfig, cohort: Cohort, split: pd.DataFrame | None = None) -> str:
    """Name of a run: the same for the same config, cohort and version of the program.

    A split changes it too, unless it is the one that the config draws.
    """
    parts = [config.resolved().model_dump_json(), cohort.fingerprint, version("evenscan")]
    if split is not None and not split["split"].equals(split_of(config, cohort)["split"]):
        parts.append(split.to_csv())
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{config.cohort.name}-{config.method['name']}-{digest[:12]}"


def load_run(directory: Path) -> Run:
    """Read a finished run.

    Raises:
        InputError: The directory holds none, or its files are damaged.
    """
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        made = Audit.from_json((directory / "audit.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        found = f"there is no {Path(str(error.filename)).name}"
        raise InputError(Fault(str(directory), found, _FINISHED)) from None
    except ValueError as error:
        found = f"its files are damaged: {error}"
        raise InputError(Fault(str(directory), found, _FINISHED)) from None
    return Run(directory, RunConfig.parse(config, str(directory / "config.json")), made)


def execute(
    config: RunConfig,
    directory: Path,
    on_step: OnStep | None = None,
    cohort: Cohort | None = None,
    split: pd.DataFrame | None = None,
) -> Run:
    """Train, predict and audit.

    Work is done in a hidden folder beside ``directory``, which takes its name when all is
    there. Called again after an interruption it goes on from the last epoch; called after it
    has finished it returns what is there. Of processes that were launched together the first
    one calls this, and the others :func:`assist`.

    Args:
        config: What to do.
        directory: Where the run shall be.
        on_step: Told what is being done.
        cohort: The cohort of the config, if it has been read already.
        split: Where each of its samples is placed, if that was drawn already; see
            :func:`split_of`.

    Returns:
        The run. The same config on the same machine gives the same weights and the same audit.

    Raises:
        InputError: The config, the cohort or an image does not fit; nothing is left at
            ``directory`` then. Or another run is there.
    """
    from training.distributed import meet

    config = config.resolved()
    report = on_step or (lambda step: None)
    report(Step("reading the cohort", 0, None))
    cohort = cohort or read_cohort(config.cohort)
    if directory.exists():
        return _existing(config, directory, cohort)
    # Whatever can be wrong with the input shows before the first file is written.
    split = split_of(config, cohort) if split is None else split
    pixels = cached_pixels(
        cohort,
        config.contract,
        cache_folder(),
        lambda done, total: report(Step("decoding images", done, total)),
    )
    with _alone(_unfinished(directory)) as work:
        write_text(work / "config.json", config.model_dump_json(indent=1) + "\n")
        making = Making(work, config, cohort, split, report)
        making.describe()
        meet()
        making.train(pixels)
        predictions, embeddings = making.predict(pixels)
        label, placed = cohort.table["label"].to_numpy(), split["split"].to_numpy(str)
        write_outliers(work, pixels, label, placed, config.seed)
        exchanged = making.exchange(pixels, predictions)
        found = audit(
            predictions,
            config.audit,
            config.policy,
            embeddings,
            on_progress=lambda step, done, total: report(Step(f"audit: {step}", done, total)),
            counterfactuals=exchanged,
        )
        write_report(found, work)
        (work / "checkpoint.safetensors").unlink(missing_ok=True)
        os.replace(work, directory)
    return Run(directory, config, found)


def assist(config: RunConfig, directory: Path, cohort: Cohort) -> None:
    """Train with the process that executes the run, and write nothing.

    Args:
        config: As of :func:`execute`; the same in all processes.
        directory: Likewise, in a file system that they share.
        cohort: The cohort of the config.

    Raises:
        InputError: The input does not fit, or another process failed.
    """
    from training.distributed import meet

    config = config.resolved()
    if directory.exists():
        return
    split = split_of(config, cohort)
    meet()
    pixels = cached_pixels(cohort, config.contract, cache_folder())
    making = Making(_unfinished(directory), config, cohort, split, lambda step: None)
    making.fit(pixels)


def _unfinished(directory: Path) -> Path:
    """Where a run is made."""
    return directory.with_name(f".{directory.name}.unfinished")


@contextmanager
def _alone(work: Path) -> Iterator[Path]:
    """The folder of an unfinished run, for one process at a time.

    What a killed process was just writing is removed. So is the whole folder if the input turns
    out wrong, or the disk full, before the first epoch is saved: there is nothing to go on from
    then.
    """
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "Wait for it, or choose another directory."
            raise InputError(
                Fault(str(work), "another process is at this run", remedy)
            ) from None
        for stray in work.glob(".*"):
            stray.unlink()
        try:
            yield work
        except (InputError, OSError):
            if not (work / "checkpoint.safetensors").exists():
                shutil.rmtree(work)
            raise
    finally:
        os.close(handle)


def split_of(config: RunConfig, cohort: Cohort, held_out: Collection[str] = ()) -> pd.DataFrame:
    """Where the shift places each sample.

    Args:
        config: Of the run.
        cohort: The cohort of the config.
        held_out: Patients who must not be learnt from, see :func:`training.held_out.keep_out`.

    Returns:
        Indexed by sample, with ``patient`` and ``split`` (train, validation, test or unused).

    Raises:
        InputError: The shift cannot be applied to the cohort.
    """
    table = cohort.grouped()
    # Sorted, so that the order of a manifest's rows decides nothing.
    generator = np.random.default_rng([config.seed, _SPLIT_STREAM])
    shift = config.make_shift()
    placed = shift.split(table.sort_index(), generator).reindex(table.index)
    if held_out:
        placed = check_split(
            keep_out(placed, table, frozenset(held_out), shift), table["label"], shift
        )
    return table[["patient"]].assign(split=placed)


# Keeps the chance of the split apart from that of the training, whatever the seed.
_SPLIT_STREAM = 0x5917


def read_split(directory: Path) -> pd.DataFrame:
    """The split of a finished run, as :func:`split_of` made it."""
    # Ids are taken to the letter: a patient may be called "NA".
    return pd.read_csv(
        directory / "split.csv", index_col="sample", dtype=str, keep_default_na=False
    )


def _existing(config: RunConfig, directory: Path, cohort: Cohort) -> Run:
    run = load_run(directory)
    described = json.loads((directory / "cohort.json").read_text(encoding="utf-8"))
    if run.config != config or described["fingerprint"] != cohort.fingerprint:
        found = "another run is there"
        raise InputError(
            Fault(str(directory), found, "Choose another directory, or delete it.")
        )
    return run
