"""What a method is: a module with losses, codes and logits, trained in stages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from evaluation.errors import unknown_name
from evaluation.registry import Registry
from evaluation.settings import Settings
from training.distributed import average_gradients
from training.imaging import InputContract
from training.networks import NetworkName, chosen_network

#: Which epoch's weights a stage ends with, judged on the validation rows.
Selection = Literal["last", "loss", "auroc"]

Losses = dict[str, Tensor]

#: Of a method that reads no attribute.
NO_GROUPS = torch.empty((0, 0), dtype=torch.int64)


@dataclass(frozen=True)
class Batch:
    """What one step reads.

    Attributes:
        image: ``[batch, channel, *space]`` float32 in [0, 1]; in a stage that has ``features``,
            these instead, ``[batch, ...]``.
        label: Class of each image, ``[batch]`` int64.
        groups: Group of each image in each attribute that the method reads, ``[attribute,
            batch]`` int64, -1 where it is not known. Empty if the method reads none.
    """

    image: Tensor
    label: Tensor
    groups: Tensor = NO_GROUPS


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
            are logged. Called on validation rows too, then in eval mode. Processes that share a
            batch call it on their rows each; what compares rows gathers them first.
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
        network: Of the encoder, see ``training.networks``: ``auto`` takes that of the CLEAR
            paper where it has one (28 and 64 pixels), else a small ResNet of MONAI.
        batch_size: Images a step, of all processes together. Default of the CLEAR paper for
            Styled-MNIST and PACS.
    """

    network: NetworkName = "auto"
    batch_size: int = Field(default=128, ge=2)

    @field_validator("network", mode="before")
    @classmethod
    def _known(cls, name: object) -> object:
        names = get_args(NetworkName)
        if name not in names:
            (fault,) = unknown_name("network", str(name), names, "network").faults
            raise ValueError(fault.remedy.rstrip("."))
        return name

    def resolved(self, contract: InputContract) -> Self:
        """The settings with what depends on the size of the images filled in.

        Raises:
            InputError: The network cannot read such images.
        """
        chosen = chosen_network(self.network, contract)
        return self.model_copy(update={"network": chosen})


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
            InputError: The network cannot read such images.
        """
        super().__init__()
        self.settings = settings.resolved(contract)
        self.contract = contract
        self.classes = classes

    @property
    def reads(self) -> tuple[str, ...]:
        """Attributes that training reads, in the order of ``Batch.groups``; none by default."""
        return ()

    @abstractmethod
    def losses(self, batch: Batch) -> Losses:
        """Losses of the first stage: ``total`` is minimised, the rest is logged."""

    @abstractmethod
    def embed(self, image: Tensor) -> Embedding:
        """Codes of ``image [batch, channel, *space]`` in [0, 1]."""

    @abstractmethod
    def logits(self, image: Tensor) -> Tensor:
        """Class logits ``[batch, class]`` of ``image [batch, channel, *space]`` in [0, 1]."""

    def decode(self, content: Tensor, style: Tensor) -> Tensor | None:
        """Image ``[batch, channel, *space]`` in [0, 1] of codes as of ``embed``.

        None, the default, if the method has no decoder.
        """
        return None

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
    average_gradients(optimizers)
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
        InputError: The name is unknown, a setting does not fit, or the network cannot read such
            images.
    """
    METHODS.check(name, where)
    kind = METHODS.get(name)
    values = kind.settings_type.parse(settings, where)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(values, contract, classes)


METHODS: Registry[type[Method]] = Registry("training.methods", "method", Method, classes=True)
