"""Settings of an audit for another one, which does not choose its threshold again."""

from typing import Any

from evaluation.audit import Audit
from evaluation.errors import Fault, InputError, unknown_name
from evaluation.groups import Attribute
from evaluation.spec import AuditSpec
from evaluation.threshold import Threshold
from training.cohort import CohortSchema
from training.config import COMBINATION


def frozen(made: Audit) -> tuple[Threshold, ...]:
    """The thresholds of an audit for another one: they are given, and never chosen again."""
    return tuple(
        each.model_copy(update={"rule": "fixed"})
        if each.rule not in ("highest score", "decisions")
        else each
        for each in made.thresholds
    )


def frozen_spec(
    made: Audit, overrides: dict[str, Any], schema: CohortSchema | None = None
) -> AuditSpec:
    """The settings of an audit for another one: its own, its threshold, and what overrides it.

    Args:
        made: The earlier audit.
        overrides: Keys of :class:`AuditSpec`; attributes may be names.
        schema: Of the cohort that is audited, which declares its attributes. None: it is the
            same table.

    Raises:
        InputError: They do not fit, or would choose another threshold; every fault is there.
    """
    faults = [
        Fault("audit", "the threshold is frozen", "Leave it out.", column=name)
        for name in ("threshold", "threshold_rows")
        if name in overrides
    ]
    known = {each.name: each for each in made.spec.attributes if each != COMBINATION}
    asked = overrides.get("attributes", list(known))
    values = _over(made.spec.model_dump(mode="json"), overrides) | {"attributes": []}
    limits = {each.target: each.value for each in frozen(made) if each.rule == "fixed"}
    values["threshold"] = limits.get("", limits or None)
    stated = {each.chosen_on for each in made.thresholds} - {"not stated"}
    values["threshold_rows"] = min(stated) if limits and stated else None
    attributes = []
    for each in asked if isinstance(asked, list | tuple) else [asked]:
        try:
            attributes.append(_attribute(each, known, schema))
        except InputError as error:
            faults += error.faults
    try:
        spec = AuditSpec.parse(values | {"attributes": attributes}, "audit")
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(*faults)
    return spec


def _over(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Tables within are overridden key by key."""
    return values | {
        name: values[name] | value
        if isinstance(value, dict) and isinstance(values.get(name), dict)
        else value
        for name, value in overrides.items()
    }


def _attribute(
    given: object, known: dict[str, Attribute], schema: CohortSchema | None
) -> dict[str, Any]:
    """An attribute of the request, as the earlier audit or the cohort describes it."""
    described = given if isinstance(given, dict) else {"name": given}
    name = str(described.get("name", ""))
    if schema is not None and name not in schema.attributes:
        raise unknown_name("attribute", name, schema.attributes, f"cohort {schema.name}")
    if len(described) > 1:
        return described
    if name in known:
        return known[name].model_dump(mode="json")
    if schema is None:
        raise unknown_name("attribute", name, known, "audit")
    return schema.attribute(name).model_dump(mode="json")
