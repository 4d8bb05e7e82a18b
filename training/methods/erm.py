"""Empirical risk minimisation: the reference that every other method is compared with."""

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from training.imaging import InputContract
from training.method import Batch, Embedding, Losses, Method, MethodSettings, Stage, adam
from training.network import Head
from training.networks import make_encoder


class ErmSettings(MethodSettings):
    """Settings of ERM. Defaults are those of the ERM CNN of the CLEAR paper.

    Attributes:
        learning_rate: Of Adam.
        epochs: Passes over the training rows.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    epochs: int = Field(default=41, ge=1)


class Erm(Method):
    """Cross-entropy on the labels, with the trunk that CLEAR-VAE encodes with.

    The weights of the epoch with the highest validation AUROC are kept. Its content code is the
    hidden layer of the head, 256 values; it has no style code.

    References:
        Vapnik (1991), *Principles of risk minimization for learning theory*, NeurIPS. The
        network is the ERM CNN of Sun, Goldstein and Engelhard (2025), arXiv:2507.18794.
    """

    settings_type = ErmSettings
    settings: ErmSettings

    def __init__(self, settings: ErmSettings, contract: InputContract, classes: int) -> None:
        """Make trunk and head; see :class:`Method` for the arguments."""
        super().__init__(settings, contract, classes)
        self.trunk = make_encoder(self.settings.network, contract)
        self.head = Head(self.trunk.width, classes)

    def stages(self) -> Sequence[Stage]:
        """One stage."""
        return [
            Stage(
                name="classifier",
                epochs=self.settings.epochs,
                batch_size=self.settings.batch_size,
                optimizers=lambda: {"network": adam(self.settings.learning_rate, self)},
                losses=self.losses,
                trained=[self],
                selection="auroc",
                logits=self.logits,
            )
        ]

    def losses(self, batch: Batch) -> Losses:
        """Cross-entropy."""
        return {"total": functional.cross_entropy(self.logits(batch.image), batch.label)}

    def embed(self, image: Tensor) -> Embedding:
        """The hidden layer of the head, ``[batch, 256]``, and no style."""
        return Embedding(self.head.hidden(self.trunk(image)), None)

    def logits(self, image: Tensor) -> Tensor:
        """Class logits ``[batch, class]``."""
        logits: Tensor = self.head(self.trunk(image))
        return logits
