"""What a method is: a module with losses, codes and logits, trained in stages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from evaluation.registry import Registry
from evaluation.settings import Settings
from training.imaging import InputContract
from training.networks import check_size

#: Which epoch's weights a stage ends with, judged on the validation rows.
Selection = Literal["last", "loss", "auroc"]

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """What one step reads.

    Attributes:
        image: ``[batch, channel, *space]`` float32 in [0, 1]; in a stage that has ``features``,
            these instead, ``[batch, ...]``.
        label: Class of each image, ``[batch]`` int64.
    """

    image: Tensor
    label: Tensor


class Embedding(NamedTuple):
    """The codes of some images.

    Attributes:
        content: What the diagnosis is read from, ``[batch, content]``.
        style: Everything else, ``[batch, style]``; None if the method has no such code.
    """

    content: Tensor
    style: Tensor | None


@dataclass(frozen=True)
class Stage:
    """A part of the training with its own losses, optimisers and trained modules.

    Attributes:
        name: What is trained, for history and messages.
        epochs: Passes over the training rows, >= 1.
        batch_size: Rows a step, >= 2.
        optimizers: Makes the optimisers, by name. Called when the stage starts or resumes.
        losses: Losses of a batch, each a scalar mean over its rows. ``total`` is minimised, all
            are logged. Called on validation rows too, then in eval mode.
        trained: Modules in train mode. All others are in eval mode.
        selection: Which epoch's weights are kept: the last, the one of the least validation
            loss, or the one of the highest validation AUROC (which needs ``logits``).
        logits: Maps ``Batch.image`` to ``[batch, class]``; None if the stage has no classifier.
        features: Maps images ``[batch, channel, *space]`` to what the stage reads instead of
            them, ``[batch, ...]``. Computed once for each row before the first epoch, in eval
            mode and without gradients, so only for modules that the stage does not train.
    """

    name: str
    epochs: int
    batch_size: int
    optimizers: Callable[[], dict[str, Optimizer]]
    losses: Callable[[Batch], Losses]
    trained: Sequence[nn.Module]
    selection: Selection = "last"
    logits: Callable[[Tensor], Tensor] | None = None
    features: Callable[[Tensor], Tensor] | None = None


class MethodSettings(Settings):
    """Base of the settings of a method.

    Attributes:
        batch_size: Images a step. Default of the CLEAR paper for Styled-MNIST and PACS.
    """

    batch_size: int = Field(default=128, ge=2)

    def resolved(self, contract: InputContract) -> Self:
        """The settings with what depends on the size of the images filled in.

        Raises:
            InputError: There is no network for the size.
        """
        check_size(contract)
        return self


class Method(nn.Module, ABC):
    """A model together with how it is trained. One subclass a file of ``training/methods``.

    Everything but the constructor and ``stages`` works on the device of the parameters.
    """

    settings_type: ClassVar[type[MethodSettings]]
    settings: MethodSettings

    def __init__(self, settings: MethodSettings, contract: InputContract, classes: int) -> None:
        """Keep what the method is made of; subclasses then make their networks.

        Args:
            settings: An instance of ``settings_type``.
            contract: Size and channels of the images.
            classes: Number of classes, >= 2.

        Raises:
            InputError: There is no network for the size of the images.
        """
        super().__init__()
        self.settings = settings
        self.contract = contract
        self.classes = classes

    @abstractmethod
    def losses(self, batch: Batch) -> Losses:
        """Losses of the first stage: ``total`` is minimised, the rest is logged."""

    @abstractmethod
    def embed(self, image: Tensor) -> Embedding:
        """Codes of ``image [batch, channel, *space]`` in [0, 1]."""

    @abstractmethod
    def logits(self, image: Tensor) -> Tensor:
        """Class logits ``[batch, class]`` of ``image [batch, channel, *space]`` in [0, 1]."""

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """The parts of the training, in order."""

    def update(self, stage: Stage, batch: Batch, optimizers: Mapping[str, Optimizer]) -> Losses:
        """One step of every optimiser on ``total``; override for estimators and adversaries.

        Args:
            stage: The stage that is running.
            batch: What to learn from.
            optimizers: Those of the stage, by name.

        Returns:
            The losses before the step, without graph.
        """
        return step(stage.losses(batch), *optimizers.values())


def step(losses: Losses, *optimizers: Optimizer) -> Losses:
    """One step of the optimisers on ``losses["total"]``; the losses without graph.

    >>> weight = nn.Parameter(torch.tensor(1.0))
    >>> step({"total": weight**2}, torch.optim.SGD([weight], lr=0.25))
    {'total': tensor(1.)}
    >>> weight.item()
    0.5
    """
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


def adam(learning_rate: float, *modules: nn.Module) -> Adam:
    """Adam, in one kernel for all parameters, with the defaults of its paper otherwise."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return Adam(parameters, lr=learning_rate, fused=True)


def make_method(
    name: str,
    settings: dict[str, Any],
    contract: InputContract,
    *,
    classes: int,
    seed: int,
    where: str = "method",
) -> Method:
    """Make an untrained method.

    Args:
        name: Name of its file in ``training/methods``.
        settings: Plain values of its settings, without the name.
        contract: Size and channels of the images.
        classes: Number of classes, >= 2.
        seed: Of the initial weights. The global generator stays as it is.
        where: Source of the settings, for messages.

    Returns:
        The method, on the CPU: same arguments, same weights.

    Raises:
        InputError: The name is unknown, a setting does not fit, or there is no network for the
            size of the images.
    """
    METHODS.check(name, where)
    kind = METHODS.get(name)
    values = kind.settings_type.parse(settings, where)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(values, contract, classes)


METHODS: Registry[type[Method]] = Registry("training.methods", "method", Method, classes=True)
