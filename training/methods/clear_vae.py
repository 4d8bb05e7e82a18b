"""CLEAR-VAE: content knows the label and style must not, by switched contrastive pairs."""

from collections.abc import Mapping
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from training.contrast import CONTRASTS, ContrastName, mean_over_anchors
from training.dependence import DEPENDENCE, DependenceEstimator
from training.distributed import gather
from training.gaussian import Gaussian, gathered, sample
from training.imaging import InputContract
from training.method import Batch, Losses, Stage, adam, step
from training.pairs import Pairs, across_groups, different_label, same_attribute, same_label
from training.similarity import SIMILARITIES, SimilarityName
from training.vae import VaeMethod, VaeSettings

StylePenalty = Literal["pair_switching", "negated", "club", "l1out", "tc", "none"]


class ClearVaeSettings(VaeSettings):
    """Settings of CLEAR-VAE. Defaults are those of the paper; see also :class:`VaeSettings`.

    Attributes:
        similarity: Of two codes, in the contrastive losses.
        contrast: Contrastive loss: soft nearest neighbour or supervised contrastive.
        style_penalty: What keeps the label out of the style code. ``pair_switching``: the
            contrastive loss with images of different labels as positives. ``negated``: minus
            the contrastive loss (the paper's ablation). ``club``, ``l1out``: an upper bound of
            the mutual information of content and style. ``tc``: their total correlation, by a
            discriminator. ``none``: nothing.
        alpha: Weight of the contrastive loss on content, >= 0.
        style_weight: Weight of the style penalty, >= 0. If not given: alpha; 3 for ``club`` and
            ``l1out``, 1 for ``tc``.
        temperature: Of the contrastive losses, > 0. The paper uses 0.3 for Camelyon17.
        style_attributes: Attributes that are known to be style, such as sex or scanner. Not in
            the paper, and off unless named. Then images of one group are pulled together in
            style, and the contrast of content takes its positives from other groups and its
            negatives from the same one, so that the attribute cannot help. Where an attribute
            is missing, labels alone decide. With several, losses are means over them.
        attribute_weight: Weight of the contrast of groups on style, >= 0. If not given: alpha.
        estimator_learning_rate: Of the estimator of ``club``, ``l1out`` (2e-3 if not given) and
            ``tc`` (1e-4).
        estimator_steps: Steps of the estimator for each step of the autoencoder: 5 for ``club``
            and ``l1out`` if not given, 1 for ``tc``.
    """

    similarity: SimilarityName = "cosine"
    contrast: ContrastName = "snn"
    style_penalty: StylePenalty = "pair_switching"
    alpha: float = Field(default=100.0, ge=0)
    style_weight: float | None = Field(default=None, ge=0)
    temperature: float = Field(default=0.1, gt=0)
    style_attributes: tuple[str, ...] = ()
    attribute_weight: float | None = Field(default=None, ge=0)
    estimator_learning_rate: float | None = Field(default=None, gt=0)
    estimator_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = self.estimator_learning_rate, self.estimator_steps
        if self.style_penalty not in DEPENDENCE and given != (None, None):
            raise ValueError(
                f"style_penalty '{self.style_penalty}' has no estimator; leave its settings "
                f"out, or choose one of {', '.join(DEPENDENCE)}"
            )
        return self

    def resolved(self, contract: InputContract) -> Self:
        """The settings with the defaults of size and style penalty filled in.

        Raises:
            InputError: The network cannot read such images.
        """
        found = super().resolved(contract)
        defaults: dict[str, float | None] = {"attribute_weight": found.alpha}
        if estimated := DEPENDENCE.get(found.style_penalty):
            defaults |= {
                "style_weight": estimated.weight,
                "estimator_learning_rate": estimated.learning_rate,
                "estimator_steps": estimated.steps,
            }
        else:
            defaults["style_weight"] = found.alpha
        missing = {k: v for k, v in defaults.items() if getattr(found, k) is None}
        return found.model_copy(update=missing)


class ClearVae(VaeMethod):
    r"""Contrastive learning with anti-contrastive regularisation.

    .. math:: \text{reconstruction} + \beta(t) (KL_c + KL_s)
        + \alpha\, SNN(\mu_c, \text{same } y) + \alpha\, SNN(\mu_s, \text{different } y)

    No attribute is read in training unless one is named: style is what the label does not
    explain.

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
        estimated = DEPENDENCE.get(self.settings.style_penalty)
        self.estimator = estimated.make(self.dimension) if estimated else None

    @property
    def reads(self) -> tuple[str, ...]:
        """The attributes that are style."""
        return self.settings.style_attributes

    def representation_modules(self) -> list[nn.Module]:
        """Autoencoder and, if there is one, estimator."""
        return [self.vae] if self.estimator is None else [self.vae, self.estimator]

    def representation_optimizers(self) -> dict[str, Optimizer]:
        """One for the autoencoder and, if there is one, one for the estimator."""
        optimizers = super().representation_optimizers()
        if self.estimator is not None:
            rate = self.settings.estimator_learning_rate
            assert rate is not None
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
        # What compares images reads those of all processes.
        label, groups = gather(batch.label), gather(batch.groups.T).T if self.reads else None
        losses["content_contrast"] = self._contrast(content, *_content_pairs(label, groups))
        losses["style_penalty"] = self._style_penalty(style, codes, label)
        losses["total"] = (
            losses["total"]
            + self.settings.alpha * losses["content_contrast"]
            + (self.settings.style_weight or 0.0) * losses["style_penalty"]
        )
        if groups is not None:
            pairs = [same_attribute(group) for group in groups]
            losses["attribute_contrast"] = self._contrast(style, *pairs)
            weight = self.settings.attribute_weight or 0.0
            losses["total"] = losses["total"] + weight * losses["attribute_contrast"]
        return losses

    def _contrast(self, code: Gaussian, *pairs: Pairs) -> Tensor:
        """Mean over the anchors, then over kinds of pairs."""
        similarity = SIMILARITIES[self.settings.similarity](*gathered(code))
        contrast, temperature = CONTRASTS[self.settings.contrast], self.settings.temperature
        means = [
            mean_over_anchors(contrast(similarity, each, temperature), each) for each in pairs
        ]
        return torch.stack(means).mean()

    def _style_penalty(
        self, style: Gaussian, codes: tuple[Tensor, Tensor], label: Tensor
    ) -> Tensor:
        if self.estimator is not None:
            return self.estimator.penalty(*map(gather, codes))
        if self.settings.style_penalty == "pair_switching":
            return self._contrast(style, different_label(label))
        if self.settings.style_penalty == "negated":
            return -self._contrast(style, same_label(label))
        return torch.zeros((), device=label.device)

    def _fit_estimator(
        self,
        estimator: DependenceEstimator,
        posteriors: tuple[Gaussian, Gaussian],
        optimizer: Optimizer,
    ) -> Tensor:
        """Steps of the estimator on codes without graph; its last loss."""
        with torch.no_grad():
            content, style = (gather(sample(posterior)) for posterior in posteriors)
        assert self.settings.estimator_steps is not None
        for _ in range(self.settings.estimator_steps):
            fitted = step({"total": estimator.loss(content, style)}, optimizer)
        return fitted["total"]


def _content_pairs(label: Tensor, groups: Tensor | None) -> list[Pairs]:
    if groups is None:
        return [same_label(label)]
    return [across_groups(label, group) for group in groups]
