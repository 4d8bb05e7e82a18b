"""How the learning rate changes from step to step."""

import math
from typing import Literal

from pydantic import Field

from evaluation.settings import Settings


class Schedule(Settings):
    """What the learning rates of a stage are multiplied by, as a function of the step.

    It is the same for every optimiser of a stage and starts anew with each stage.

    Attributes:
        name: ``constant``; ``cosine`` falls along half a cosine from 1 to ``floor`` at the end
            of the stage (Loshchilov and Hutter 2017, *SGDR: stochastic gradient descent with
            warm restarts*, arXiv:1608.03983, eq. 5, without restarts); ``step`` multiplies by
            ``factor`` after each ``every`` epochs.
        warmup: Steps at the beginning over which it rises linearly, from 1 / (warmup + 1), on
            top of what the name says (Goyal et al. 2017, *Accurate, large minibatch SGD*,
            arXiv:1706.02677, section 2.2).
        floor: Of ``cosine``, share of the learning rate that is left at the end, in [0, 1].
        factor: Of ``step``, in (0, 1].
        every: Of ``step``, in epochs.
    """

    name: Literal["constant", "cosine", "step"] = "constant"
    warmup: int = Field(default=0, ge=0)
    floor: float = Field(default=0.0, ge=0, le=1)
    factor: float = Field(default=0.1, gt=0, le=1)
    every: int = Field(default=10, ge=1)

    def share(self, step: int, *, steps: int, epochs: int) -> float:
        """Share of the learning rate that a step is taken with.

        It depends on nothing else, so a training that goes on after an interruption takes the
        same steps.

        Args:
            step: Steps of the stage that are done, >= 0.
            steps: Steps an epoch, >= 1.
            epochs: Epochs of the stage, >= 1; of ``cosine`` its length, also where the stage
                stops early.

        Returns:
            In [0, 1]; above 0 unless ``floor`` is 0 and the stage is over.

        Examples:
            >>> cosine = Schedule(name="cosine", warmup=1)
            >>> [round(cosine.share(k, steps=2, epochs=2), 2) for k in range(4)]
            [0.5, 0.85, 0.5, 0.15]
        """
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.name == "step":
            return rise * self.factor ** (step // (steps * self.every))
        if self.name == "cosine":
            fallen = (1 + math.cos(math.pi * min(1.0, step / (steps * epochs)))) / 2
            return rise * (self.floor + (1 - self.floor) * fallen)
        return rise
