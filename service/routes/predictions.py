"""Predictions of images."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.errors import documented
from service.images import Chosen, Images, UsedModel, used
from service.services import takes

router = APIRouter(prefix="/v1/predictions", tags=["inference"])


class ImagePrediction(BaseModel):
    """What the model says of one image."""

    image: str = Field(description="Name of the file.")
    probability: dict[str, float] = Field(description="By class, in [0, 1]; they sum to 1.")
    decision: str = Field(description="The class that is decided at the threshold.")


class PredictionAnswer(BaseModel):
    """Predictions, in the order of the images."""

    model: UsedModel
    threshold: float | None = Field(
        description="Probability from which the positive class, the second, is decided; frozen "
        "by the audit of the model's run. Null if there are not two classes."
    )
    classes: list[str]
    predictions: list[ImagePrediction]


@router.post(
    "", responses=documented(400, 415, 422), dependencies=[takes("multipart/form-data")]
)
def predict(images: Images, model: Chosen) -> PredictionAnswer:
    """Probability of each class and the decision, for each image."""
    probability = model.predict(images).probability.tolist()
    classes = model.predictor.classes
    return PredictionAnswer(
        model=used(model),
        threshold=model.threshold,
        classes=list(classes),
        predictions=[
            ImagePrediction(
                image=name,
                probability=dict(zip(classes, row, strict=True)),
                decision=model.decide(row),
            )
            for (name, _), row in zip(images, probability, strict=True)
        ],
    )
