"""An audit in a form to be shared: nothing in it tells of a small group."""

from collections.abc import Iterator
from typing import Any, get_args

from evaluation.audit import Audit
from evaluation.calibration import Reliability
from evaluation.counterfactual import ALL, StyleEffect
from evaluation.findings import ClauseVerdict, LevellingDown
from evaluation.provenance import Provenance
from evaluation.reconstruction import Reconstruction
from evaluation.settings import Settings
from evaluation.suppression import hidden_groups

_NAN = float("nan")
_NOT_SHOWN = "It rests on a group that is not shown."

# Where a finding names the groups that its numbers are of.
_ROLES = ("group", "donor", "reference", "best", "worst")
# Numbers over all groups of an attribute, which give those of a single hidden one away.
_OVER_ALL = (
    "spread",
    "spread_low",
    "spread_high",
    "spread_raw",
    "spread_null",
    "patients",
)


def shareable(audit: Audit, smallest: int | None = None) -> Audit:
    """Hide every group of fewer than ``smallest`` patients, and what would give it away.

    Hidden groups stay listed without numbers and with the reason; pooled rates and curves of
    them are left out, and so are shifts towards them. A gap stays if both of its extremes are
    shown. Bins of a reliability curve with fewer than ``smallest`` images lose their numbers.
    Maps and pictures, which show single images, and ids of samples are left out. The verdicts
    stay, without sentences that name a hidden group.

    What is and is not protected: see :func:`evaluation.suppression.hidden_groups`. Do not share
    a complete and a shareable audit of the same patients, nor several with other groups.

    Args:
        audit: Of any task. It is left unchanged.
        smallest: Least number of patients that may be shown. None: as the audit's spec says.

    Returns:
        An audit that says in a note how many groups it does not show.
    """
    smallest = audit.spec.smallest_cell if smallest is None else smallest
    sharing = _Sharing(audit, smallest)
    changed: dict[str, Any] = {
        name: tuple(sharing.shown(value))
        for name, value in audit
        if isinstance(value, tuple) and name != "targets"
    }
    changed["provenance"] = _without_samples(audit.provenance)
    changed["maps"] = changed["pictures"] = ()
    if sharing.hidden:
        count = len(sharing.hidden)
        said = "1 group is" if count == 1 else f"{count} groups are"
        said += f" not shown, so that none of fewer than {smallest} patients can be told."
        changed["notes"] += (said,)
    return audit.model_copy(update=changed)


class _Sharing:
    """Takes out of findings what tells of hidden groups."""

    def __init__(self, audit: Audit, smallest: int) -> None:
        self.smallest = smallest
        self.hidden = hidden_groups(audit.cohort, smallest)
        self.tables = {size.attributes for size in audit.cohort if size.group in self.hidden}

    def shown(self, findings: tuple[Any, ...]) -> Iterator[Any]:
        """What may be shown of findings and sentences."""
        for found in findings:
            if isinstance(found, ClauseVerdict):
                named = self._named(found.reason)
                yield found.model_copy(update={"reason": _NOT_SHOWN}) if named else found
            elif isinstance(found, Settings):
                if (changed := self._finding(found)) is not None:
                    yield changed
            elif not self._named(str(found)):
                yield found

    def _named(self, sentence: str) -> bool:
        return any(name in sentence for name in self.hidden)

    def _finding(self, found: Settings) -> Settings | None:
        values = dict(found)
        if f"{values.get('attribute')}: {values.get('category')}" in self.hidden:
            return None
        names = [values[role] for role in _ROLES if role in values]
        reason = next((self.hidden[name] for name in names if name in self.hidden), "")
        whole = values.get("attributes", (values.get("attribute"),))
        overall = isinstance(found, StyleEffect) and found.group == ALL
        if (overall or isinstance(found, LevellingDown)) and whole in self.tables:
            reason = _NOT_SHOWN
        if isinstance(found, StyleEffect | Reconstruction) and _few(found, self.smallest):
            reason = f"fewer than {self.smallest} patients were drawn: not shown"
        if reason:
            return _without_numbers(found, reason) if "reason" in values else None
        if self._named(str(values.get("reason", ""))):
            # It may say how few patients a hidden group has.
            found = found.model_copy(update={"reason": _NOT_SHOWN})
        if isinstance(found, Reliability):
            return _large_bins(found, self.smallest)
        if whole in self.tables and "group" not in values:
            return found.model_copy(
                update={name: _nothing(found, name) for name in _OVER_ALL if name in values}
            )
        return found


def _few(found: StyleEffect | Reconstruction, smallest: int) -> bool:
    """Whether it rests on few patients: the drawn ones of a group, or of those of a donor."""
    donors = found.donors if isinstance(found, StyleEffect) else found.patients
    return min(found.patients or 0, donors or 0) < smallest


def _nothing(found: Settings, name: str) -> Any:
    """What stands for a number that is not shown."""
    value = getattr(found, name)
    if isinstance(value, float):
        return _NAN
    if isinstance(value, tuple):
        return ()
    # A count that cannot be unknown is 0 beside the reason.
    return None if type(None) in get_args(type(found).model_fields[name].annotation) else 0


def _without_numbers(found: Settings, reason: str) -> Settings:
    """The finding with its names and the reason only."""
    changed: dict[str, Any] = {"reason": reason}
    for name, value in found:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        points = isinstance(value, tuple) and any(isinstance(each, float) for each in value)
        if number or points:
            changed[name] = _nothing(found, name)
        elif name in ("state", "conclusion"):
            changed[name] = "undefined"
        elif name in ("best", "worst"):
            changed[name] = ""
        elif name in ("lost", "levelled"):
            changed[name] = type(value)()
    return found.model_copy(update=changed)


def _large_bins(found: Reliability, smallest: int) -> Reliability:
    """The curve without its bins of few images."""
    names = ("score", "observed", "low", "high", "band_low", "band_high")
    changed = {
        name: tuple(
            value if count >= smallest else _NAN
            for value, count in zip(getattr(found, name), found.images, strict=True)
        )
        for name in names
    }
    return found.model_copy(update=changed)


def _without_samples(provenance: Provenance) -> Provenance:
    overlaps = [each.model_copy(update={"samples": ()}) for each in provenance.overlaps]
    copies = [each.model_copy(update={"examples": ()}) for each in provenance.duplicates]
    changed = {"overlaps": tuple(overlaps), "duplicates": tuple(copies)}
    return provenance.model_copy(update=changed)
