"""One epoch of a stage: a pass over the training rows, then one over the validation rows."""

import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from evaluation.errors import Fault, InputError
from evaluation.metric import METRICS
from training.augment import Augmenter, image_keys
from training.distributed import average, from_first
from training.history import OnProgress, Progress, Row, Throttle
from training.loader import (
    Read,
    Rows,
    TrainingData,
    Vary,
    batches,
    epoch_seed,
    read_batches,
    shuffled,
)
from training.method import Method, Stage
from training.optimizers import set_share
from training.recipe import Recipe
from training.sampling import cells, repeats
from training.selection import macro

logger = logging.getLogger(__name__)

#: A balanced epoch that leaves out more than nine in ten rows is worth a warning.
_FEW = 0.1


@dataclass
class Epochs:
    """The epochs of a stage.

    Attributes:
        method: What is trained.
        stage: The stage.
        data: Labels, groups and rows.
        read: Reads what the stage reads.
        optimizers: Those of the stage, prepared.
        seed: Of the training.
        recipe: How it is trained.
        on_progress: Called at times within an epoch.
    """

    method: Method
    stage: Stage
    data: TrainingData
    read: Read
    optimizers: Mapping[str, Optimizer]
    seed: int
    recipe: Recipe
    on_progress: OnProgress

    def __post_init__(self) -> None:
        """Bring labels and groups to the device, once."""
        self.device = next(self.method.parameters()).device
        self.label = torch.tensor(self.data.label, device=self.device)
        self.groups = torch.tensor(self.data.groups, device=self.device)
        codes = [self._recipe_group(name) for name in self.recipe.sampling.attributes]
        crossed = np.array(codes, np.int64).reshape(len(codes), len(self.data.label))
        self.cell = cells(self.data.label, crossed)[self.data.train]
        self.augmenter = None
        if self.recipe.augmentation and self.stage.features is None:
            dimensions = self.method.contract.dimensions
            self.augmenter = Augmenter(self.recipe.augmentation, dimensions)
        rows, all_rows = self._drawn(1), len(self.data.train)
        #: Steps of every epoch.
        self.steps = len(batches(rows, self.stage.batch_size, drop_single=True))
        if not self.steps:
            found = f"an epoch draws {len(rows)} rows, which do not make a batch"
            remedy = "Take reweighted or uniform sampling, fewer processes, or more rows."
            raise InputError(Fault(f"stage {self.stage.name}", found, remedy))
        if len(rows) < _FEW * all_rows:
            logger.warning(
                "The smallest of the balanced cells has so few rows that an epoch of stage %s "
                "draws %d of %d; reweighted sampling draws all.",
                self.stage.name,
                len(rows),
                all_rows,
            )

    def run(self, epoch: int) -> Row:
        """Train one epoch and measure it.

        Args:
            epoch: From 1.

        Returns:
            The epoch's row of the history.

        Raises:
            InputError: A loss or, afterwards, a weight is not finite.
        """
        started = time.monotonic()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self._seed(epoch))
            losses = self._train(epoch)
            self._check_weights(epoch)
            measured = from_first(self._validate)
        row = {"stage": self.stage.name, "epoch": epoch, **losses, **measured}
        return row | {"seconds": time.monotonic() - started}

    def _seed(self, *parts: object) -> int:
        return epoch_seed(self.seed, self.stage.name, *parts)

    def _drawn(self, epoch: int) -> Rows:
        return self.recipe.sampling.draw(self.data.train, self.cell, self._seed(epoch))

    def _train(self, epoch: int) -> dict[str, float]:
        """Mean of each loss over the rows of the epoch."""
        self.method.eval()
        for module in self.stage.trained:
            module.train()
        rows, sums, seen = self._drawn(epoch), dict[str, Tensor](), 0
        report = Throttle(self.on_progress)
        batched = read_batches(
            self.read,
            rows,
            self.label,
            self.groups,
            self.stage.batch_size,
            drop_single=True,
            vary=self._vary(epoch, rows),
        )
        for step, batch in enumerate(batched):
            report(Progress(self.stage.name, epoch, self.stage.epochs, step, self.steps))
            done = (epoch - 1) * self.steps + step
            schedule = self.recipe.schedule
            share = schedule.share(done, steps=self.steps, epochs=self.stage.epochs)
            set_share(self.optimizers, share)
            losses = self.method.update(self.stage, batch, self.optimizers)
            # Sums stay on the device: reading one would wait for the step to finish.
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss * len(batch.label)
            seen += len(batch.label)
        means = {name: value / seen for name, value in average(sums).items()}
        self._check_losses(means, epoch)
        return means

    def _vary(self, epoch: int, rows: Rows) -> Vary | None:
        if self.augmenter is None:
            return None
        vary = self.augmenter
        keys = image_keys(self._seed(epoch, "augmentation"), rows, repeats(rows))
        return lambda image, part: vary(image, keys[part])

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """What the validation rows show; NaN where undefined."""
        stage, rows = self.stage, self.data.validation
        asked = self.recipe.selection if stage.logits else None
        names = [
            "validation_loss",
            "validation_auroc",
            *(["validation_score"] if asked else []),
        ]
        measured = dict.fromkeys(names, math.nan)
        if not len(rows):
            return measured
        self.method.eval()
        # Losses that compare images need mixed batches, and tables are often sorted.
        order = shuffled(rows, self._seed("validation"))
        total = torch.zeros((), device=self.device)
        logits = []
        batched = read_batches(self.read, order, self.label, self.groups, stage.batch_size)
        for batch in batched:
            total += stage.losses(batch)["total"] * len(batch.label)
            if stage.logits is not None:
                logits.append(stage.logits(batch.image))
        measured["validation_loss"] = total.item() / len(order)
        if not logits or not math.isfinite(measured["validation_loss"]):
            return measured
        probability = torch.cat(logits).softmax(dim=1).cpu().numpy()
        label = self.data.label[order]
        measured["validation_auroc"] = macro(METRICS.get("auroc"), label, probability)
        if asked:
            group = self._recipe_group(asked.attribute)[order] if asked.attribute else None
            measured["validation_score"] = asked.value(label, probability, group)
        return measured

    def _recipe_group(self, attribute: str) -> Rows:
        codes: Rows = self.data.recipe_groups[self.recipe.reads.index(attribute)]
        return codes

    def _check_losses(self, means: Mapping[str, float], epoch: int) -> None:
        remedy = "Lower the learning rate of this stage, or the weight of this loss."
        wrong = {name: mean for name, mean in means.items() if not math.isfinite(mean)}
        found = [f"the loss '{name}' is {mean}" for name, mean in wrong.items()]
        self._refuse(epoch, found, remedy)

    def _check_weights(self, epoch: int) -> None:
        # The losses of an epoch are taken before its last step, which may spoil the weights.
        state = self.method.state_dict()
        finite = torch.stack([tensor.isfinite().all() for tensor in state.values()])
        if not finite.all().item():
            wrong = [name for name, one in zip(state, finite.tolist(), strict=True) if not one]
            found = [f"the weights '{name}' are not finite" for name in wrong]
            self._refuse(epoch, found, "Lower the learning rate of this stage.")

    def _refuse(self, epoch: int, found: Iterable[str], remedy: str) -> None:
        where = f"method {name_of(self.method)}, stage {self.stage.name}, epoch {epoch}"
        if faults := [Fault(where, each, remedy) for each in found]:
            raise InputError(*faults)


def name_of(method: Method) -> str:
    """Name of the file of a method."""
    return type(method).__module__.rpartition(".")[2]
