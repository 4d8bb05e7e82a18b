"""The one training loop: every method and every stage goes through it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer

from training.batch_norm import shared_batch_norm
from training.checkpoint import (
    Best,
    Checkpoint,
    Key,
    copy_state,
    load_state,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizers,
    write_checkpoint,
)
from training.distributed import agree, together
from training.epoch import Epochs, name_of
from training.history import History, OnProgress, Progress, Row, Throttle
from training.loader import Read, TrainingData, from_features, from_pixels
from training.method import Method, Stage
from training.optimizers import prepare
from training.precision import running
from training.recipe import Recipe
from training.selection import Criterion, criterion, rank, warn_if_undefined

logger = logging.getLogger(__name__)


def fit(
    method: Method,
    pixels: NDArray[np.uint8],
    label: NDArray[np.integer[Any]],
    *,
    train: NDArray[np.integer[Any]],
    validation: NDArray[np.integer[Any]],
    seed: int,
    groups: NDArray[np.integer[Any]] | None = None,
    recipe: Recipe | None = None,
    recipe_groups: NDArray[np.integer[Any]] | None = None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    on_progress: OnProgress | None = None,
) -> History:
    """Train a method through all its stages, on the device that its parameters are on.

    The randomness of an epoch (drawn rows, order, augmentation, sampled codes) is a function of
    seed, stage and epoch only, and the global generators are left as they were. So a training
    that was interrupted and goes on from its checkpoint ends with the same weights, bit for
    bit, as one that was not, on the same machine and number of threads.

    A last batch of one row is left out of an epoch: BatchNorm cannot be trained on it. A batch
    without a positive pair is not: its contrast is 0.

    If ``torch.distributed`` has more than one process, all of them must call this with the same
    arguments. They share every batch equally and end with the same weights: up to rounding
    those of a single process with the same batch size, as losses, BatchNorm and random draws
    are those of the whole batch. There are two differences: the last batch of an epoch is cut
    to a multiple of their number, and the drop connections of EfficientNet are drawn for each
    process. A checkpoint may be gone on from with another number. The first process alone
    validates, writes and reports. Where one fails, all do.

    Args:
        method: What to train; it is changed in place and left in eval mode.
        pixels: ``[n, channel, size, size]`` uint8, an array or a memory map.
        label: Class of each row, ``[n]`` in 0 ... classes - 1.
        train: Row positions to learn from, at least 2.
        validation: Row positions to choose the epoch by; may be empty: the last epoch is kept.
        seed: Of everything random in training; the initial weights are the method's own.
        groups: Group of each row in each attribute of ``method.reads``, in that order,
            ``[attribute, n]``, -1 where it is not known. Needed only if the method reads any.
        recipe: How to train it; the default of every setting if not given.
        recipe_groups: The same for ``recipe.reads``; needed only if it reads any.
        checkpoint: File to go on from, if it is there, and to write after each epoch.
        fingerprint: Names the cohort. A checkpoint made with another one is refused.
        on_progress: Called after each epoch, and at most every 0.2 s within one. What it raises
            ends the training.

    Returns:
        The history, with the epochs before an interruption.

    Raises:
        InputError: Rows, labels or pixels do not fit the method or recipe, a loss or a weight
            is not finite after an epoch, or the checkpoint is damaged, of another training, or
            cannot be written. The last good checkpoint is kept then. Or another process failed.
    """
    recipe = recipe or Recipe()
    rows = [np.asarray(values, np.int64) for values in (label, train, validation)]
    known = [
        np.asarray(np.empty((0, len(label))) if each is None else each, np.int64)
        for each in (groups, recipe_groups)
    ]
    data = TrainingData(pixels, *rows, *known)
    with together(next(method.parameters()).device) as world, shared_batch_norm(method):
        data.check(method, recipe)
        report = on_progress if on_progress and world.rank == 0 else lambda progress: None
        training = _Training(
            method, data, seed, recipe, checkpoint, report, writes=world.rank == 0
        )
        return training.run(_key(method, data, seed, recipe, fingerprint))


@dataclass
class _Training:
    method: Method
    data: TrainingData
    seed: int
    recipe: Recipe
    checkpoint: Path | None
    on_progress: OnProgress
    writes: bool

    def run(self, key: Key) -> History:
        saved = read_checkpoint(self.checkpoint, key) if self.checkpoint else None
        if saved:
            load_state(self.method, saved.model, str(self.checkpoint))
            logger.info("Going on from %s.", self.checkpoint)
        reached = (saved.stage, saved.epoch) if saved else (0, 0)
        agree({"data or settings": repr(key), "checkpoint": repr(reached)}, self.method)
        if self.method.contract.dimensions == 2:
            self.method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no overload for it alone
        self.device = next(self.method.parameters()).device
        self.images = from_pixels(self.data.pixels, self.device)
        history = saved.history if saved else []
        for position, stage in enumerate(self.method.stages()):
            if saved and position < saved.stage:
                continue
            resumed = saved if saved and position == saved.stage else None
            with running(self.method, self.recipe, self.device):
                self._run_stage(stage, position, resumed, history, key)
        self.method.eval()
        return History.of(history)

    def _run_stage(
        self,
        stage: Stage,
        position: int,
        saved: Checkpoint | None,
        history: list[Row],
        key: Key,
    ) -> None:
        optimizers = stage.optimizers()
        prepare(optimizers, self.recipe)
        best, done = (saved.best, saved.epoch) if saved else (Best(), 0)
        if saved:
            restore_optimizers(optimizers, saved.optimizers)
        judged_by = criterion(stage, self.recipe.selection, len(self.data.validation))
        over = self._is_over(stage, best, done)
        if not over:
            epochs = self._epochs(stage, optimizers)
        while not over:
            done += 1
            row = epochs.run(done)
            history.append(row)
            best = self._better(best, judged_by, row)
            over = self._is_over(stage, best, done)
            if self.checkpoint and self.writes:
                model, tensors = self.method.state_dict(), optimizer_tensors(optimizers)
                state = Checkpoint(position, done, model, best, tensors, history)
                write_checkpoint(self.checkpoint, state, key)
            last = done if over else stage.epochs
            self.on_progress(Progress(stage.name, done, last, epochs.steps, epochs.steps))
        self._end_stage(stage, judged_by, best, done, history)

    def _is_over(self, stage: Stage, best: Best, done: int) -> bool:
        """Whether all epochs are done, or too many since the best one."""
        patience = self.recipe.patience
        return done >= stage.epochs or (patience is not None and done - best.epoch >= patience)

    def _better(self, best: Best, judged_by: Criterion, row: Row) -> Best:
        """The better of the best epoch so far and the one that is just done."""
        name = "validation_score" if "validation_score" in row else "validation_auroc"
        standing = rank(judged_by, row["epoch"], row["validation_loss"], row[name])
        if standing <= best.rank:
            return best
        # The last epoch's weights are the model's own: no copy is kept of them.
        weights = {} if judged_by == "last" else copy_state(self.method)
        return Best(row["epoch"], standing, weights)

    def _end_stage(
        self, stage: Stage, judged_by: Criterion, best: Best, done: int, history: list[Row]
    ) -> None:
        """Mark the selected epoch in the history, and go back to its weights."""
        for row in history:
            if row["stage"] == stage.name:
                row["selected"] = row["epoch"] == (best.epoch or done)
                if self.recipe.patience is not None:
                    row["stopped_early"] = done < stage.epochs
        if done < stage.epochs:
            logger.info("Stage %s stopped after epoch %d.", stage.name, done)
        warn_if_undefined(judged_by, stage, defined=best.rank[0])
        if best.weights:
            load_state(self.method, best.weights, "best epoch")

    def _epochs(self, stage: Stage, optimizers: dict[str, Optimizer]) -> Epochs:
        read = self.images if stage.features is None else self._features(stage)
        return Epochs(
            self.method,
            stage,
            self.data,
            read,
            optimizers,
            self.seed,
            self.recipe,
            self.on_progress,
        )

    def _features(self, stage: Stage) -> Read:
        """Reads the features of a stage, which are computed now."""
        assert stage.features is not None
        if self.recipe.augmentation:
            logger.warning(
                "Stage %s reads features that are computed once, from images as they are: the "
                "augmentation has no effect on it.",
                stage.name,
            )
        self.method.eval()
        rows = np.concatenate([self.data.train, self.data.validation])
        read, work = from_features(stage.features, self.images, rows, stage.batch_size)
        report = Throttle(self.on_progress)
        for done in work:
            report(Progress(stage.name, 0, stage.epochs, done, len(rows)))
        return read


def _key(
    method: Method, data: TrainingData, seed: int, recipe: Recipe, fingerprint: str
) -> Key:
    """Everything that a training to resume must share."""
    settings = method.settings.model_dump(mode="json")
    return {
        "method": name_of(method),
        **{f"setting '{name}'": value for name, value in settings.items()},
        "input contract": method.contract.model_dump(mode="json"),
        "number of classes": method.classes,
        "seed": seed,
        **{f"recipe '{k}'": value for k, value in recipe.model_dump(mode="json").items()},
        **data.digests(),
        "cohort": fingerprint,
    }
