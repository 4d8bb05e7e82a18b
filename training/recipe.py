"""How a method is trained, whichever it is."""

from typing import Literal

from pydantic import Field

from evaluation.errors import Fault
from evaluation.settings import Settings
from training.augmentation import Augmentation
from training.sampling import Sampling
from training.schedule import Schedule
from training.selection import EpochSelection

Precision = Literal["auto", "float32", "bfloat16"]


class Recipe(Settings):
    """How the loop trains a method; the same settings for every method.

    Attributes:
        precision: What the networks are computed in; losses, weights and optimisers are float32
            always. ``auto`` is bfloat16 where the hardware computes in it, else float32.
        compile: Whether networks are compiled before they are trained. It takes up to a minute,
            needs a C++ compiler, and pays on a GPU, where it also replays the kernels of a step
            as one CUDA graph.
        augmentation: How training images are varied; not at all if not given.
        sampling: Which rows an epoch draws.
        schedule: How the learning rates change.
        selection: What the epoch is chosen by in stages that train a classifier; what each
            stage asks for if not given. Stages without a classifier keep to their own.
        patience: Epochs without a better one after which a stage ends; never before its last
            if not given, or in stages that keep their last epoch.
        weight_decay: Of all optimisers, decoupled from the gradient: each step first shrinks
            the weights by learning rate x weight decay (Loshchilov and Hutter 2019, *Decoupled
            weight decay regularization*, arXiv:1711.05101).
        gradient_norm: The gradient of each optimiser's weights is scaled down to this Euclidean
            norm where it is longer (Pascanu, Mikolov and Bengio 2013, *On the difficulty of
            training recurrent neural networks*, arXiv:1211.5063); never if not given.
    """

    precision: Precision = "auto"
    compile: bool = False
    augmentation: Augmentation | None = None
    sampling: Sampling = Sampling()
    schedule: Schedule = Schedule()
    selection: EpochSelection | None = None
    patience: int | None = Field(default=None, ge=1)
    weight_decay: float = Field(default=0.0, ge=0)
    gradient_norm: float | None = Field(default=None, gt=0)

    @property
    def reads(self) -> tuple[str, ...]:
        """Attributes that drawing rows and choosing the epoch read, each once.

        >>> Recipe(sampling={"name": "balanced", "attributes": ["sex"]}).reads
        ('sex',)
        """
        judged = self.selection.reads if self.selection else ()
        return tuple(dict.fromkeys(self.sampling.attributes + judged))

    def faults(self, dimensions: int) -> list[Fault]:
        """What does not fit images of 2, or volumes of 3, dimensions."""
        return self.augmentation.faults(dimensions) if self.augmentation else []
