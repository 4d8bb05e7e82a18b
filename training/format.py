"""What a format is: a way to read a cohort from where it lies."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from evaluation.registry import Registry
from evaluation.settings import Settings

if TYPE_CHECKING:
    from training.cohort import Cohort, CohortSchema


class Format(ABC):
    """Reads a cohort: its table now, its pixels when they are asked for.

    Attributes:
        settings_type: What ``[source]`` of a cohort's file may hold.
    """

    settings_type: ClassVar[type[Settings]]

    def __init__(self, settings: Settings) -> None:
        """Keep the settings, which are of ``settings_type``."""
        self.settings = settings

    @abstractmethod
    def read(self, schema: "CohortSchema", root: Path) -> "Cohort":
        """The cohort.

        Args:
            schema: Which columns hold what. Its ``source`` has been read into the settings.
            root: Folder that the paths of the settings start from.

        Raises:
            InputError: With every fault of the manifest, in one.
        """


FORMATS: Registry[type[Format]] = Registry("training.formats", "format", Format, classes=True)
