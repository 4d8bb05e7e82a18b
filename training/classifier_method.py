"""Methods that train a classifier and nothing else, in one stage."""

from abc import ABC
from collections.abc import Sequence

from pydantic import Field

from training.method import Method, MethodSettings, Stage, adam


class ClassifierSettings(MethodSettings):
    """Settings of a classifier. Defaults are those of the ERM CNN of the CLEAR paper.

    Attributes:
        learning_rate: Of Adam.
        epochs: Passes over the training rows.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    epochs: int = Field(default=41, ge=1)


class ClassifierMethod(Method, ABC):
    """A method of one stage, which keeps the epoch with the highest validation AUROC."""

    settings: ClassifierSettings

    def stages(self) -> Sequence[Stage]:
        """One stage, of all weights."""
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
