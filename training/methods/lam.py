"""LAM: a classifier whose evidence must be the same for images of one class."""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.classifier_method import ClassifierMethod, ClassifierSettings
from training.distributed import gather, own
from training.imaging import InputContract
from training.method import Batch, Embedding, Losses
from training.networks import make_encoder


class LamSettings(ClassifierSettings):
    """Settings of LAM, with the network and the training of the ERM CNN of the CLEAR paper.

    Attributes:
        agreement_weight: Weight of the disagreement of evidence, >= 0. The paper tries powers
            of ten from 1e-4 to 1.
    """

    agreement_weight: float = Field(default=1e-2, ge=0)


class Lam(ClassifierMethod):
    r"""Cross-entropy, and the logit contributions of two images of a class must agree.

    .. math:: CE + \lambda \frac1n \sum_i \sum_f
        \left[(h_f(x_i) - h_f(\tilde x_i)) W_{y_i f}\right]^2

    h is the trunk, W the weights of a linear head and x~ another image of the class, drawn from
    the batch. Its content code is what the trunk gives; it has no style code.

    References:
        Gao et al. (2024), *Consistency regularization for domain generalization with logit
        attribution matching*, arXiv:2305.07888; pairs and network as in the comparisons of Sun,
        Goldstein and Engelhard (2025), arXiv:2507.18794.
    """

    settings_type = LamSettings
    settings: LamSettings

    def __init__(self, settings: LamSettings, contract: InputContract, classes: int) -> None:
        """Make trunk and head; see :class:`Method` for the arguments."""
        super().__init__(settings, contract, classes)
        self.trunk = make_encoder(self.settings.network, contract)
        self.head = nn.Linear(self.trunk.width, classes)

    def losses(self, batch: Batch) -> Losses:
        """Cross-entropy and disagreement of evidence."""
        code = self.trunk(batch.image)
        mate = own(shuffled_within_class(gather(batch.label)))
        difference = (code - gather(code)[mate]) * self.head.weight[batch.label]
        losses = {
            "cross_entropy": functional.cross_entropy(self.head(code), batch.label),
            "disagreement": difference.square().sum(dim=1).mean(),
        }
        weighted = self.settings.agreement_weight * losses["disagreement"]
        return losses | {"total": losses["cross_entropy"] + weighted}

    def embed(self, image: Tensor) -> Embedding:
        """What the trunk gives, and no style."""
        return Embedding(self.trunk(image), None)

    def logits(self, image: Tensor) -> Tensor:
        """Class logits ``[batch, class]``."""
        logits: Tensor = self.head(self.trunk(image))
        return logits


def shuffled_within_class(label: Tensor) -> Tensor:
    """For each row another row of its label: a random permutation inside every label.

    A row may meet itself, and must if it is alone with its label.

    Args:
        label: ``[batch]``.

    Returns:
        Positions ``[batch]``; draws from the global generator.

    Examples:
        >>> shuffled_within_class(torch.tensor([4, 7, 5])).tolist()
        [0, 1, 2]
    """
    order = torch.randperm(len(label), device=label.device)
    # The k-th row of a label in random order is paired with its k-th row in given order.
    random = order[label[order].argsort(stable=True)]
    given = label.argsort(stable=True)
    return torch.empty_like(given).scatter_(0, given, random)
