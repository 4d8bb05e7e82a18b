"""The groups that a model is known to serve worse, read from the audit of its run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

#: Metrics of which neither side is worse for a patient: how often an illness is suspected.
NEUTRAL: Final = frozenset({"selection_rate"})


class WeakGroup(BaseModel):
    """A group that was shown to be served worse than another."""

    attribute: str = Field(description="What the group is made of, such as 'sex'.")
    group: str = Field(description="Its name, such as 'sex: female'.")
    target: str = Field(description="Class or finding it is about; empty if there is one.")
    metric: str = Field(description="What is worse in it.")
    value: float = Field(description="The metric in this group, on the run's test images.")
    low: float | None = Field(description="Lower end of its interval.")
    high: float | None = Field(description="Upper end.")
    n: int | None = Field(description="Patients that the value rests on.")
    against: str = Field(description="The group it was compared with.")
    difference: float = Field(description="The value minus that of the other group.")
    difference_low: float = Field(
        description="Lower end of its band, which holds for all declared comparisons at once."
    )
    difference_high: float = Field(description="Upper end.")


class UnknownGroup(BaseModel):
    """A group of which too little is known to say."""

    attribute: str = Field(description="What the group is made of.")
    group: str = Field(description="Its name.")
    n: int | None = Field(description="Its patients; null where too few to be shown.")


class Weaknesses(BaseModel):
    """What the audit of a version says of groups."""

    weak: list[WeakGroup] = Field(description="Groups shown to be served worse.")
    unknown: list[UnknownGroup] = Field(
        description="Groups with too few patients for a statement: they may be weak too."
    )
    failed: list[str] = Field(description="Clauses of the run's policy that it does not meet.")
    note: str = Field(default="", description="Why nothing could be said, if so.")


@dataclass(frozen=True)
class Frozen:
    """What serving reads from an audit.

    Attributes:
        threshold: Of two classes, from which the second is decided; None if it has none.
        weaknesses: What it says of groups.
        untrusted: Why the reconstructions of its decoder may not be read; empty if they may;
            None if the audit has none.
    """

    threshold: float | None
    weaknesses: Weaknesses = field(repr=False)
    untrusted: str | None


def read_audit(run: Path) -> Frozen:
    """Read the audit of a run as plain JSON: its own classes need pandas and scikit-learn.

    A group counts as weak where the band of its difference from another, which holds for the
    whole declared family at once, leaves no difference out, and it is the worse of the two.

    Args:
        run: A run directory.
    """
    audit = json.loads((run / "audit.json").read_text(encoding="utf-8"))
    thresholds = audit["thresholds"]
    threshold = float(thresholds[0]["value"]) if thresholds else None
    return Frozen(threshold, _weaknesses(audit), _untrusted(audit))


def _weaknesses(audit: dict[str, Any]) -> Weaknesses:
    note = (
        "" if "differences" in audit else "The audit is of a version that compared no groups."
    )
    return Weaknesses(
        weak=list(_weak_groups(audit)),
        unknown=_unknown(audit),
        failed=[
            each["clause"] for each in audit.get("clauses", ()) if each["verdict"] == "FAIL"
        ],
        note=note,
    )


def _weak_groups(audit: dict[str, Any]) -> Iterator[WeakGroup]:
    """Of each difference whose band leaves no difference out, the group further from the best.

    So nothing has to be known of a metric but what the audit says: its best group.
    """
    estimates = {
        (each["target"], each["metric"], each["group"]): each for each in audit["estimates"]
    }
    best = {
        (each["target"], each["metric"], *each["attributes"]): each["best"]
        for each in audit["gaps"]
    }
    for each in audit.get("differences", ()):
        if each["metric"] in NEUTRAL:
            continue
        value, low, high = each["value"], each["band_low"], each["band_high"]
        if None in (value, low, high) or low <= 0 <= high:
            continue
        what = each["target"], each["metric"]
        top = estimates.get((*what, best.get((*what, *each["attributes"]), "")))
        if top is None:
            continue
        group, other = (estimates[*what, each[name]] for name in ("group", "reference"))
        if abs(group["value"] - top["value"]) < abs(other["value"] - top["value"]):
            group, other = other, group
            value, low, high = -value, -high, -low
        yield WeakGroup(
            attribute=_joined(each["attributes"]),
            group=group["group"],
            target=each["target"],
            metric=each["metric"],
            value=group["value"],
            low=group["low"],
            high=group["high"],
            n=group["units"],
            against=other["group"],
            difference=value,
            difference_low=low,
            difference_high=high,
        )


def _unknown(audit: dict[str, Any]) -> list[UnknownGroup]:
    fewest = audit["spec"]["minimum_patients"]
    seen: dict[str, UnknownGroup] = {}
    for size in audit["cohort"]:
        few = size["patients"] is None or size["patients"] < fewest
        if len(size["attributes"]) == 1 and few:
            attribute = _joined(size["attributes"])
            unknown = UnknownGroup(attribute=attribute, group=size["group"], n=size["patients"])
            seen.setdefault(size["group"], unknown)
    return list(seen.values())


def _untrusted(audit: dict[str, Any]) -> str | None:
    found = [each for each in audit.get("reconstructions", ()) if each["group"] == "all"]
    if not found:
        return None
    return "; ".join(each["reason"] for each in found if not each["trusted"])


def _joined(attributes: Sequence[str]) -> str:
    return " and ".join(attributes)
