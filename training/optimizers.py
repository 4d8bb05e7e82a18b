"""What the recipe does to the optimisers of a stage, whichever they are."""

from collections.abc import Callable, Mapping
from typing import Any

from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from training.recipe import Recipe


def prepare(optimizers: Mapping[str, Optimizer], recipe: Recipe) -> None:
    """Give fresh optimisers the weight decay and the longest gradient of the recipe.

    Their learning rates become those that :func:`set_share` takes shares of.
    """
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
            if recipe.weight_decay:
                group["weight_decay"] = recipe.weight_decay
                group["decoupled_weight_decay"] = True
        if recipe.gradient_norm is not None:
            optimizer.register_step_pre_hook(_clip(recipe.gradient_norm))


def set_share(optimizers: Mapping[str, Optimizer], share: float) -> None:
    """Take the next steps with a share of the learning rates."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share


def _clip(norm: float) -> Callable[[Optimizer, Any, Any], None]:
    def clip(optimizer: Optimizer, arguments: Any, options: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        clip_grad_norm_(parameters, norm)

    return clip
