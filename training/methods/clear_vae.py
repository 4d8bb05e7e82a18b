"""CLEAR-VAE: content knows the label and style must not, by switched contrastive pairs."""

from collections.abc import Mapping
from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from training.contrast import (
    CONTRASTS,
    SIMILARITIES,
    ContrastName,
    SimilarityName,
    different_label,
    mean_over_anchors,
    same_label,
)
from training.dependence import ConditionalGaussian, club_sampled, leave_one_out
from training.gaussian import Gaussian, sample
from training.imaging import InputContract
from training.method import Batch, Losses, Stage, adam, step
from training.vae import VaeMethod, VaeSettings

StylePenalty = Literal["pair_switching", "negated", "club", "l1out", "none"]

#: Weight of the penalties that bound the mutual information, from the CLEAR paper.
_DEPENDENCE_WEIGHT = 3.0

#: Style penalties that need an estimator network.
_ESTIMATED = ("club", "l1out")


class ClearVaeSettings(VaeSettings):
    """Settings of CLEAR-VAE. Defaults are those of the paper; see also :class:`VaeSettings`.

    Attributes:
        similarity: Of two codes, in the contrastive losses.
        contrast: Contrastive loss: soft nearest neighbour or supervised contrastive.
        style_penalty: What keeps the label out of the style code. ``pair_switching``: the
            contrastive loss with images of different labels as positives. ``negated``: minus
            the contrastive loss (the paper's ablation). ``club``, ``l1out``: an upper bound of
            the mutual information of content and style. ``none``: nothing.
        alpha: Weight of the contrastive loss on content, >= 0.
        style_weight: Weight of the style penalty, >= 0. If not given: alpha, and 3 for the
            bounds ``club`` and ``l1out``.
        temperature: Of the contrastive losses, > 0. The paper uses 0.3 for Camelyon17.
        estimator_learning_rate: Of the estimator of ``club`` and ``l1out``.
        estimator_steps: Steps of the estimator for each step of the autoencoder.
    """

    similarity: SimilarityName = "cosine"
    contrast: ContrastName = "snn"
    style_penalty: StylePenalty = "pair_switching"
    alpha: float = Field(default=100.0, ge=0)
    style_weight: float | None = Field(default=None, ge=0)
    temperature: float = Field(default=0.1, gt=0)
    estimator_learning_rate: float = Field(default=2e-3, gt=0)
    estimator_steps: int = Field(default=5, ge=1)

    def resolved(self, contract: InputContract) -> Self:
        """The settings with the defaults of size and style penalty filled in.

        Raises:
            InputError: There is no network for the size.
        """
        found = super().resolved(contract)
        if found.style_weight is not None:
            return found
        weight = _DEPENDENCE_WEIGHT if found.style_penalty in _ESTIMATED else found.alpha
        return found.model_copy(update={"style_weight": weight})


class ClearVae(VaeMethod):
    r"""Contrastive learning with anti-contrastive regularisation.

    .. math:: \text{reconstruction} + \beta(t) (KL_c + KL_s)
        + \alpha\, SNN(\mu_c, \text{same } y) + \alpha\, SNN(\mu_s, \text{different } y)

    No attribute is read in training: style is what the label does not explain.

    References:
        Sun, Goldstein and Engelhard (2025), *CLEAR: unlearning spurious style-content
        associations with contrastive learning with anti-contrastive regularization*,
        arXiv:2507.18794.
    """

    settings_type = ClearVaeSettings
    settings: ClearVaeSettings

    def __init__(
        self, settings: ClearVaeSettings, contract: InputContract, classes: int
    ) -> None:
        """Make the networks; see :class:`Method` for the arguments."""
        super().__init__(settings, contract, classes)
        # The estimator of q(style | content), hidden layer as wide as the codes.
        self.estimator = (
            ConditionalGaussian(self.dimension, self.dimension, self.dimension)
            if self.settings.style_penalty in _ESTIMATED
            else None
        )

    def representation_modules(self) -> list[nn.Module]:
        """Autoencoder and, if there is one, estimator."""
        return [self.vae] if self.estimator is None else [self.vae, self.estimator]

    def representation_optimizers(self) -> dict[str, Optimizer]:
        """One for the autoencoder and, if there is one, one for the estimator."""
        optimizers = super().representation_optimizers()
        if self.estimator is not None:
            rate = self.settings.estimator_learning_rate
            optimizers["estimator"] = adam(rate, self.estimator)
        return optimizers

    def losses(self, batch: Batch) -> Losses:
        """Evidence lower bound, contrast of content, penalty of style."""
        return self._losses(batch, self.vae.encode(batch.image))

    def update(self, stage: Stage, batch: Batch, optimizers: Mapping[str, Optimizer]) -> Losses:
        """One step; with an estimator, that one is fitted to the present codes first."""
        if self.estimator is None or "estimator" not in optimizers:
            return super().update(stage, batch, optimizers)
        posteriors = self.vae.encode(batch.image)
        fitted = self._fit_estimator(self.estimator, posteriors, optimizers["estimator"])
        losses = step(self._losses(batch, posteriors), optimizers["vae"])
        self.annealing_step += 1
        return losses | {"estimator": fitted}

    def _losses(self, batch: Batch, posteriors: tuple[Gaussian, Gaussian]) -> Losses:
        content, style = posteriors
        codes = sample(content), sample(style)
        losses = self.evidence_losses(batch, codes, posteriors)
        losses["content_contrast"] = self._contrast(content, same_label(batch.label))
        losses["style_penalty"] = self._style_penalty(style, codes, batch.label)
        losses["total"] = (
            losses["total"]
            + self.settings.alpha * losses["content_contrast"]
            + (self.settings.style_weight or 0.0) * losses["style_penalty"]
        )
        return losses

    def _contrast(self, code: Gaussian, positive: Tensor) -> Tensor:
        similarity = SIMILARITIES[self.settings.similarity](*code)
        contrast = CONTRASTS[self.settings.contrast]
        return mean_over_anchors(contrast(similarity, positive, self.settings.temperature))

    def _style_penalty(
        self, style: Gaussian, codes: tuple[Tensor, Tensor], label: Tensor
    ) -> Tensor:
        if self.estimator is not None:
            density = self.estimator.log_density(*codes)
            bound = club_sampled if self.settings.style_penalty == "club" else leave_one_out
            return bound(density)
        if self.settings.style_penalty == "pair_switching":
            return self._contrast(style, different_label(label))
        if self.settings.style_penalty == "negated":
            return -self._contrast(style, same_label(label))
        return torch.zeros((), device=label.device)

    def _fit_estimator(
        self,
        estimator: ConditionalGaussian,
        posteriors: tuple[Gaussian, Gaussian],
        optimizer: Optimizer,
    ) -> Tensor:
        """Steps on the negative log-likelihood of codes without graph; its last value."""
        with torch.no_grad():
            content, style = (sample(posterior) for posterior in posteriors)
        for _ in range(self.settings.estimator_steps):
            fitted = step(
                {"total": -estimator.log_likelihood(content, style).mean()}, optimizer
            )
        return fitted["total"]
