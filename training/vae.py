"""The variational autoencoder with a content and a style code, and how such methods train."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from training.distributed import gather, own
from training.gaussian import Gaussian, gathered, kl_to_standard_normal, sample
from training.imaging import InputContract
from training.method import Batch, Embedding, Losses, Method, MethodSettings, Stage, adam
from training.network import Head
from training.networks import NetworkName, make_decoder, make_encoder

#: Defaults that depend on the size of the image. 28 pixels: Styled-MNIST of the CLEAR paper.
#: 64 pixels: as for its PACS and Camelyon17 data, with the learning rate of Camelyon17.
_DEFAULTS_BY_SIZE: dict[int, dict[str, float]] = {
    28: {"total_z_dim": 16, "beta": 1 / 8, "learning_rate": 5e-4},
    64: {"total_z_dim": 64, "beta": 1 / 32, "learning_rate": 1e-4},
}


#: From the posterior of each sample and its label: those of the groups, each sample's group.
GroupPosterior = Callable[[Gaussian, Tensor], tuple[Gaussian, Tensor]]


class VaeSettings(MethodSettings):
    """Settings of every method built on the autoencoder. Defaults are those of the CLEAR paper.

    Attributes:
        total_z_dim: Dimension of content and style together, even; half is content. By size of
            the image if not given: 16 at 28 pixels, 64 at 64, else as at the nearer of them.
        beta: Weight of the divergences once annealed, >= 0. By size if not given: 1/8 at 28
            pixels, 1/32 at 64.
        beta_location: Optimiser step at which the weight is beta / 2.
        beta_scale: Optimiser steps over which it rises, > 0.
        learning_rate: Of the autoencoder. By size if not given: 5e-4 at 28 pixels, 1e-4 at 64.
        representation_epochs: Epochs of the autoencoder.
        classifier_epochs: Epochs of the classifier, with the autoencoder frozen.
        classifier_learning_rate: Of the classifier.
    """

    total_z_dim: int | None = Field(default=None, ge=2)
    beta: float | None = Field(default=None, ge=0)
    beta_location: float = 0.0
    beta_scale: float = Field(default=1.0, gt=0)
    learning_rate: float | None = Field(default=None, gt=0)
    representation_epochs: int = Field(default=41, ge=1)
    classifier_epochs: int = Field(default=41, ge=1)
    classifier_learning_rate: float = Field(default=3e-4, gt=0)

    @field_validator("total_z_dim")
    @classmethod
    def _even(cls, value: int | None) -> int | None:
        if value is not None and value % 2:
            raise ValueError("content and style are halves of it, so it must be even")
        return value

    def resolved(self, contract: InputContract) -> Self:
        """The settings with the defaults of the size of the image filled in.

        Raises:
            InputError: The network cannot read such images.
        """
        found = super().resolved(contract)
        nearest = min(_DEFAULTS_BY_SIZE, key=lambda size: abs(size - contract.size))
        defaults = _DEFAULTS_BY_SIZE[nearest]
        missing = {k: v for k, v in defaults.items() if getattr(found, k) is None}
        return found.model_copy(update=missing)


class VariationalAutoencoder(nn.Module):
    """Encoder to two Gaussian codes, content and style, and decoder from both.

    References:
        Sun, Goldstein and Engelhard (2025), *CLEAR: unlearning spurious style-content
        associations with contrastive learning with anti-contrastive regularization*,
        arXiv:2507.18794.
    """

    def __init__(
        self, contract: InputContract, dimension: int, network: NetworkName = "auto"
    ) -> None:
        """Build the networks.

        Args:
            contract: Size and channels of the images.
            dimension: Of each of the two codes.
            network: Of the encoder; the decoder goes with it.
        """
        super().__init__()
        self.trunk = make_encoder(network, contract)
        # Means and log variances of content and style: four linear heads in one matrix.
        self.heads = nn.Linear(self.trunk.width, 4 * dimension)
        self.decoder = make_decoder(network, contract, 2 * dimension)

    def encode(self, image: Tensor) -> tuple[Gaussian, Gaussian]:
        """Posteriors of content and style, each ``[batch, dimension]``."""
        heads: Tensor = self.heads(self.trunk(image))
        content_mu, content_logvar, style_mu, style_logvar = heads.chunk(4, dim=1)
        return Gaussian(content_mu, content_logvar), Gaussian(style_mu, style_logvar)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Image ``[batch, channel, size, size]`` in [0, 1] of two ``[batch, dimension]``."""
        image: Tensor = self.decoder(torch.cat([content, style], dim=1))
        return image


def reconstruction_error(decoded: Tensor, image: Tensor) -> Tensor:
    """Squared error of each image, summed over channels and pixels, ``[batch]``.

    >>> reconstruction_error(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([4.])
    """
    return (decoded - image).square().flatten(1).sum(dim=1)


class VaeMethod(Method):
    """Base of the methods that train the autoencoder first and a classifier of content after.

    A subclass says what the first stage minimises. The second reads the mean of the content
    code, which does not change any more, so it is computed once for each image.
    """

    settings: VaeSettings
    annealing_step: Tensor

    def __init__(self, settings: VaeSettings, contract: InputContract, classes: int) -> None:
        """Make the autoencoder and the classifier; see :class:`Method` for the arguments."""
        super().__init__(settings, contract, classes)
        assert self.settings.total_z_dim is not None
        self.dimension = self.settings.total_z_dim // 2
        self.vae = VariationalAutoencoder(contract, self.dimension, self.settings.network)
        self.classifier = Head(self.dimension, classes)
        # A buffer, so that it is in every checkpoint.
        self.register_buffer("annealing_step", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def losses(self, batch: Batch) -> Losses:
        """Losses of the autoencoder."""

    def stages(self) -> Sequence[Stage]:
        """Representation, then classifier."""
        settings = self.settings
        representation = Stage(
            name="representation",
            epochs=settings.representation_epochs,
            batch_size=settings.batch_size,
            optimizers=self.representation_optimizers,
            losses=self.losses,
            trained=self.representation_modules(),
            selection="last",
        )
        classifier = Stage(
            name="classifier",
            epochs=settings.classifier_epochs,
            batch_size=settings.batch_size,
            optimizers=lambda: {
                "classifier": adam(settings.classifier_learning_rate, self.classifier)
            },
            losses=self._classifier_losses,
            trained=[self.classifier],
            selection="auroc",
            logits=self.classifier,
            features=self._content,
        )
        return [representation, classifier]

    def representation_modules(self) -> list[nn.Module]:
        """What the first stage trains."""
        return [self.vae]

    def representation_optimizers(self) -> dict[str, Optimizer]:
        """Optimisers of the first stage, by name."""
        assert self.settings.learning_rate is not None
        return {"vae": adam(self.settings.learning_rate, self.vae)}

    def update(self, stage: Stage, batch: Batch, optimizers: Mapping[str, Optimizer]) -> Losses:
        """One step, which also moves the annealing on while the autoencoder is trained."""
        losses = super().update(stage, batch, optimizers)
        if stage.name == "representation":
            self.annealing_step += 1
        return losses

    def beta(self) -> Tensor:
        r"""Weight of the divergences, scalar: :math:`\beta / (1 + e^{-(t - t_0) / s})`.

        t is the number of optimiser steps so far. At the default location 0 and scale 1 it
        starts at :math:`\beta / 2` and is :math:`\beta` after a few steps.
        """
        settings = self.settings
        assert settings.beta is not None
        progress = (self.annealing_step - settings.beta_location) / settings.beta_scale
        return progress.sigmoid() * settings.beta

    def evidence_losses(
        self,
        batch: Batch,
        codes: tuple[Tensor, Tensor],
        posteriors: tuple[Gaussian, Gaussian],
        *,
        group_size: float = 1.0,
    ) -> Losses:
        r"""The terms of the evidence lower bound, and their weighted sum as ``total``.

        .. math:: m \cdot \text{reconstruction} + \beta(t) (KL_c + m \cdot KL_s)

        Args:
            batch: Images to reconstruct.
            codes: Drawn content and style, each ``[batch, dimension]``.
            posteriors: Of content ``[batch or group, dimension]`` and style ``[batch,
                dimension]``; each divergence is a mean over its rows.
            group_size: m, images for each content posterior; 1 if each has its own.
        """
        decoded = self.vae.decode(*codes)
        losses = {
            "reconstruction": reconstruction_error(decoded, batch.image).mean(),
            "kl_content": kl_to_standard_normal(posteriors[0]).mean(),
            "kl_style": kl_to_standard_normal(posteriors[1]).mean(),
        }
        divergence = losses["kl_content"] + group_size * losses["kl_style"]
        losses["total"] = group_size * losses["reconstruction"] + self.beta() * divergence
        return losses

    def group_losses(self, batch: Batch, posterior: GroupPosterior) -> Losses:
        """Evidence lower bound of groups that share their content: the images of a label.

        In training, reconstruction and divergence of style are multiplied by batch size /
        number of groups, as in the code released with the CLEAR paper: the bound is then a mean
        over groups, of which each has many images but one content. In evaluation each image is
        a group of its own.

        Args:
            batch: Images and labels.
            posterior: Content posterior of each group, from those of its members.
        """
        content, style = self.vae.encode(batch.image)
        if not self.vae.training:
            return self.evidence_losses(
                batch, (sample(content), sample(style)), (content, style)
            )
        group, index = posterior(gathered(content), gather(batch.label))
        shared = Gaussian(group.mu[own(index)], group.logvar[own(index)])
        return self.evidence_losses(
            batch,
            (sample(shared), sample(style)),
            (group, style),
            group_size=len(index) / len(group.mu),
        )

    def embed(self, image: Tensor) -> Embedding:
        """Means of the two codes."""
        content, style = self.vae.encode(image)
        return Embedding(content.mu, style.mu)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Image of two codes."""
        return self.vae.decode(content, style)

    def logits(self, image: Tensor) -> Tensor:
        """Class logits, read from the mean of the content code only."""
        logits: Tensor = self.classifier(self._content(image))
        return logits

    def _content(self, image: Tensor) -> Tensor:
        return self.vae.encode(image)[0].mu

    def _classifier_losses(self, batch: Batch) -> Losses:
        return {"total": functional.cross_entropy(self.classifier(batch.image), batch.label)}
