"""Everything that a run depends on."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from evaluation.errors import InputError
from evaluation.groups import Attribute
from evaluation.policy import Policy
from evaluation.settings import Settings, read_toml
from evaluation.shift import SHIFTS, Shift
from evaluation.spec import AuditSpec
from training.cohort import CohortSchema
from training.imaging import InputContract
from training.methods import METHOD_NAMES
from training.recipe import Recipe

#: Whether a test sample's label and attribute occurred together in training.
COMBINATION = Attribute(name="combination")


class RunConfig(Settings):
    """Everything that a run depends on: a TOML file, a request body or a test's input.

    Attributes:
        cohort: Which data.
        method: ``name`` of the method and its settings.
        recipe: How the method is trained, whichever it is.
        shift: ``name`` of the shift and its settings.
        size: Height and width that images are scaled to, in pixels.
        channels: 1 for grey, 3 for colour, 2 or 4 for data whose channels are not colours.
        dimensions: 2 for images, 3 for volumes.
        fit: How images become squares, see :class:`training.imaging.InputContract`.
        seed: Of the split, the initial weights and the order of batches.
        audit: What to audit. Attributes that are only named are those of the cohort; none means
            all of them.
        policy: What must hold.
    """

    cohort: CohortSchema
    method: dict[str, Any]
    recipe: Recipe = Recipe()
    shift: dict[str, Any] = Field(default={"name": "none"}, validate_default=True)
    size: int = Field(default=64, ge=8, le=1024)
    channels: Literal[1, 2, 3, 4] = 3
    dimensions: Literal[2, 3] = 2
    fit: Literal["crop", "pad", "stretch"] = "crop"
    seed: int = Field(default=0, ge=0, lt=2**63)
    audit: AuditSpec = AuditSpec()
    policy: Policy | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file, whose cohort and policy may be paths relative to it.

        A policy may also be the name of one that comes with the program.

        Raises:
            InputError: A file is missing or does not fit.
        """
        values = read_toml(path)
        if isinstance(values.get("cohort"), str):
            values["cohort"] = CohortSchema.load(path.parent / values["cohort"])
        if isinstance(values.get("policy"), str):
            values["policy"] = Policy.find(values["policy"], path.parent)
        return cls.parse(values, str(path))

    @field_validator("method")
    @classmethod
    def _method(cls, method: dict[str, Any]) -> dict[str, Any]:
        # Only the name is checked here: the type of the settings lives with the method, and
        # importing it would load torch in processes that only queue runs. `resolved` checks
        # all.
        METHOD_NAMES.check(str(method.get("name", "")), "method.name")
        return method

    @field_validator("shift")
    @classmethod
    def _shift(cls, shift: dict[str, Any]) -> dict[str, Any]:
        return {"name": shift.get("name", ""), **_make_shift(shift).model_dump(mode="json")}

    @model_validator(mode="before")
    @classmethod
    def _named_attributes(cls, values: Any) -> Any:
        spec = values.get("audit") if isinstance(values, dict) else None
        if isinstance(spec, dict) and isinstance(spec.get("attributes"), list | tuple):
            named = [{"name": a} if isinstance(a, str) else a for a in spec["attributes"]]
            values = {**values, "audit": {**spec, "attributes": named}}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        shifted = [self.shift["attribute"]] if self.shift["attribute"] else []
        style = self.method.get("style_attributes") or []
        if not isinstance(style, list | tuple):
            style = []  # `resolved` says what should be there
        audited = (each.name for each in self._chosen())
        for name in [*shifted, *style, *self.recipe.reads, *audited]:
            self.cohort.attribute(name)
        if faults := self.recipe.faults(self.dimensions):
            raise InputError(*faults)
        return self

    def _chosen(self) -> tuple[Attribute, ...]:
        return tuple(each for each in self.audit.attributes if each.name != COMBINATION.name)

    @property
    def contract(self) -> InputContract:
        """What the model takes as input."""
        return InputContract(
            size=self.size, channels=self.channels, fit=self.fit, dimensions=self.dimensions
        )

    @property
    def method_settings(self) -> dict[str, Any]:
        """The settings of the method, without its name."""
        return {key: value for key, value in self.method.items() if key != "name"}

    def make_shift(self) -> Shift:
        """The rule that splits the cohort."""
        return _make_shift(self.shift)

    def resolved(self) -> Self:
        """The same with every default filled in, so that it says all that the run depends on.

        Raises:
            InputError: A setting of the method does not fit, or its network cannot read such
                images.
        """
        from training.method import METHODS

        name = self.method["name"]
        kind = METHODS.get(name).settings_type
        settings = kind.parse(self.method_settings, f"method {name}").resolved(self.contract)
        chosen = self._chosen() or tuple(map(self.cohort.attribute, self.cohort.attributes))
        declared = tuple(
            self.cohort.attribute(each.name) if each == Attribute(name=each.name) else each
            for each in chosen
        )
        if self.shift["attribute"]:
            declared += (COMBINATION,)
        return self.model_copy(
            update={
                "method": {"name": name, **settings.model_dump(mode="json")},
                "audit": self.audit.model_copy(update={"attributes": declared}),
            }
        )


def _make_shift(values: dict[str, Any]) -> Shift:
    name = SHIFTS.check(str(values.get("name", "")), "shift.name")
    given = {key: value for key, value in values.items() if key != "name"}
    return SHIFTS.get(name).parse(given, f"shift {name}")
