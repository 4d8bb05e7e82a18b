"""What the methods are built of: networks that cost the time, and small heads on them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

#: Width of the hidden layer of a classification head.
HEAD_WIDTH = 256


class Network(nn.Module):
    """The part of a method that costs the time: an encoder or a decoder.

    It runs in the precision that the training loop sets; what it gives is always float32, so
    that losses are exact.

    Attributes:
        layers: What it does.
        width: Values that it gives for each image, without the batch.
        precision: What its matrix products and convolutions are computed in; None is float32.
        compiled: ``layers``, compiled; None runs them as they are.
    """

    def __init__(self, layers: nn.Module, width: int) -> None:
        """Keep the layers.

        Args:
            layers: What it does.
            width: Values that it gives for each image.
        """
        super().__init__()
        self.layers = layers
        self.width = width
        self.precision: torch.dtype | None = None
        self.compiled: Callable[[Tensor], Tensor] | None = None

    def forward(self, value: Tensor) -> Tensor:
        """What the layers give, float32."""
        run = self.compiled or self.layers
        if self.precision is None:
            plain: Tensor = run(value)
            return plain
        with torch.autocast(value.device.type, self.precision):
            mixed: Tensor = run(value)
        return mixed.float()


class Head(nn.Module):
    """Classification head: Linear, BatchNorm, ReLU, Linear."""

    def __init__(self, width: int, classes: int) -> None:
        """Build the head.

        Args:
            width: Dimension of the input.
            classes: Number of classes.
        """
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(width, HEAD_WIDTH), nn.BatchNorm1d(HEAD_WIDTH), nn.ReLU()
        )
        self.output = nn.Linear(HEAD_WIDTH, classes)

    def forward(self, code: Tensor) -> Tensor:
        """Logits ``[batch, classes]`` of ``code [batch, width]``."""
        logits: Tensor = self.output(self.hidden(code))
        return logits
