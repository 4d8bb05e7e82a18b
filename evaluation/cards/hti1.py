"""The source attributes of a predictive decision support intervention, as JSON."""

import json
from typing import Any, ClassVar

import numpy as np

from evaluation.about import NOT_STATED, About, stated
from evaluation.audit import Audit
from evaluation.card import Card, Measured, audited_data, cautions, labelled, method
from evaluation.findings import Estimate, Gap

_RULE = "45 CFR 170.315(b)(11)(iv)(B)"

# Number in the rule, what it asks for, and where a statement answers it: the fields of About.
_STATED = (
    ("(1)(i)", "Name and contact of the developer", ("developer", "contact")),
    ("(1)(ii)", "Funding source of the development", ("funding",)),
    ("(1)(iii)", "Value that is given as output", ("output",)),
    ("(1)(iv)", "Type of the output", ("output_type",)),
    ("(2)(i)", "Intended use", ("intended_use",)),
    ("(2)(ii)", "Intended patient populations", ("intended_patients",)),
    ("(2)(iii)", "Intended users", ("intended_users",)),
    ("(2)(iv)", "Intended role in decisions", ("decision_role",)),
    ("(3)(i)", "Tasks, situations or populations to keep it from", ("out_of_scope",)),
    ("(3)(ii)", "Known risks, inappropriate settings and uses, limits", ("limitations",)),
    ("(4)(i)", "Exclusion and inclusion criteria of the training data", ("training_criteria",)),
    ("(4)(ii)", "Demographic variables used as input", ("demographic_inputs",)),
    ("(4)(iii)", "Representativeness of the training data", ("training_demographics",)),
    ("(4)(iv)", "Relevance of the training data to the setting", ("training_relevance",)),
    ("(5)(i)", "Approach to make the output fair", ("fairness_approach",)),
    ("(5)(ii)", "Approaches to manage, reduce or remove bias", ("bias_mitigation",)),
    ("(6)(i)", "Source and setting of external data", ("evaluation_data",)),
    ("(6)(ii)", "Party that ran the external testing", ("evaluation_party",)),
    ("(6)(iii)", "Representativeness of the external data", ()),
    ("(6)(iv)", "External validation process", ("evaluation_process",)),
    ("(7)(i)", "Validity in test data of the training data's source", ()),
    ("(7)(ii)", "Fairness in test data of the training data's source", ()),
    ("(7)(iii)", "Validity in external data", ()),
    ("(7)(iv)", "Fairness in external data", ()),
    ("(7)(v)", "References to evaluations of outcomes", ("outcome_evaluations",)),
    ("(8)(i)", "Process and frequency of monitoring validity", ("validity_monitoring",)),
    ("(8)(ii)", "Validity in local data", ()),
    ("(8)(iii)", "Process and frequency of monitoring fairness", ("fairness_monitoring",)),
    ("(8)(iv)", "Fairness in local data", ()),
    ("(9)(i)", "Process and frequency of updates", ("update_process",)),
    ("(9)(ii)", "Frequency of correcting performance", ("correction_schedule",)),
)

# Which attributes are about validity and fairness in data of each source.
_MEASURED = {
    "same source": ("(7)(i)", "(7)(ii)"),
    "external": ("(7)(iii)", "(7)(iv)"),
    "local": ("(8)(ii)", "(8)(iv)"),
}


class Hti1Card(Card):
    """The 31 source attributes that the HTI-1 rule of the ONC asks for.

    What was measured goes where the statement on the source of the audited data puts it: beside
    validity and fairness in data of the same source, in external or in local data. Without that
    statement it is listed as ``unplaced``, since nobody but the user can know.

    References:
        ONC, *Health data, technology, and interoperability: certification program updates,
        algorithm transparency, and information sharing* (HTI-1), 89 FR 1192, 2024.
    """

    filename: ClassVar[str] = "hti1_source_attributes.json"

    def render(self, audit: Audit, about: About) -> str:
        """The attributes as JSON; undefined numbers are null."""
        validity, fairness = _measured(audit)
        values = {number: _said(number, fields, about) for number, _, fields in _STATED}
        card: dict[str, Any] = {
            "rule": _RULE,
            "intervention": {"name": stated(about.name), "version": stated(about.version)},
            "data": audited_data(audit),
            "method": method(audit),
            "cautions": list(cautions(audit)),
        }
        if about.evaluation_source:
            first, second = _MEASURED[about.evaluation_source]
            values |= {first: validity, second: fairness}
        else:
            card["unplaced"] = {"validity": validity, "fairness": fairness}
        if about.evaluation_source == "external":
            values["(6)(iii)"] = _cohort(audit)
        card["attributes"] = [
            {"number": number, "name": name, "value": values[number]}
            for number, name, _ in _STATED
        ]
        return json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _said(number: str, fields: tuple[str, ...], about: About) -> Any:
    """What is stated. Of an evaluation that was not external, nothing is said under (6)."""
    if number.startswith("(6)") and about.evaluation_source != "external":
        return NOT_STATED
    return stated("; ".join(filter(None, (getattr(about, field) for field in fields))))


def _measured(audit: Audit) -> tuple[Any, Any]:
    """What the audit says of validity and of fairness; "not stated" where it has nothing."""
    measured = Measured(audit)
    validity = [_estimate(found, measured) for found in measured.overall]
    groups = [_estimate(found, measured) for found in measured.unitary]
    gaps = [_gap(found, measured) for found in measured.gaps]
    fairness = {"groups": groups, "gaps": gaps} if groups else NOT_STATED
    return validity or NOT_STATED, fairness


def _estimate(found: Estimate, measured: Measured) -> dict[str, Any]:
    said = f"{labelled(found)} in {found.group}: {measured.said(found)}"
    return {
        "statement": said,
        **_plain(found.model_dump()),
        "confidence": measured.confidence,
    }


def _gap(found: Gap, measured: Measured) -> dict[str, Any]:
    by = f"{labelled(found)}, gap by {' and '.join(found.attributes)}"
    said = f"{by}: {measured.ends(found.value, found.low, found.high)}"
    said += f", {found.reason}" if found.reason else f", worst in {found.worst}"
    return {
        "statement": said,
        **_plain(found.model_dump()),
        "confidence": measured.confidence,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and np.isnan(value) else value
        for key, value in values.items()
    }


def _cohort(audit: Audit) -> Any:
    """Size of every group of one attribute."""
    sizes = [_plain(size.model_dump()) for size in audit.cohort if len(size.attributes) == 1]
    return sizes or NOT_STATED
