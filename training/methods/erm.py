"""Empirical risk minimisation: the reference that every other method is compared with."""

from torch import Tensor
from torch.nn import functional

from training.classifier_method import ClassifierMethod, ClassifierSettings
from training.imaging import InputContract
from training.method import Batch, Embedding, Losses
from training.network import Head
from training.networks import make_encoder


class ErmSettings(ClassifierSettings):
    """Settings of ERM: those of any classifier."""


class Erm(ClassifierMethod):
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
