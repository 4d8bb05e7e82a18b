"""The one training loop: every method and every stage goes through it."""

import hashlib
import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from evaluation.errors import Fault, InputError
from training.checkpoint import (
    Best,
    Checkpoint,
    copy_state,
    load_state,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizers,
    write_checkpoint,
)
from training.history import History, OnProgress, Progress, Row
from training.loader import (
    Read,
    Rows,
    TrainingData,
    batches,
    epoch_seed,
    from_features,
    from_pixels,
    shuffled,
)
from training.method import Batch, Method, Stage
from training.selection import criterion, macro_auroc

logger = logging.getLogger(__name__)

#: Shortest time between two reports within an epoch, in seconds.
REPORT_INTERVAL = 0.2


def fit(
    method: Method,
    pixels: NDArray[np.uint8],
    label: NDArray[np.integer[Any]],
    *,
    train: NDArray[np.integer[Any]],
    validation: NDArray[np.integer[Any]],
    seed: int,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    on_progress: OnProgress | None = None,
) -> History:
    """Train a method through all its stages, on the device that its parameters are on.

    The randomness of an epoch (order, sampled codes) is a function of seed, stage and epoch
    only, and the global generators are left as they were. So a training that was interrupted
    and goes on from its checkpoint ends with the same weights, bit for bit, as one that was
    not, on the same machine and number of threads.

    Args:
        method: What to train; it is changed in place and left in eval mode.
        pixels: ``[n, channel, size, size]`` uint8, an array or a memory map.
        label: Class of each row, ``[n]`` in 0 ... classes - 1.
        train: Row positions to learn from, at least 2.
        validation: Row positions to choose the epoch by; may be empty: the last epoch is kept.
        seed: Of everything random in training; the initial weights are the method's own.
        checkpoint: File to go on from, if it is there, and to write after each epoch.
        fingerprint: Names the cohort. A checkpoint made with another one is refused.
        on_progress: Called after each epoch, and at most every 0.2 s within one. What it raises
            ends the training.

    Returns:
        The history, with the epochs before an interruption.

    Raises:
        InputError: Rows, labels or pixels do not fit the method, a loss is not finite, or the
            checkpoint is damaged or of another training.
    """
    rows = [np.asarray(values, np.int64) for values in (label, train, validation)]
    data = TrainingData(pixels, *rows)
    data.check(method.contract, method.classes)
    training = _Training(method, data, seed, checkpoint, on_progress or (lambda progress: None))
    return training.run(_key(method, data, seed, fingerprint))


@dataclass
class _Training:
    method: Method
    data: TrainingData
    seed: int
    checkpoint: Path | None
    on_progress: OnProgress

    def run(self, key: str) -> History:
        saved = read_checkpoint(self.checkpoint, key) if self.checkpoint else None
        if saved:
            load_state(self.method, saved.model, str(self.checkpoint))
            logger.info("Going on from %s.", self.checkpoint)
        self.method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = next(self.method.parameters()).device
        self.label = torch.tensor(self.data.label, device=self.device)
        history = saved.history if saved else []
        for position, stage in enumerate(self.method.stages()):
            if saved and position < saved.stage:
                continue
            resumed = saved if saved and position == saved.stage else None
            self._run_stage(stage, position, resumed, history, key)
        self.method.eval()
        return History.of(history)

    def _run_stage(
        self,
        stage: Stage,
        position: int,
        saved: Checkpoint | None,
        history: list[Row],
        key: str,
    ) -> None:
        optimizers = stage.optimizers()
        best, done = (saved.best, saved.epoch) if saved else (Best(), 0)
        if saved:
            restore_optimizers(optimizers, saved.optimizers)
        selection = criterion(stage, self.data.label[self.data.validation])
        read = self._reader(stage) if done < stage.epochs else None
        for epoch in range(done + 1, stage.epochs + 1):
            assert read is not None
            row, steps = self._run_epoch(stage, epoch, read, optimizers)
            history.append(row)
            score = {
                "last": epoch,
                "loss": -row["validation_loss"],
                "auroc": row["validation_auroc"],
            }[selection]
            if score > best.score:  # never true of NaN
                # The last epoch's weights are the model's own: no copy is kept of them.
                weights = {} if selection == "last" else copy_state(self.method)
                best = Best(epoch, score, weights)
            if self.checkpoint:
                model, tensors = self.method.state_dict(), optimizer_tensors(optimizers)
                state = Checkpoint(position, epoch, model, best, tensors, history)
                write_checkpoint(self.checkpoint, state, key)
            self._report(stage, epoch, steps, steps)
        for row in history:
            if row["stage"] == stage.name:
                row["selected"] = row["epoch"] == (best.epoch or stage.epochs)
        if best.weights:
            load_state(self.method, best.weights, "best epoch")

    def _run_epoch(
        self, stage: Stage, epoch: int, read: Read, optimizers: dict[str, Optimizer]
    ) -> tuple[Row, int]:
        """The epoch's row of the history, and its number of steps."""
        started = time.monotonic()
        seed = epoch_seed(self.seed, stage.name, epoch)
        order = shuffled(self.data.train, seed)
        steps = batches(order, stage.batch_size, drop_single=True)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            losses = self._train_epoch(stage, epoch, read, optimizers, steps)
            loss, auroc = self._validate(stage, read)
        row = {"stage": stage.name, "epoch": epoch, **losses}
        row |= {"validation_loss": loss, "validation_auroc": auroc}
        return row | {"seconds": time.monotonic() - started}, len(steps)

    def _train_epoch(
        self,
        stage: Stage,
        epoch: int,
        read: Read,
        optimizers: dict[str, Optimizer],
        steps: list[Rows],
    ) -> dict[str, float]:
        """Mean of each loss over the rows of the epoch."""
        self.method.eval()
        for module in stage.trained:
            module.train()
        sums: dict[str, Tensor] = {}
        reported = time.monotonic()
        for step, rows in enumerate(steps):
            if time.monotonic() - reported >= REPORT_INTERVAL:
                self._report(stage, epoch, step, len(steps))
                reported = time.monotonic()
            losses = self.method.update(stage, self._batch(read, rows), optimizers)
            # Sums stay on the device: reading one would wait for the step to finish.
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss * len(rows)
        seen = sum(map(len, steps))
        means = {name: value.item() / seen for name, value in sums.items()}
        self._check_finite(means, stage, epoch)
        return means

    @torch.no_grad()
    def _validate(self, stage: Stage, read: Read) -> tuple[float, float]:
        """Mean total loss and AUROC on the validation rows; NaN where undefined."""
        if not len(self.data.validation):
            return math.nan, math.nan
        self.method.eval()
        # Losses that compare images need mixed batches, and tables are often sorted.
        order = shuffled(self.data.validation, epoch_seed(self.seed, stage.name, "validation"))
        total = torch.zeros((), device=self.device)
        probability = []
        for rows in batches(order, stage.batch_size):
            batch = self._batch(read, rows)
            total += stage.losses(batch)["total"] * len(rows)
            if stage.logits is not None:
                probability.append(stage.logits(batch.image).softmax(dim=1))
        loss = total.item() / len(order)
        if not probability or not math.isfinite(loss):
            return loss, math.nan
        return loss, macro_auroc(self.data.label[order], torch.cat(probability).cpu().numpy())

    def _batch(self, read: Read, rows: Rows) -> Batch:
        return Batch(read(rows), self.label[torch.from_numpy(rows).to(self.device)])

    def _reader(self, stage: Stage) -> Read:
        """Reads what the stage reads: images, or the features that are computed now."""
        images = from_pixels(self.data.pixels, self.device)
        if stage.features is None:
            return images
        self.method.eval()
        rows = np.concatenate([self.data.train, self.data.validation])
        read, work = from_features(stage.features, images, rows, stage.batch_size)
        reported = time.monotonic()
        for done in work:
            if time.monotonic() - reported >= REPORT_INTERVAL:
                self._report(stage, 0, done, len(rows))
                reported = time.monotonic()
        return read

    def _report(self, stage: Stage, epoch: int, step: int, steps: int) -> None:
        self.on_progress(Progress(stage.name, epoch, stage.epochs, step, steps))

    def _check_finite(self, means: dict[str, float], stage: Stage, epoch: int) -> None:
        where = f"method {_name(self.method)}, stage {stage.name}, epoch {epoch}"
        remedy = "Lower the learning rate of this stage, or the weight of this loss."
        faults = [
            Fault(where, f"the loss '{name}' is {mean}", remedy)
            for name, mean in means.items()
            if not math.isfinite(mean)
        ]
        if faults:
            raise InputError(*faults)


def _name(method: Method) -> str:
    return type(method).__module__.rpartition(".")[2]


def _key(method: Method, data: TrainingData, seed: int, fingerprint: str) -> str:
    """Hash of everything that a training to resume must share."""
    shared = {
        "method": _name(method),
        "settings": method.settings.model_dump(mode="json"),
        "contract": method.contract.model_dump(mode="json"),
        "classes": method.classes,
        "seed": seed,
        "rows": data.digest(),
        "fingerprint": fingerprint,
    }
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
