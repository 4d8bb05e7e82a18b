"""What models say of images: the service's JSON, frozen and typed."""

from typing import Any

from service.client.types import Answer


class UsedModel(Answer):
    """The model that answered."""

    version: int
    run: str
    method: str


class Prediction(Answer):
    """What a model says of one image."""

    image: str
    probability: dict[str, float]
    decision: str
    farther: float | None


class Predictions(Answer):
    """Predictions, in the order of the images."""

    model: UsedModel
    threshold: float | None
    classes: tuple[str, ...]
    groups: dict[str, Any]
    meaning: str
    predictions: tuple[Prediction, ...]


class Embedding(Answer):
    """The codes of one image; None where not asked for, or where the model has none."""

    image: str
    content: tuple[float, ...] | None
    style: tuple[float, ...] | None


class Embeddings(Answer):
    """Embeddings, in the order of the images."""

    model: UsedModel
    embeddings: tuple[Embedding, ...]


class Seen(Answer):
    """What a model says of one drawing or image."""

    probability: dict[str, float]
    decision: str


class Counterfactual(Answer):
    """One image with the style of its partner. Drawings are PNG in base64."""

    image: str
    partner: str
    original: Seen
    reconstructed: Seen
    swapped: Seen
    change: dict[str, float]
    flipped: bool
    squared_error: float
    trusted: bool
    reason: str
    reconstruction: str
    swap: str


class Counterfactuals(Answer):
    """Counterfactuals, in the order of the images."""

    model: UsedModel
    threshold: float | None
    counterfactuals: tuple[Counterfactual, ...]
